"""Cameras over real WebSockets: what they are answered, and what they are refused for."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI, WebSocket
from httpx_ws import HTTPXWSException, WebSocketDisconnect, WebSocketSession, WebSocketUpgradeError, connect_ws
from wsproto.utilities import LocalProtocolError

from actreel.inference.classifier import ActionClassifier
from serving.camera import session as session_module
from serving.camera.messages import HEADER, SUBPROTOCOL
from serving.camera.session import CameraSession
from serving.settings import Settings
from tests.conftest import patience
from tests.serving.conftest import CLIP_DURATION_S, LABELS, NO_CERTIFICATES, Server, wait_for

FRAMES = 8
PART_MS = CLIP_DURATION_S * 1000 / FRAMES


SESSIONS: dict[str, list[int]] = {}
"""For each server, the sessions opened so far and those open now."""


@contextmanager
def camera(
    server: Server, client: httpx.Client | None = None, address: str = "", **options: Any
) -> Iterator[WebSocketSession]:
    """A session; when the context has ended, the server has seen its end too, and its place is free."""
    sessions = SESSIONS.setdefault(server.address, [0, 0])
    path = f"{address or server.address}/camera"
    with nullcontext(client) if client else server.client() as asking, connect_ws(path, asking, **options) as session:
        sessions[:] = sessions[0] + 1, sessions[1] + 1
        try:
            yield session
        finally:
            sessions[1] -= 1
    wait_for(lambda: len(logged(server)) == sessions[0] - sessions[1])


def logged(server: Server) -> list[str]:
    """The server's log of the sessions that have ended."""
    return [line for line in server.log.splitlines() if '"WEBSOCKET"' in line and '"status": 101' in line]


def frame(level: int, number: int, width: int = 48, height: int = 36) -> bytes:
    return HEADER.pack(number * PART_MS, width, height) + np.full((height, width, 3), level, np.uint8).tobytes()


def heard(session: WebSocketSession) -> dict[str, Any]:
    return dict(json.loads(session.receive_text(timeout=patience(10))))


def watched(session: WebSocketSession, level: int, start: int = 0, step: int = 1, stop: int = 0) -> dict[str, Any]:
    """Shows a window of one brightness, frame by frame, and returns the last answer."""
    said: dict[str, Any] = {}
    for number in range(start, stop or start + FRAMES, step):
        session.send_bytes(frame(level, number))
        said = heard(session)
        assert said["captured_ms"] == number * PART_MS, "the time of capture comes back, for the lag"
    return said


def refusal(session: WebSocketSession, messages: list[bytes | str]) -> tuple[str, int, str]:
    """What a client is told that sends such messages: the problem's code, the close code and its reason."""
    problem = ""
    with suppress(HTTPXWSException, LocalProtocolError):  # the service may have hung up already
        for message in messages:
            session.send_text(message) if isinstance(message, str) else session.send_bytes(message)
    try:
        while True:
            problem = heard(session).get("error", {}).get("code", "")
    except WebSocketDisconnect as closed:
        return problem, closed.code, closed.reason or ""


def test_each_visitor_is_answered_what_the_own_camera_shows(narrow: Server) -> None:
    with narrow.client() as client:
        told = client.get("/camera").json()
        ticket = client.post("/camera").json()["ticket"]
    assert (told["width"], told["height"], told["frames_per_s"], told["window_s"]) == (32, 32, 4.0, 2.0)
    with camera(narrow) as one, camera(narrow, subprotocols=[SUBPROTOCOL, ticket]) as other:
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
        unknown = watched(one, 64, start=2 * FRAMES)["answer"]
        assert (unknown["known"], unknown["confidence"]) == (False, 0)

        with camera(narrow) as third:
            assert refusal(third, []) == ("busy", 1013, "busy")
        assert watched(other, 255, start=2 * FRAMES)["answer"]["label"] == LABELS[2], "the others go on"
    with camera(narrow) as later:
        assert watched(later, 0)["answer"]["label"] == LABELS[0], "a place is free again, and nothing is left in it"


def test_at_the_limit_what_is_shown_does_not_flicker(narrow: Server) -> None:
    at_the_limit = 203  # its distance is 2 % beyond the largest that counts as known
    with camera(narrow) as session:
        assert watched(session, 255)["answer"]["label"] == LABELS[2]
        still = watched(session, at_the_limit, FRAMES + 2, step=3, stop=4 * FRAMES)["answer"]
        assert (still["label"], still["known"]) == (LABELS[2], True)
        assert still["top"][0]["confidence"] == pytest.approx(still["confidence"], abs=1e-5)
        # After a gap as long as a window it starts again.
        again = watched(session, at_the_limit, 10 * FRAMES, step=3, stop=11 * FRAMES + 2)["answer"]
        assert (again["known"], again["confidence"]) == (False, 0)


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        (["text"], ("bad_frame", 1003, "bad_frame")),
        ([frame(0, 0)[:-1]], ("bad_frame", 1007, "bad_frame")),
        ([b""], ("bad_frame", 1007, "bad_frame")),
        ([frame(0, 1), frame(0, 1)], ("bad_frame", 1007, "bad_frame")),
        ([frame(0, number, 2, 2) for number in range(200)], ("rate_limited", 1008, "rate_limited")),
    ],
    ids=["text", "too short", "empty", "not in order", "too fast"],
)
def test_a_hostile_message_ends_the_session(
    narrow: Server, messages: list[bytes | str], told: tuple[str, int, str]
) -> None:
    with camera(narrow) as session:
        assert refusal(session, messages) == told


def test_a_message_too_large_ends_the_session_and_the_service_goes_on(narrow: Server) -> None:
    with camera(narrow) as session:
        assert refusal(session, [frame(0, 0, 60, 60)])[1] == 1009
    with camera(narrow) as session:
        assert watched(session, 0)["answer"]["label"] == LABELS[0], "the service goes on"
    assert "Traceback" not in narrow.log


@pytest.mark.parametrize(
    ("session_s", "idle_s", "told"),
    [(0.05, 60, ("session_over", 1000, "session_over")), (60, 0.05, ("too_slow", 1008, "too_slow"))],
)
def test_a_session_ends_after_its_time_and_without_frames(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch, session_s: float, idle_s: float, told: tuple[str, int, str]
) -> None:
    classifier = ActionClassifier.load(model_folder, threads=1)
    monkeypatch.setattr(session_module, "IDLE_S", idle_s)
    app = FastAPI()

    @app.websocket("/camera")
    async def answer(opened: WebSocket) -> None:
        await opened.accept()
        await CameraSession(opened, classifier, Settings(camera_session_s=session_s), asyncio.Lock()).run()

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/camera"
        running = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        with httpx.Client(verify=NO_CERTIFICATES) as client, connect_ws(address, client) as session:
            assert refusal(session, []) == told
        running.should_exit = True
        thread.join(patience(10))


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "{own}", "Sec-Fetch-Site": "same-site"},
    ],
)
def test_other_sites_open_none(narrow: Server, headers: dict[str, str]) -> None:
    sent = {name: value.replace("{own}", narrow.address) for name, value in headers.items()}
    with pytest.raises(WebSocketUpgradeError) as refused, camera(narrow, headers=sent):
        pass
    assert refused.value.response.status_code == 403
    with camera(narrow, headers={"Origin": narrow.address}) as own:
        own.send_bytes(frame(0, 0))
        assert heard(own)["filled"] == 1 / FRAMES


def test_a_key_is_required_if_one_is_set(locked: Server) -> None:
    key = {"X-API-Key": "open sesame"}
    with locked.client() as client:
        assert client.post("/camera").status_code == 401
        ticket = client.post("/camera", headers=key).json()["ticket"]
    wrong: list[dict[str, Any]] = [
        {}, {"headers": {"X-API-Key": "guess"}}, {"subprotocols": [SUBPROTOCOL, ticket[:-1]]}
    ]  # fmt: skip
    for options in wrong:
        with pytest.raises(WebSocketUpgradeError) as refused, camera(locked, **options):
            pass
        assert refused.value.response.status_code == 401
    foreign = {"Origin": "https://behind.a.proxy.example"}  # a page there has made the call that gave the ticket
    right: list[dict[str, Any]] = [{"headers": key}, {"subprotocols": [SUBPROTOCOL, ticket], "headers": foreign}]
    for options in right:
        with camera(locked, **options) as session:
            session.send_bytes(frame(0, 0))
            assert heard(session)["filled"] == 1 / FRAMES
    assert ticket not in locked.log


def test_no_other_path_has_a_socket(narrow: Server) -> None:
    for path in ("/", "/jobs", "/static/page.js"):
        with narrow.client() as client, pytest.raises(WebSocketUpgradeError) as refused, ExitStack() as stack:
            stack.enter_context(connect_ws(f"{narrow.address}{path}", client))
        assert refused.value.response.status_code == 404
    assert "Traceback" not in narrow.log


def outcomes(server: Server) -> dict[str, float]:
    """How many frames of cameras the server has answered and dropped."""
    with server.client() as client:
        rows = client.get("/metrics").text.splitlines()
    counts = [row.rsplit(" ", 1) for row in rows if row.startswith("actreel_camera_frames_total{")]
    return {name.split('"')[1]: float(count) for name, count in counts}


def test_of_frames_that_come_together_the_newest_is_answered_and_the_others_are_dropped(server: Server) -> None:
    with camera(server) as session:
        for number in range(50):
            session.send_bytes(frame(0, number))
        answered = [heard(session)["captured_ms"]]
        while answered[-1] < 49 * PART_MS:
            answered.append(heard(session)["captured_ms"])
    counts = outcomes(server)
    assert counts["answered"] == len(answered)
    assert counts["answered"] + counts.get("dropped", 0) == 50
    assert answered == sorted(answered)


def test_a_session_leaves_one_line_in_the_log_without_its_address(narrow: Server) -> None:
    with camera(narrow) as session:
        watched(session, 0)
    line = logged(narrow)[-1]
    assert json.loads(line[line.index("{") :]).keys() == {"request", "method", "route", "status", "ms"}
    assert '"route": "/camera"' in line
