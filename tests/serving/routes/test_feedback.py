"""Feedback over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from actreel.config import ClipSpec
from actreel.feedback import FeedbackStore
from actreel.labelling.visitors import export_dataset
from tests.conftest import write_model_folder
from tests.serving.conftest import Serve, Server
from tests.serving.routes.test_jobs import ended, submit


def entry(server: Server, prediction: str) -> tuple[Any, Path | None]:
    (found,) = [one for one in FeedbackStore(server.feedback).all() if one[0].prediction_id == prediction]
    return found


def test_without_consent_no_video_is_kept(server: Server, client: httpx.Client, films: Path) -> None:
    prediction = ended(client, submit(client, films / "grey.avi"))["result"]["prediction_id"]
    verdict = {"prediction_id": prediction, "correct": False, "label": "Waving"}
    assert client.post("/feedback", json=verdict).json() == {"stored": True, "video_kept": False}
    feedback, video = entry(server, prediction)
    assert (feedback.predicted, feedback.correct, feedback.label, video) == ("middle", False, "Waving", None)


def test_with_consent_the_video_becomes_a_training_clip(
    server: Server, client: httpx.Client, films: Path, tmp_path: Path
) -> None:
    prediction = ended(client, submit(client, films / "noisy.avi"))["result"]["prediction_id"]
    verdict = {"prediction_id": prediction, "correct": False, "label": "Hand waving", "share_video": True}
    assert client.post("/feedback", json=verdict).json() == {"stored": True, "video_kept": True}
    export_dataset(server.feedback, tmp_path / "export")
    (clip,) = (tmp_path / "export" / "Hand waving").iterdir()
    assert clip.read_bytes() == (films / "noisy.avi").read_bytes()


def test_the_video_of_a_call_is_gone_with_its_answer(server: Server, client: httpx.Client, films: Path) -> None:
    answer = client.post("/predict_file", files={"video": (films / "grey.avi").read_bytes()}).json()
    verdict = {"prediction_id": answer["prediction_id"], "correct": True, "share_video": True}
    assert client.post("/feedback", json=verdict).json() == {"stored": True, "video_kept": False}
    assert entry(server, answer["prediction_id"])[0].truth == "middle"


@pytest.mark.parametrize("label", ["", "x" * 201, " a", "a\u0000", "a\nb"])
def test_invalid_labels(client: httpx.Client, films: Path, label: str) -> None:
    answer = client.post("/predict_file", files={"video": (films / "grey.avi").read_bytes()}).json()
    refusal = client.post(
        "/feedback", json={"prediction_id": answer["prediction_id"], "correct": False, "label": label}
    )
    assert (refusal.status_code, refusal.json()["error"]["code"]) == (422, "bad_label")


def test_all_labels_of_the_model_are_accepted(serve: Serve, films: Path, tmp_path: Path) -> None:
    labels = ("Push & Pull", "on/off, 'quoted' \"twice\"", "z" * 300)
    model = write_model_folder(tmp_path / "model", ClipSpec(num_frames=8, height=32, width=32), labels)
    server = serve(model)
    with server.client() as client:
        assert client.get("/model").json()["labels"] == list(labels)
        for label in labels:
            prediction = ended(client, submit(client, films / "grey.avi"))["result"]["prediction_id"]
            verdict = {"prediction_id": prediction, "correct": False, "label": label, "share_video": True}
            assert client.post("/feedback", json=verdict).json() == {"stored": True, "video_kept": True}
    assert {feedback.label for feedback, _ in FeedbackStore(server.feedback).all()} == set(labels)
    assert export_dataset(server.feedback, tmp_path / "export") == 3


@pytest.mark.parametrize("correct", [True, False])
def test_a_video_of_no_known_action_is_learned_as_such(
    server: Server, client: httpx.Client, films: Path, tmp_path: Path, correct: bool
) -> None:
    result = ended(client, submit(client, films / ("odd.avi" if correct else "grey.avi")))["result"]
    assert result["known"] is not correct
    verdict = {"prediction_id": result["prediction_id"], "correct": correct, "share_video": True}
    assert client.post("/feedback", json=verdict).json()["video_kept"]
    assert entry(server, result["prediction_id"])[0].truth == "_unknown"
    export_dataset(server.feedback, tmp_path / "export")
    assert any(result["prediction_id"] in clip.name for clip in (tmp_path / "export" / "_unknown").iterdir())


def timeline(prediction: str, *spans: tuple[Any, Any, str | None], share: bool = False) -> dict[str, Any]:
    segments = [{"start_s": start, "end_s": end, "label": label} for start, end, label in spans]
    return {"prediction_id": prediction, "segments": segments, "share_video": share}


def test_a_corrected_timeline_becomes_clips(server: Server, client: httpx.Client, films: Path, tmp_path: Path) -> None:
    result = ended(client, submit(client, films / "noisy.avi"))["result"]
    end = result["video"]["duration_s"]
    body = timeline(result["prediction_id"], (0, end / 2, "Waving"), (end / 2, end, None), share=True)
    assert client.post("/feedback/segments", json=body).json() == {"stored": True, "video_kept": True}
    feedback, _ = entry(server, result["prediction_id"])
    assert [(mark.start_s, mark.end_s, mark.label) for mark in feedback.marks] == [
        (0, end / 2, "Waving"), (end / 2, end, "_unknown"),
    ]  # fmt: skip
    export_dataset(server.feedback, tmp_path / "export")
    cut = {path.parent.name for path in (tmp_path / "export").glob(f"*/feedback_{result['prediction_id']}_*")}
    assert cut == {"Waving", "_unknown"}
    body = timeline(result["prediction_id"], (0, end, "middle"))
    assert client.post("/feedback/segments", json=body).json() == {"stored": True, "video_kept": False}
    assert len(entry(server, result["prediction_id"])[0].marks) == 1, "the last word counts"


@pytest.mark.parametrize(
    ("spans", "code"),
    [
        ([], "bad_request"),
        ([(0, 0.01, "a")] * 257, "bad_request"),
        ([(-1, 1, "a")], "bad_request"),
        ([("soon", 1, "a")], "bad_request"),
        ([(0, 0, "a")], "bad_request"),
        ([(0.4, 0.2, "a")], "bad_segments"),
        ([(0, 900, "a")], "bad_segments"),
        ([(0, 0.4, "a"), (0.1, 0.5, "b")], "bad_segments"),
        ([(0, 0.4, " a")], "bad_label"),
        ([(0, 0.4, "a\nb")], "bad_label"),
    ],
)
def test_invalid_timelines(server: Server, client: httpx.Client, films: Path, spans: list[Any], code: str) -> None:
    prediction = ended(client, submit(client, films / "grey.avi"))["result"]["prediction_id"]
    refusal = client.post("/feedback/segments", json=timeline(prediction, *spans))
    assert (refusal.status_code, refusal.json()["error"]["code"]) == (422, code)
    assert all(feedback.prediction_id != prediction for feedback, _ in FeedbackStore(server.feedback).all())


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "-Infinity"])
def test_times_of_a_timeline_are_numbers(client: httpx.Client, number: str) -> None:
    body = f'{{"prediction_id": "x", "segments": [{{"start_s": 0, "end_s": {number}, "label": "a"}}]}}'
    refusal = client.post("/feedback/segments", content=body, headers={"Content-Type": "application/json"})
    assert (refusal.status_code, refusal.json()["error"]["code"]) == (422, "bad_request")


def test_a_timeline_needs_a_prediction_and_the_services_own_page(client: httpx.Client) -> None:
    body = timeline("none", (0, 1, "a"))
    assert client.post("/feedback/segments", json=body).json()["error"]["code"] == "no_such_prediction"
    foreign = client.post("/feedback/segments", json=body, headers={"Origin": "http://elsewhere.test"})
    assert (foreign.status_code, foreign.json()["error"]["code"]) == (403, "cross_origin")
