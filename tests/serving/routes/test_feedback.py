"""Feedback over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from actreel.feedback import FeedbackStore, export_dataset
from tests.serving.conftest import Server
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


@pytest.mark.parametrize("label", ["../up", "a/b", "", "x" * 65, "<b>", "a\u0000"])
def test_invalid_labels(client: httpx.Client, films: Path, label: str) -> None:
    answer = client.post("/predict_file", files={"video": (films / "grey.avi").read_bytes()}).json()
    refusal = client.post(
        "/feedback", json={"prediction_id": answer["prediction_id"], "correct": False, "label": label}
    )
    assert (refusal.status_code, refusal.json()["error"]["code"]) == (422, "bad_label")
