"""Cameras over real WebSockets: what they are answered, and what they are refused for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import httpx
import numpy as np
import pytest
from httpx_ws import HTTPXWSException, WebSocketDisconnect, WebSocketSession, WebSocketUpgradeError, connect_ws

from serving.camera.messages import HEADER, SUBPROTOCOL
from tests.conftest import patience
from tests.serving.conftest import CLIP_DURATION_S, LABELS, Serve, Server, wait_for

FRAMES = 8
PART_MS = CLIP_DURATION_S * 1000 / FRAMES


@pytest.fixture(scope="module")
def small(serve: Serve) -> Server:
    """A server of 2 cameras at once, 10 frames a second and 10,000 bytes a frame."""
    return serve(max_cameras=2, camera_frames_per_s=10, camera_frame_bytes=10_000)


@contextmanager
def camera(server: Server, **options: Any) -> Iterator[WebSocketSession]:
    """An open session, known to be one of the service's."""
    with server.client() as client, connect_ws(f"{server.address}/camera", client, **options) as session:
        yield session


def frame(level: int, number: int, width: int = 48, height: int = 36) -> bytes:
    return HEADER.pack(number * PART_MS, width, height) + np.full((height, width, 3), level, np.uint8).tobytes()


def heard(session: WebSocketSession) -> dict[str, Any]:
    return dict(json.loads(session.receive_text(timeout=patience(10))))


def watched(session: WebSocketSession, level: int, start: int = 0) -> dict[str, Any]:
    """Shows a window of one brightness, frame by frame, and returns the last answer."""
    said: dict[str, Any] = {}
    for number in range(start, start + FRAMES):
        session.send_bytes(frame(level, number))
        said = heard(session)
        assert said["captured_ms"] == number * PART_MS, "the time of capture comes back, for the lag"
    return said


def refusal(session: WebSocketSession, messages: list[bytes | str]) -> tuple[str, int, str]:
    """What a client is told that sends such messages: the problem's code, the close code and its reason."""
    problem = ""
    with suppress(HTTPXWSException):  # the service may have hung up already
        for message in messages:
            session.send_text(message) if isinstance(message, str) else session.send_bytes(message)
    try:
        while True:
            problem = heard(session).get("error", {}).get("code", "")
    except WebSocketDisconnect as closed:
        return problem, closed.code, closed.reason or ""


def test_each_visitor_is_answered_what_the_own_camera_shows(small: Server) -> None:
    with small.client() as client:
        told = client.get("/camera").json()
        ticket = client.post("/camera").json()["ticket"]
    assert (told["width"], told["height"], told["frames_per_s"], told["window_s"]) == (32, 32, 4.0, 2.0)
    with camera(small) as one, camera(small, subprotocols=[SUBPROTOCOL, ticket]) as other:
        assert other.subprotocol == SUBPROTOCOL
        for number in range(FRAMES - 1):
            for session, level in ((one, 0), (other, 255)):
                session.send_bytes(frame(level, number))
                said = heard(session)
                assert (said["answer"], said["filled"]) == (None, (number + 1) / FRAMES)
        for session, level, label in ((one, 0, LABELS[0]), (other, 255, LABELS[2])):
            session.send_bytes(frame(level, FRAMES - 1))
            answer = heard(session)["answer"]
            assert (answer["label"], answer["known"]) == (label, True)
            assert len(answer["top"]) == 3
        unknown = watched(one, 64, start=FRAMES)["answer"]
        assert (unknown["known"], unknown["confidence"]) == (False, 0)

        with camera(small) as third:
            assert refusal(third, []) == ("busy", 1013, "busy")
        assert watched(other, 255, start=2 * FRAMES)["answer"]["label"] == LABELS[2], "the others go on"
    with camera(small) as later:
        assert watched(later, 0)["answer"]["label"] == LABELS[0], "a place is free again, and nothing is left in it"


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        (["text"], ("bad_frame", 1003, "bad_frame")),
        ([frame(0, 0)[:-1]], ("bad_frame", 1007, "bad_frame")),
        ([b""], ("bad_frame", 1007, "bad_frame")),
        ([frame(0, 1), frame(0, 1)], ("bad_frame", 1007, "bad_frame")),
        ([frame(0, number) for number in range(200)], ("rate_limited", 1008, "rate_limited")),
    ],
    ids=["text", "too short", "empty", "not in order", "too fast"],
)
def test_a_hostile_message_ends_the_session(
    small: Server, messages: list[bytes | str], told: tuple[str, int, str]
) -> None:
    with camera(small) as session:
        assert refusal(session, messages) == told


def test_a_huge_message_ends_the_session_before_it_is_collected(small: Server) -> None:
    with camera(small) as session:
        assert refusal(session, [frame(0, 0, 400, 400)])[1] == 1009
    with camera(small) as session:
        assert watched(session, 0)["answer"]["label"] == LABELS[0], "the service goes on"
    assert "Traceback" not in small.log


def test_a_session_ends_after_its_time(serve: Serve) -> None:
    server = serve(camera_session_s=0.2)
    with camera(server) as session:
        assert refusal(session, []) == ("session_over", 1000, "session_over")
    # The session's line in the log is written when it has ended, without address or ticket.
    line = json.loads(
        wait_for(lambda: [row for row in server.log.splitlines() if "WEBSOCKET" in row])[-1].split(":", 2)[2]
    )
    assert (line["method"], line["route"], line["status"]) == ("WEBSOCKET", "/camera", 101)


def test_where_it_is_off_there_is_none(serve: Serve) -> None:
    server = serve(max_cameras=0)
    with server.client() as client:
        assert client.get("/camera").json() is None
        assert client.post("/camera").json()["error"]["code"] == "no_camera"
        assert "camera=()" in client.get("/").headers["permissions-policy"]
    with pytest.raises(WebSocketUpgradeError) as refused, camera(server):
        pass
    assert refused.value.response.status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "{own}", "Sec-Fetch-Site": "same-site"},
    ],
)
def test_other_sites_open_none(small: Server, headers: dict[str, str]) -> None:
    sent = {name: value.replace("{own}", small.address) for name, value in headers.items()}
    with pytest.raises(WebSocketUpgradeError) as refused, camera(small, headers=sent):
        pass
    assert refused.value.response.status_code == 403
    with camera(small, headers={"Origin": small.address}) as own:
        own.send_bytes(frame(0, 0))
        assert heard(own)["filled"] == 1 / FRAMES


def test_a_key_is_required_if_one_is_set(locked: Server) -> None:
    key = {"X-API-Key": "open sesame"}
    with locked.client() as client:
        assert client.post("/camera").status_code == 401
        ticket = client.post("/camera", headers=key).json()["ticket"]
    for options in ({}, {"headers": {"X-API-Key": "guess"}}, {"subprotocols": [SUBPROTOCOL, ticket[:-1]]}):
        with pytest.raises(WebSocketUpgradeError) as refused, camera(locked, **options):
            pass
        assert refused.value.response.status_code == 401
    foreign = {"Origin": "https://behind.a.proxy.example"}  # a page there has made the call that gave the ticket
    for options in ({"headers": key}, {"subprotocols": [SUBPROTOCOL, ticket], "headers": foreign}):
        with camera(locked, **options) as session:
            session.send_bytes(frame(0, 0))
            assert heard(session)["filled"] == 1 / FRAMES
    assert ticket not in locked.log


def test_no_other_path_has_a_socket(small: Server) -> None:
    for path in ("/", "/jobs", "/static/page.js"):
        with small.client() as client, pytest.raises(WebSocketUpgradeError) as refused, ExitStack() as stack:
            stack.enter_context(connect_ws(f"{small.address}{path}", client))
        assert refused.value.response.status_code == 404
    assert "Traceback" not in small.log


def test_frames_that_come_faster_than_the_model_are_dropped_and_the_newest_is_answered(serve: Serve) -> None:
    server = serve(camera_frames_per_s=100)
    with camera(server) as session:
        for number in range(150):
            session.send_bytes(frame(0, number))
        said = heard(session)
        answers = 1
        while said["captured_ms"] < 149 * PART_MS:
            said = heard(session)
            answers += 1
    with server.client() as client:
        counts = dict(
            row.rsplit(" ", 1) for row in client.get("/metrics").text.splitlines() if "camera_frames_total" in row
        )
    outcomes = {name.split('"')[1]: float(count) for name, count in counts.items()}
    assert outcomes["answered"] == answers
    assert sum(outcomes.values()) == 150


def test_httpx_is_still_answered_at_the_same_path(small: Server) -> None:
    assert httpx.get(f"{small.address}/camera", headers={"Connection": "upgrade"}).status_code == 200
