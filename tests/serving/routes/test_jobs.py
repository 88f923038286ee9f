"""Jobs and their events. A stopped decoder (SIGSTOP) simulates a video that takes long."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest

from actreel.video.opencv import cv2
from tests.conftest import patience, write_video_file
from tests.serving.conftest import Serve, Server, wait_for
from tests.serving.test_api import CONTRACT, check_shape

Event = tuple[str, dict[str, Any]]


def submit(client: httpx.Client, video: Path) -> str:
    answer = client.post("/jobs", files={"video": video.read_bytes()})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def follow(client: httpx.Client, job: str) -> Iterator[Event]:
    with client.stream("GET", f"/jobs/{job}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        name = ""
        for line in stream.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield name, json.loads(line.removeprefix("data: "))


def ended(client: httpx.Client, job: str) -> dict[str, Any]:
    """The job once it is over."""

    def over() -> dict[str, Any] | None:
        state: dict[str, Any] = client.get(f"/jobs/{job}").json()
        return state if state["state"] not in ("queued", "running") else None

    found: dict[str, Any] = wait_for(over)
    return found


@pytest.fixture
def held(narrow: Server, halted: psutil.Process) -> Iterator[httpx.Client]:
    """A client of `narrow`, whose decoder is stopped."""
    with narrow.client() as client:
        yield client


def test_events_have_progress_segments_and_the_result(client: httpx.Client, films: Path) -> None:
    job = submit(client, films / "dark_bright.avi")
    events = list(follow(client, job))
    names = [name for name, _ in events]
    assert names[-1] == "done"
    assert set(names) == {"progress", "segments", "done"}
    for name, data in events:
        if name == "progress":
            assert 0 <= data["progress"]["fraction"] <= 1
            assert data["progress"]["stage"] in ("decode", "model")
    last = events[-1][1]
    assert last["state"] == "done"
    check_shape(last["result"], CONTRACT)
    assert last["segments"] == last["result"]["segments"]
    assert client.get(f"/jobs/{job}").json() == last


def test_a_late_subscriber_gets_the_current_state(client: httpx.Client, films: Path) -> None:
    job = submit(client, films / "grey.avi")
    state = ended(client, job)
    events = list(follow(client, job))
    assert [name for name, _ in events] == ["progress", "segments", "done"]
    assert events[-1][1] == state


def test_a_job_has_the_same_result_as_a_call(client: httpx.Client, films: Path) -> None:
    called = client.post("/predict_file", files={"video": ("x", (films / "dark_bright.avi").read_bytes())}).json()
    result = ended(client, submit(client, films / "dark_bright.avi"))["result"]
    assert (result["top"], result["segments"]) == (called["top"], called["segments"])


def test_a_job_has_eight_thumbnails(client: httpx.Client, films: Path) -> None:
    job = submit(client, films / "dark_bright.avi")
    ended(client, job)
    levels = []
    for number in range(8):
        answer = client.get(f"/jobs/{job}/frames/{number}.jpg")
        assert answer.headers["content-type"] == "image/jpeg"
        picture = cv2.imdecode(np.frombuffer(answer.content, dtype=np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        assert picture.shape == (48, 64, 3)
        levels.append(float(picture.mean()))
    assert levels == pytest.approx([5] * 4 + [250] * 4, abs=4)
    assert client.get(f"/jobs/{job}/frames/8.jpg").status_code == 422
    assert client.get(f"/jobs/{job}/frames/..%2f0.jpg").status_code in (404, 422)


def test_an_invalid_video_fails_with_the_code_of_a_refusal(client: httpx.Client) -> None:
    job = str(client.post("/jobs", files={"video": b"no video"}).json()["id"])
    events = list(follow(client, job))
    assert events[-1][0] == "failed"
    assert events[-1][1]["error"]["code"] == "not_a_video"
    assert events[-1][1]["result"] is None


def test_job_ids_cannot_be_guessed(client: httpx.Client, films: Path) -> None:
    names = {submit(client, films / "grey.avi") for _ in range(3)}
    assert len(names) == 3
    assert all(len(name) == 22 for name in names)
    for name in names:
        ended(client, name)


def test_cancel_stops_the_work(narrow: Server, halted: psutil.Process, held: httpx.Client, films: Path) -> None:
    client = held
    job = submit(client, films / "grey.avi")
    wait_for(lambda: client.get(f"/jobs/{job}").json()["state"] == "running")
    assert client.delete(f"/jobs/{job}").status_code == 200
    assert ended(client, job)["state"] == "cancelled"
    assert [name for name, _ in follow(client, job)][-1] == "cancelled"
    wait_for(lambda: halted.pid not in [one.pid for one in narrow.decoders])
    assert not (narrow.state / "jobs" / job / "video").exists()
    assert ended(client, submit(client, films / "grey.avi"))["state"] == "done", "another decoder has taken its place"
    assert client.delete(f"/jobs/{job}").json()["state"] == "cancelled", "an end is an end"


def test_a_full_queue_says_when_to_come_back(held: httpx.Client, films: Path) -> None:
    client = held
    jobs = [submit(client, films / "grey.avi") for _ in range(3)]
    answer = client.post("/jobs", files={"video": (films / "grey.avi").read_bytes()})
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "busy")
    assert int(answer.headers["retry-after"]) > 0
    for job in jobs:
        client.delete(f"/jobs/{job}")
    assert [ended(client, job)["state"] for job in jobs] == ["cancelled"] * 3


def test_event_streams_are_counted_and_end_with_their_client(narrow: Server, held: httpx.Client, films: Path) -> None:
    client = held
    job = submit(client, films / "grey.avi")
    with narrow.client() as other, other.stream("GET", f"/jobs/{job}/events") as stream:
        lines = stream.iter_lines()  # kept, as the connection closes with it
        assert next(lines).startswith("event: progress")
        answer = client.get(f"/jobs/{job}/events")
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "busy")
    client.delete(f"/jobs/{job}")
    ended(client, job)
    wait_for(lambda: client.get(f"/jobs/{job}/events").status_code == 200)


def test_streams_that_begin_at_once_are_refused_before_their_answer_begins(
    narrow: Server, held: httpx.Client, films: Path
) -> None:
    job = submit(held, films / "grey.avi")
    begun, answered = threading.Barrier(4), threading.Barrier(4)

    def open_stream(_: int) -> int:
        begun.wait(patience(10))
        with narrow.client() as client, client.stream("GET", f"/jobs/{job}/events") as stream:
            answered.wait(patience(10))
            return stream.status_code

    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(open_stream, range(4)))
    assert sorted(statuses) == [200, 429, 429, 429]
    held.delete(f"/jobs/{job}")
    ended(held, job)


def test_decoding_stops_at_its_deadline(locked: Server, films: Path) -> None:
    video = {"video": (films / "grey.avi").read_bytes()}
    with locked.client(headers={"X-API-Key": "open sesame"}) as client:
        client.post("/predict_file", files=video).raise_for_status()
        decoder = locked.only_decoder()
        decoder.suspend()  # so that nothing but the deadline ends its work
        answer = client.post("/predict_file", files=video)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "too_slow")
        assert "longer than 2 s" in answer.json()["error"]["message"]
        assert not decoder.is_running()
        assert client.post("/predict_file", files=video).status_code == 200
    wait_for(lambda: locked.leftovers() == [])


def test_ten_minutes_take_no_more_memory_than_seconds(serve: Serve, films: Path, tmp_path: Path) -> None:
    film = write_video_file(
        tmp_path / "film.avi", (np.full((48, 64, 3), n // 60 % 256, np.uint8) for n in range(15_000))
    )
    server = serve(max_duration_s=600, max_frames=15_000, max_upload_bytes=2**26)
    process = psutil.Process(server.process.pid)

    def memory(job: str) -> int:
        most = 0
        while client.get(f"/jobs/{job}").json()["state"] in ("queued", "running"):
            for one in (process, *server.decoders):
                with suppress(psutil.NoSuchProcess):  # a decoder may have ended since it was listed
                    most = max(most, one.memory_full_info().uss)
        return most

    with server.client() as client:
        short = max(memory(submit(client, films / "long.avi")) for _ in range(2))
        job = submit(client, film)
        long = memory(job)
        result = client.get(f"/jobs/{job}").json()["result"]
    assert result["video"]["duration_s"] == pytest.approx(600)
    assert len(result["segments"]) > 2
    # The 2400 frames that are sampled are 88 MB as they are decoded. Those of the short film are seen in a few looks
    # only, between which a worker's memory differs by up to 8 MB; as the model takes them, all 2400 would be 7 MB.
    assert long - short < 20e6


def test_after_a_crash_files_are_removed_and_jobs_fail(serve: Serve, films: Path) -> None:
    first = serve()
    decoder = first.only_decoder()
    decoder.suspend()
    host, port = first.address.removeprefix("http://").split(":")
    with first.client() as client, socket.create_connection((host, int(port))) as connection:
        job = submit(client, films / "grey.avi")
        wait_for(lambda: client.get(f"/jobs/{job}").json()["state"] == "running")
        connection.sendall(
            b"POST /predict_file HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
            b"Content-Length: 100\r\n\r\n--b\r\n"
        )
        wait_for(first.leftovers)
        first.process.kill()
        first.process.wait()
    assert first.leftovers()
    decoder.resume()
    decoder.wait(patience(5))  # it ends when its pipe does
    second = serve(state_dir=first.state)
    assert second.leftovers() == []
    assert len(list((first.state / "workers").iterdir())) == 1
    with second.client() as client:
        state = ended(client, job)
    assert (state["state"], state["error"]["code"]) == ("failed", "interrupted")


def test_any_worker_can_stream_and_cancel_a_job(
    serve: Serve, narrow: Server, halted: psutil.Process, held: httpx.Client, films: Path
) -> None:
    with serve(state_dir=narrow.state).client() as other:
        job = submit(held, films / "grey.avi")
        wait_for(lambda: other.get(f"/jobs/{job}").json()["state"] == "running")
        other.delete(f"/jobs/{job}")
        assert [name for name, _ in follow(other, job)][-1] == "cancelled"
        finished = submit(other, films / "grey.avi")
        assert [name for name, _ in follow(held, finished)][-1] == "done"
        assert held.get(f"/jobs/{finished}/frames/0.jpg").status_code == 200
