"""What a camera's client and the service send each other over the WebSocket.

A frame is raw pixels and needs no decoder: what is not exactly as long as its width and height say is refused.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from actreel.inference.classifier import ActionClassifier
from serving.answers import Answer, Problem
from serving.settings import Settings

HEADER = struct.Struct("<dHH")
"""Before the pixels: when the frame was captured, in ms on the client's own clock, its width and its height."""

LATEST_MS = 2.0**53
"""Milliseconds that a double still counts one by one; also 0.3 million years."""

SUBPROTOCOL = "actreel.camera"

# RFC 6455, 7.4.1
NORMAL, NOT_BINARY, BAD_DATA, POLICY, TOO_BIG, INTERNAL, TRY_LATER = 1000, 1003, 1007, 1008, 1009, 1011, 1013


def longest_message(settings: Settings) -> int:
    """Bytes of the largest frame with its header."""
    return HEADER.size + settings.camera_frame_bytes


class ClosedError(Exception):
    """Ends a session, with the code of the WebSocket's close frame and the reason for people."""

    def __init__(self, close_code: int, problem: Problem) -> None:
        super().__init__(problem.message)
        self.close_code = close_code
        self.problem = problem


def closed(close_code: int, code: str, message: str, next_step: str) -> ClosedError:
    """The end of a session, with its problem in words."""
    return ClosedError(close_code, Problem(code=code, message=message, next_step=next_step))


@dataclass(frozen=True)
class Frame:
    """A frame as it came.

    Attributes:
        captured_ms: When it was captured, in milliseconds on the client's clock.
        pixels: uint8 (h, w, 3), RGB.
    """

    captured_ms: float
    pixels: NDArray[np.uint8]


def read_frame(message: bytes, max_bytes: int) -> Frame:
    """Reads a message: the header, then exactly `width * height * 3` bytes, RGB, row by row.

    Args:
        message: The message.
        max_bytes: The most pixels, in bytes.

    Raises:
        ClosedError: It is anything else.
    """
    if len(message) > HEADER.size + max_bytes:
        raise closed(
            TOO_BIG,
            "too_large",
            f"A frame may have {max_bytes} bytes of pixels. Received: {len(message) - HEADER.size}.",
            "Scale the frames down: GET /camera says to which size.",
        )
    if len(message) > HEADER.size:
        captured_ms, width, height = HEADER.unpack_from(message)
        if 0 <= captured_ms < LATEST_MS and width * height * 3 == len(message) - HEADER.size:
            pixels = np.frombuffer(message, dtype=np.uint8, offset=HEADER.size)
            return Frame(captured_ms, pixels.reshape(height, width, 3))
    raise closed(
        BAD_DATA,
        "bad_frame",
        f"A frame must be a header of {HEADER.size} bytes, with a time from 0 on, and width times height times 3 "
        f"bytes of pixels. Received: {len(message)} bytes that do not fit that.",
        "See the documentation's page on the service and its API.",
    )


def describe(classifier: ActionClassifier, settings: Settings) -> Camera:
    """What a page should send of a camera."""
    clip, window_s = classifier.card.clip, classifier.stream_window_s
    return Camera(
        width=clip.width,
        height=clip.height,
        frame_bytes=settings.camera_frame_bytes,
        frames_per_s=min(clip.num_frames / window_s, settings.camera_frames_per_s),
        window_s=window_s,
        session_s=settings.camera_session_s,
    )


class Camera(BaseModel):
    """What a page should send of a visitor's camera; see the documentation for the form of each frame.

    Frames of about the model's input, `width` times `height` pixels, are enough, and none may have more than
    `frame_bytes` bytes. `window_s` is how many seconds an answer looks back, `session_s` how long a session may last.
    """

    width: int
    height: int
    frame_bytes: int
    frames_per_s: float
    window_s: float
    session_s: float


class CameraTicket(BaseModel):
    """Lets a page open a session soon: it is the second of the WebSocket's subprotocols."""

    ticket: str


class WindowAnswer(Answer):
    """What is seen, with a label that is steady, as in `actreel watch`; `top` is what the model says of this window."""

    known: bool
    top: list[Answer]


class Sighting(BaseModel):
    """The answer to one frame of a camera, told by the time at which it was captured, as the client sent it.

    `filled` is the share of the window that was seen; `answer` is null until it is 1.
    """

    captured_ms: float
    filled: float
    answer: WindowAnswer | None
