"""One visitor's camera: frames come, answers go back, and nothing is kept but the last window.

Frames are never queued: while one is looked at, the newest of those that come waits, and the others are dropped.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import suppress

from fastapi import WebSocket, WebSocketDisconnect
from starlette.types import Message

from actreel.inference.classifier import ActionClassifier
from actreel.inference.steady import SteadyLabel
from actreel.video.clips import fit_frame
from serving.answers import Answer, Refusal
from serving.camera.messages import (
    BAD_DATA,
    NORMAL,
    NOT_BINARY,
    POLICY,
    ClosedError,
    Frame,
    Sighting,
    WindowAnswer,
    closed,
    read_frame,
)
from serving.metrics import CAMERA_FRAMES, REFUSALS
from serving.settings import Settings

IDLE_S = 15.0
"""Seconds without a frame after which a session is closed."""

BURST_S = 2.0
"""So many seconds' frames may come at once: a connection that was held up delivers them together."""

GOODBYE_S = 5.0
"""Seconds that a client has to read the reason before it is hung up on."""


class CameraSession:
    """A visitor's camera, from the first frame to the last.

    Args:
        socket: The accepted WebSocket.
        classifier: The model.
        settings: The operator's settings.
        turn: Held while a frame is looked at: the cameras of a worker take turns, so that they leave the other
            requests a core.
    """

    def __init__(self, socket: WebSocket, classifier: ActionClassifier, settings: Settings, turn: asyncio.Lock) -> None:
        self._socket = socket
        self._classifier = classifier
        self._settings = settings
        self._turn = turn
        self._window = classifier.timed_window()
        self._steady = SteadyLabel(classifier.stream_window_s / 2, classifier.card.max_distance)
        self._newest: Frame | None = None
        self._arrived = asyncio.Event()
        self._last_ms = -math.inf
        self._credit = BURST_S * settings.camera_frames_per_s
        self._counted = time.monotonic()

    async def run(self) -> None:
        """Answers frames until the client leaves, breaks a rule, or has been here for as long as a session lasts."""
        working = [asyncio.create_task(self._receive_frames()), asyncio.create_task(self._answer_frames())]
        try:
            done, _ = await asyncio.wait(
                working, timeout=self._settings.camera_session_s, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                task.result()
            if not done:
                raise closed(
                    NORMAL,
                    "session_over",
                    f"A camera is stopped after {self._settings.camera_session_s:g} s.",
                    "Start it again to go on.",
                )
        except ClosedError as reason:
            await close(self._socket, reason)
        except WebSocketDisconnect:
            return
        finally:
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)

    async def _receive_frames(self) -> None:
        while True:
            try:
                async with asyncio.timeout(IDLE_S):
                    message = await self._socket.receive()
            except TimeoutError as error:
                raise closed(
                    POLICY, "too_slow", f"No frame came for {IDLE_S:g} s.", "Try again on a faster connection."
                ) from error
            if message["type"] == "websocket.disconnect":
                return
            frame = self._admitted(message)
            if self._newest is not None:
                CAMERA_FRAMES.labels("dropped").inc()
            self._newest = frame
            self._arrived.set()

    def _admitted(self, message: Message) -> Frame:
        """The frame in a message.

        Raises:
            ClosedError: It is none, or too many came.
        """
        now = time.monotonic()
        rate = self._settings.camera_frames_per_s
        self._credit = min(BURST_S * rate, self._credit + (now - self._counted) * rate) - 1
        self._counted = now
        if self._credit < 0:
            raise closed(
                POLICY,
                "rate_limited",
                f"Too many frames: a camera may send {rate:g} a second.",
                "Send fewer: GET /camera says how many are of use.",
            )
        data = message.get("bytes")
        if data is None:
            raise closed(
                NOT_BINARY, "bad_frame", "A frame must be a binary message. Received: text.", "Send its bytes."
            )
        frame = read_frame(data, self._settings.camera_frame_bytes)
        if frame.captured_ms <= self._last_ms:
            raise closed(
                BAD_DATA,
                "bad_frame",
                "Each frame must be captured after the one before. Received: an earlier time.",
                "Send frames in order.",
            )
        self._last_ms = frame.captured_ms
        return frame

    async def _answer_frames(self) -> None:
        while True:
            await self._arrived.wait()
            async with self._turn:
                frame, self._newest = self._newest, None
                self._arrived.clear()
                if frame is None:  # cannot happen: whoever sets the event sets the frame
                    continue
                sighting = await asyncio.to_thread(self._look, frame)
            CAMERA_FRAMES.labels("answered").inc()
            await self._socket.send_text(sighting.model_dump_json())

    def _look(self, frame: Frame) -> Sighting:
        card, at_s = self._classifier.card, frame.captured_ms / 1000
        scores = self._window.push(fit_frame(frame.pixels, card.clip), at_s)
        answer = None
        if scores is not None:
            shown = self._steady.update(*scores, at_s, self._window.num_starts)
            answer = WindowAnswer(
                label=card.labels[shown.action],
                confidence=shown.confidence,
                known=shown.known,
                top=[Answer.model_validate(each) for each in self._classifier.ranked(scores[0])],
            )
        return Sighting(captured_ms=frame.captured_ms, filled=self._window.filled, answer=answer)


async def close(socket: WebSocket, reason: ClosedError) -> None:
    """Tells a client why, in words and as a close code, and hangs up."""
    REFUSALS.labels(reason.problem.code).inc()
    with suppress(WebSocketDisconnect, RuntimeError, TimeoutError):  # it may have left meanwhile
        async with asyncio.timeout(GOODBYE_S):
            await socket.send_text(Refusal(error=reason.problem).model_dump_json())
            await socket.close(reason.close_code, reason.problem.code)
