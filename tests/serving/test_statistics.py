"""What the service keeps of the videos that it answered, over real HTTP; see `actreel.statistics`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from actreel.statistics import statistics_files
from tests.serving.conftest import Serve, Server, wait_for

FIELDS = {
    "hour": str, "duration_s": float, "fps": float, "width": float, "height": float, "num_frames": float,
    "brightness": float, "label": str, "confidence": float, "known": bool, "distance": float, "margin": float,
    "model": str, "run_id": str,
}  # fmt: skip


@pytest.fixture(scope="module")
def counting(serve: Serve) -> Server:
    """A server of which no other test asks anything."""
    return serve(max_frames=500)


def lines_of(server: Server) -> list[dict[str, Any]]:
    folder = server.feedback.parent / "statistics"
    return [json.loads(line) for file in statistics_files(folder) for line in file.read_text("utf-8").splitlines()]


def send(client: httpx.Client, video: Path, path: str = "/predict_file", name: str = "secret.avi") -> httpx.Response:
    return client.post(path, files={"video": (name, video.read_bytes())})


def test_each_answered_video_leaves_one_line_and_a_refused_one_none(counting: Server, films: Path) -> None:
    assert lines_of(counting) == []  # the warm-up is no visitor's
    with counting.client() as client:
        answer = send(client, films / "dark_bright.avi").raise_for_status().json()
        (line,) = lines_of(counting)
        assert {name: type(value) for name, value in line.items()} == FIELDS
        assert line["label"] == answer["label"]
        assert line["known"] == answer["known"]
        assert line["confidence"] == pytest.approx(answer["top"][0]["confidence"], rel=0.05)
        margin = answer["top"][0]["confidence"] - answer["top"][1]["confidence"]
        assert line["margin"] == pytest.approx(margin, rel=0.05, abs=1e-6)
        assert (line["duration_s"], line["fps"], line["num_frames"]) == (12, 25, 300)
        assert (line["width"], line["height"]) == (64, 48)
        assert line["brightness"] == pytest.approx(0.5, abs=0.02)
        assert "secret" not in json.dumps(line)

        refused = [send(client, films / "long.avi"), client.post("/predict_file", files={"video": b"no video"})]
        assert [each.status_code for each in refused] == [422, 422]
        assert client.post("/predict_url", json={"url": "https://example.org/secret"}).is_client_error
        assert len(lines_of(counting)) == 1

        job = send(client, films / "odd.avi", "/jobs").raise_for_status().json()["id"]
        wait_for(lambda: client.get(f"/jobs/{job}").json()["state"] == "done")
        assert len(lines_of(counting)) == 2
        assert lines_of(counting)[1]["known"] is False
        assert lines_of(counting)[1]["confidence"] > 0  # that of the nearest action, unlike in the answer

        job = send(client, films / "long.avi", "/jobs").raise_for_status().json()["id"]
        wait_for(lambda: client.get(f"/jobs/{job}").json()["state"] == "failed")
        assert len(lines_of(counting)) == 2


def test_a_folder_that_cannot_be_written_changes_no_answer(serve: Serve, films: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    server = serve(statistics_dir=tmp_path / "file" / "statistics")
    with server.client() as client:
        for _ in range(3):
            send(client, films / "grey.avi").raise_for_status()
    assert server.log.count("could not be written; answers are not affected") == 1


def test_statistics_can_be_turned_off(serve: Serve, films: Path) -> None:
    server = serve(statistics="no")
    with server.client() as client:
        send(client, films / "grey.avi").raise_for_status()
    assert lines_of(server) == []
