"""The model in a visitor's browser: a real Chromium, ONNX Runtime's real WebAssembly, and its network watched."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from playwright.sync_api import Browser, BrowserContext, Page, Request

from actreel.config import ClipSpec
from actreel.inference.classifier import ActionClassifier
from actreel.inference.manifest import ClassifierCard, Provenance
from actreel.video.clips import fit_frame
from actreel.video.webm import write_webm
from serving.answers import Served
from serving.settings import Settings
from tests.browser_runtime import add_real_runtime
from tests.conftest import free_port, write_video_file
from tests.nginx import nginx
from tests.performers import CAMERA_FPS, perform, write_performers_model
from tests.serving.page.conftest import Site, answer, expect, running, serious, upload

SPEC = ClipSpec(num_frames=8, height=32, width=32)
PUSH = """async (frames) => {
    const { DeviceModel, offered } = await import("./static/device/model.js");
    const offer = await offered();
    const model = await DeviceModel.load(offer);
    await model.begin(offer.clip.num_frames / 2);
    const scores = [];
    for (const { data, width, height } of frames) {
        const rgba = Uint8ClampedArray.from(atob(data), (letter) => letter.charCodeAt(0));
        scores.push(await model.push({ data: rgba, width, height }));
    }
    model.close();
    return scores.filter((score) => score !== null);
}"""


@pytest.fixture(scope="module")
def home_cinema(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A service that hands out a model which knows what performers do."""
    folder = tmp_path_factory.mktemp("cinema")
    model = write_performers_model(folder / "model")
    add_real_runtime(model, request.config)
    served = Served(ActionClassifier.load(model, threads=1), "actreel:test", {}, model)
    with running(served, Settings(state_dir=folder / "state", feedback_dir=folder / "feedback")) as address:
        yield Site(address, served, folder, folder, folder)


@pytest.fixture
def host(home_cinema: Site) -> Site:
    return home_cinema


@pytest.fixture
def page(context: BrowserContext) -> Page:
    opened = context.new_page()
    opened.on("filechooser", lambda chooser: None)
    opened.goto("/")
    expect(opened.get_by_label("Keep it on this device")).to_be_visible()
    return opened


def film(folder: Path, action: str) -> Path:
    """What a new performer does, as a film that browsers play: 3.2 s, two windows and more."""
    once = [np.ascontiguousarray(frame[..., ::-1]) for frame in perform(action, 100)]
    frames = [once[number % len(once)] for number in range(96)]
    path = folder / f"{action}.webm"
    write_webm(write_video_file(folder / f"{action}.avi", frames, fps=CAMERA_FPS), path)
    return path


def test_a_film_is_recognised_and_nothing_of_it_leaves_the_device(page: Page, host: Site, tmp_path: Path) -> None:
    asked: list[tuple[str, str, bytes | None]] = []
    sockets: list[Any] = []

    def note(request: Request) -> None:
        if not request.url.startswith("blob:"):
            asked.append((request.method, urlsplit(request.url).path, request.post_data_buffer))

    page.context.on("request", note)  # a worker's requests too
    page.on("websocket", lambda socket: sockets.append(socket))
    page.get_by_label("Keep it on this device").check()
    assert not serious(page)
    upload(page, film(tmp_path, "JumpingJack"))
    expect(answer(page)).to_have_text("Jumping Jack")
    expect(page.locator(".about")).to_contain_text("On this device; the video was not sent")
    expect(page.locator("#feedback")).to_be_hidden()  # the service knows of no prediction
    expect(page.locator("#labelling")).to_be_hidden()
    assert ("GET", "/on_device/model.onnx", None) in asked
    assert {(method, body) for method, _, body in asked} == {("GET", None)}
    assert {path.split("/")[1] for _, path, _ in asked} <= {"key", "on_device", "static"}

    asked.clear()
    page.context.set_offline(True)  # nor is anything needed from elsewhere
    waving = film(tmp_path, "Wave")
    upload(page, waving)
    expect(answer(page)).to_have_text("Wave")
    found = page.evaluate("JSON.parse(localStorage['actreel.recent'])[0].prediction")
    classifier = host.served.classifier
    wanted = classifier.answer(classifier.recognise(waving))
    assert [one["label"] for one in found["segments"]] == [one.label for one in wanted.segments] == ["Wave"]
    assert found["confidence"] == pytest.approx(wanted.confidence, abs=0.05)  # another decoder, and another scaler

    not_for_browsers = write_video_file(tmp_path / "odd.avi", perform("Wave", 100))
    upload(page, not_for_browsers)
    expect(page.locator("#problem")).to_contain_text("This browser cannot play this video")

    page.get_by_role("button", name="Use the camera").click()
    expect(page.locator("#camera .now")).to_have_text("Jumping Jack")  # what the browser's stand-in camera shows
    expect(page.locator("#camera .where")).to_have_text("This browser runs the model. No frame is sent or stored.")
    page.get_by_label("Keep it on this device").uncheck()
    expect(page.locator("#camera-hint")).to_have_text("The camera was stopped, as you changed where its frames go.")
    assert not asked
    assert not sockets


def test_the_same_pixels_give_the_same_scores_behind_a_proxy_too(
    browser: Browser, tmp_path: Path, request: Any
) -> None:
    model = write_network(tmp_path / "model")
    add_real_runtime(model, request.config)
    classifier = ActionClassifier.load(model, threads=1)
    rng = np.random.default_rng(1)
    frames = [rng.integers(0, 16 * (number + 1), (48, 70, 3)).astype(np.uint8) for number in range(16)]  # ever brighter
    served = Served(classifier, "actreel:test", {}, model)
    port = free_port()
    with (
        running(served, Settings(state_dir=tmp_path / "state", feedback_dir=tmp_path / "feedback")) as address,
        nginx(
            tmp_path,
            f"server {{ listen 127.0.0.1:{port}; location /actreel/ {{ proxy_pass {address}/; }} }}",
            port,
        ),
    ):
        page = browser.new_page()
        page.goto(f"http://actreel.test:{port}/actreel/")  # under a path, and over plain HTTP
        found = page.evaluate(PUSH, [as_canvas(frame) for frame in frames])
        page.close()
    fitted = np.stack([fit_frame(frame, SPEC) for frame in frames])
    wanted = classifier.score(np.stack([fitted[start : start + 8] for start in (0, 4, 8)]))
    assert len(found) == 3
    assert np.ptp(wanted.probabilities, axis=0).max() > 0.01  # the windows differ
    for score, probabilities, distance in zip(found, wanted.probabilities, wanted.distances, strict=True):
        assert score["probabilities"] == pytest.approx(probabilities.tolist(), abs=1e-3)
        assert score["distance"] == pytest.approx(float(distance), abs=1e-3)


def as_canvas(frame: NDArray[np.uint8]) -> dict[str, Any]:
    """A frame as a canvas gives it."""
    height, width = frame.shape[:2]
    rgba = np.concatenate([frame, np.full((height, width, 1), 255, np.uint8)], axis=2)
    return {"data": base64.b64encode(rgba.tobytes()).decode(), "width": width, "height": height}


def write_network(folder: Path) -> Path:
    """A small network in two parts, of the operators that `small_cnn` and its LSTM export, with random weights."""
    folder.mkdir()
    rng = np.random.default_rng(0)

    def weights(name: str, *shape: int) -> Any:
        return helper.make_tensor(name, TensorProto.FLOAT, shape, rng.normal(0, 0.3, shape).astype(np.float32).ravel())

    def write(name: str, nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: list[Any]) -> None:
        graph = helper.make_graph(nodes, name, inputs, outputs, constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
        (folder / name).write_bytes(model.SerializeToString())

    def tensor(name: str, kind: int, *shape: Any) -> Any:
        return helper.make_tensor_value_info(name, kind, shape)

    features = 6
    write(
        "encoder.onnx",
        [
            helper.make_node("Cast", ["frame"], ["float"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["float", "scale"], ["scaled"]),
            helper.make_node("Transpose", ["scaled"], ["planes"], perm=[0, 3, 1, 2]),
            helper.make_node("Conv", ["planes", "kernel", "bias"], ["convolved"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["convolved"], ["positive"]),
            helper.make_node("MaxPool", ["positive"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
            helper.make_node("ReduceMean", ["pooled"], ["features"], axes=[2, 3], keepdims=0),
        ],
        [tensor("frame", TensorProto.UINT8, "N", *SPEC.shape[1:])],
        [tensor("features", TensorProto.FLOAT, "N", features)],
        [
            helper.make_tensor("scale", TensorProto.FLOAT, [], [4 / 255]),
            weights("kernel", features, 3, 3, 3),
            weights("bias", features),
        ],
    )
    write(
        "head.onnx",
        [
            helper.make_node("Transpose", ["window"], ["sequence"], perm=[1, 0, 2]),
            helper.make_node("LSTM", ["sequence", "w", "r"], ["", "last"], hidden_size=5),
            helper.make_node("Squeeze", ["last", "first"], ["embedding"]),
            helper.make_node("MatMul", ["embedding", "dense"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
            helper.make_node("ReduceL2", ["embedding"], ["distance"], axes=[1], keepdims=0),
        ],
        [tensor("window", TensorProto.FLOAT, "N", SPEC.num_frames, features)],
        [tensor("probabilities", TensorProto.FLOAT, "N", 3), tensor("distance", TensorProto.FLOAT, "N")],
        [
            helper.make_tensor("first", TensorProto.INT64, [1], [0]),
            weights("w", 1, 20, features),
            weights("r", 1, 20, 5),
            helper.make_tensor("dense", TensorProto.FLOAT, [5, 3], rng.normal(0, 4, 15).astype(np.float32)),
        ],
    )
    provenance = Provenance(dataset="grey", data_version="0", run_id="none", git_commit="none", trained_at="never")
    ClassifierCard(labels=("a", "b", "c"), clip=SPEC, max_distance=1.0, provenance=provenance).save(folder)
    return folder
