"""Models of sound and signals, as the service runs them: from the files through the decoder process to the model."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from actreel.config import ClipSpec, ModelParams, SignalSpec, SoundSpec, TrackSpec
from actreel.inference.classifier import ActionClassifier, ClassifierCard, Provenance
from actreel.inference.model_folder import ModelFolder
from actreel.inference.on_device import why_not
from actreel.video.signals import MOST_BYTES
from serving.sandbox.processes import Decoder, DecoderDiedError
from serving.settings import Settings
from tests.conftest import grey_frames
from tests.serving.conftest import Server, launch, stop, wait_for
from tests.sounds import tone, write_sounding

SPEC = ClipSpec(num_frames=8, height=32, width=32)
TRACK = TrackSpec(sound=SoundSpec())


def write_model(
    folder: Path, track: TrackSpec, weights: np.ndarray, labels: tuple[str, str], encoder: str = "audio"
) -> Path:
    """A model made by hand: linear in the mean of the track over time."""
    nodes = [
        helper.make_node("ReduceMean", ["track", "axes"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    constants = [
        helper.make_tensor("axes", TensorProto.INT64, [1], [1]),
        helper.make_tensor("weights", TensorProto.FLOAT, weights.shape, weights.ravel()),
    ]
    taken = helper.make_tensor_value_info("track", TensorProto.FLOAT, ["N", SPEC.num_frames, track.size])
    given = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 2])
    graph = helper.make_graph(nodes, "linear", [taken], [given], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    ModelFolder(folder).onnx.write_bytes(model.SerializeToString())
    provenance = Provenance(dataset="tones", data_version="0", run_id="none", git_commit="none", trained_at="never")
    network = ModelParams(encoder=encoder, weights="imagenet", head="mean", motion="none", units=8, dropout=0.0)
    ClassifierCard(
        labels=labels, clip=SPEC, clip_duration_s=1.0, network=network, track=track, provenance=provenance
    ).save(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of sound: `high` if the upper half of the bands is louder than the lower half."""
    halves = np.zeros((TRACK.size, 2), np.float32)
    halves[:32, 0] = halves[32:64, 1] = 0.1
    return write_model(tmp_path_factory.mktemp("hears"), TRACK, halves, ("low", "high"))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds, low first and then high: longer than a window."""
    sounds = np.concatenate([tone(300, 2), tone(5000, 2)])
    return write_sounding(tmp_path_factory.mktemp("film") / "film.mp4", grey_frames([90] * 100), sounds, codec="aac")


def test_the_service_hears_what_predict_hears_and_offers_no_camera(folder: Path, film: Path, tmp_path: Path) -> None:
    classifier = ActionClassifier.load(folder)
    expected = classifier.answer(classifier.recognise(film))
    assert [segment.label for segment in expected.segments] == ["low", "high"]
    server = launch(folder, tmp_path)
    try:
        with server.client() as client:
            answer = client.post("/predict_file", files={"video": film.read_bytes()}).json()
            assert client.get("/camera").json() is None
            assert client.post("/camera").status_code == 404
            assert client.get("/model").json()["takes"] == "video"
            refused = client.post("/predict_file", files={"signal": csv("0,0,5\n4,0,5")})
    finally:
        stop(server)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "bad_request")
    assert "signals alone, and this model needs the video too" in refused.json()["error"]["message"]
    assert [segment["label"] for segment in answer["segments"]] == ["low", "high"]
    assert answer["confidence"] == pytest.approx(expected.confidence, abs=1e-5)


def test_no_browser_runs_a_model_that_takes_more_than_pictures(folder: Path) -> None:
    assert "more than pictures" in str(why_not(ActionClassifier.load(folder).card, folder))


def test_a_decoder_that_sends_less_than_frames_and_track_has_broken_the_protocol(folder: Path, film: Path) -> None:
    card = ActionClassifier.load(folder).card

    async def decode() -> None:
        decoder = await Decoder.start(card, Settings())
        decoder._track_bytes += 4
        try:
            async for _ in decoder.decode(film, 30, 0):
                pass
        finally:
            await decoder.kill()

    with pytest.raises(DecoderDiedError, match="unexpected message"):
        asyncio.run(decode())


@pytest.fixture(scope="module")
def sensing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A served model of signals: `up` if x is above 0 on average."""
    folder, track = tmp_path_factory.mktemp("senses"), TrackSpec(signals=SignalSpec(columns=("x",), samples=1))
    write_model(folder, track, np.array([[1, -1]], np.float32), ("up", "down"), encoder="signals")
    server = launch(folder, tmp_path_factory.mktemp("home"), max_upload_bytes=MOST_BYTES + 2**20)
    yield server
    stop(server)


def csv(rows: str) -> tuple[str, bytes]:
    return "../../sensor.csv", f"time,y,x\n{rows}\n".encode()


def test_signals_come_as_a_second_part_in_either_order(sensing: Server, film: Path) -> None:
    video, up = ("film.mp4", film.read_bytes()), csv("0,0,5\n4,0,5")
    values = io.BytesIO()
    np.savez(values, time=[0, 4], values=[[-5], [-5]], columns=["x"])
    with sensing.client() as client:
        for files, label in (
            ([("video", video), ("signal", up)], "up"),
            ([("signal", up), ("video", video)], "up"),
            ([("video", video), ("signal", ("a.NPZ", values.getvalue()))], "down"),
        ):
            assert client.post("/predict_file", files=files).json()["label"] == label
        job = client.post("/jobs", files=[("video", video), ("signal", up)]).json()["id"]
        assert wait_for(lambda: client.get(f"/jobs/{job}").json()["result"])["label"] == "up"
    wait_for(lambda: sensing.leftovers() == [])


def test_signals_may_come_alone(sensing: Server) -> None:
    halves = csv("\n".join(f"{50 + row / 20},0,{5 if row < 40 else -5}" for row in range(81)))
    with sensing.client() as client:
        assert client.get("/model").json()["takes"] == "signal"
        # A browser's form sends an empty part where no video was chosen.
        for files in ([("signal", halves)], [("video", ("", b"")), ("signal", halves)]):
            answer = client.post("/predict_file", files=files).json()
            assert [(each["label"], each["end_s"]) for each in answer["segments"]] == [("up", 2), ("down", 4)]
            assert answer["video"] == {
                "title": "sensor.csv", "duration_s": 4, "width": 0, "height": 0, "fps": 20,
            }  # fmt: skip
        job = client.post("/jobs", files=[("signal", csv("0,0,-5\n4,0,-5"))]).json()["id"]
        result = wait_for(lambda: client.get(f"/jobs/{job}").json()["result"])
        assert result["label"] == "down"
        assert client.get(f"/jobs/{job}/frames/0.jpg").status_code == 404
        told = {"prediction_id": result["prediction_id"], "correct": True, "share_video": True}
        assert client.post("/feedback", json=told).json() == {"stored": True, "video_kept": False}
        for rows, code in (("0,0,1\n999999,0,1", "beyond_limits"), ("3,0,1\n3,0,1", "bad_signal")):
            answer = client.post("/predict_file", files=[("signal", csv(rows))])
            assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)
        assert client.post("/predict_file", files={"video": ("", b"")}).json()["error"]["code"] == "empty"
    wait_for(lambda: sensing.leftovers() == [])


@pytest.mark.parametrize(
    ("signal", "words"),
    [
        (None, "needs the signals beside a video"),
        (csv("0,0,1\n2,0,1\n1,0,1"), "must not go backwards"),
        (csv("0,0,nan\n1,0,1"), "finite"),
        (("a.csv", b"time,z\n0,1\n1,1\n"), "none called x"),
        (("a.csv", b"\x00\xff" * 500), "Signals must"),
        (("a.npz", b"PK" * 500), "Signals must"),
        (("a.parquet", b"PAR1"), "another kind"),
        (("a.exe", b"MZ"), "another kind"),
        (("", b"time,x"), "without a file name"),
        (("", b""), "needs the signals beside a video"),  # a form in which no file was chosen
    ],
)
def test_hostile_signals_are_refused_in_words(sensing: Server, film: Path, signal: Any, words: str) -> None:
    files = [("video", ("film.mp4", film.read_bytes())), *([("signal", signal)] if signal else [])]
    with sensing.client() as client:
        answer = client.post("/predict_file", files=files)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "bad_signal")
    assert words in answer.json()["error"]["message"]
    assert str(sensing.state) not in answer.text


def test_two_or_too_large_signals_are_refused(sensing: Server, film: Path) -> None:
    video, signal = ("video", ("film.mp4", film.read_bytes())), ("signal", csv("0,0,1\n1,0,1"))
    with sensing.client() as client:
        answer = client.post("/predict_file", files=[video, signal, signal])
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "bad_signal")
        large = ("signal", ("a.csv", b"0" * (MOST_BYTES + 1)))
        answer = client.post("/predict_file", files=[large, video])
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
        assert "signal" in answer.json()["error"]["message"]
