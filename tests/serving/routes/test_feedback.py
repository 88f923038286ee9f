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
