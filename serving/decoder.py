"""A decoder process: `python -m serving.decoder SETTINGS`, the only place where visitors' videos are opened.

Reads one JSON request a line from stdin; writes messages to stdout, each a line of JSON, followed by `bytes` raw bytes
where it names them. It holds nothing worth stealing, may be killed at any time, and gives itself limits of memory,
processor time, open files and file size before it opens the first video.
"""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from actreel.config import ClipSpec
from actreel.errors import VideoError, VideoLimitError
from actreel.inference.windows import in_batches, window_passes
from actreel.video.clips import middle_frames
from actreel.video.limits import VideoLimits

THUMBNAIL_SIDE = 320
MESSAGE_BYTES = 2**20
"""At most as many bytes of frames go in one message, or a hop's if these are more.

A few seconds of small frames so come together, and a worker decodes, then runs the model: about one core is its own,
and a second worker finds another one free. Sent hop by hop, a 7 s video would be answered 33 rather than 38 ms after it
was sent, but two workers on two cores would answer no more of them. Large frames, whose model takes ten times as long
as the decoder, do go hop by hop.
"""
OPEN_FILES = 32


class Messenger:
    """Writes messages."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def say(self, message: dict[str, Any], payload: bytes = b"") -> None:
        """Sends a message and its raw bytes."""
        self._stream.write(json.dumps(message | ({"bytes": len(payload)} if payload else {})).encode() + b"\n")
        self._stream.write(payload)
        self._stream.flush()


def main() -> None:
    """Decodes one video after the other, until stdin ends."""
    settings = json.loads(sys.argv[1])
    # Whatever a library prints must not end up among the messages.
    messenger = Messenger(os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=2**20))
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    # BentoML's supervisor ends a worker's children with it, but a worker that is replaced finishes its videos first.
    # A decoder ends when its stdin does.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    cv2.setNumThreads(1)
    _limit(resource.RLIMIT_AS, settings["memory_bytes"])
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    messenger.say({"say": "ready"})
    for line in sys.stdin:
        request = json.loads(line)
        # Killed even if the service that would have killed it is gone.
        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = int(used.ru_utime + used.ru_stime + request["timeout_s"]) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
        try:
            decode(request, settings, messenger)
        except VideoLimitError as error:
            messenger.say({"say": "refused", "reason": "limit", "message": str(error)})
        except (VideoError, MemoryError, cv2.error):
            # OpenCV's and Python's own words on memory would tell a visitor nothing.
            messenger.say({"say": "refused", "reason": "damaged", "message": ""})


def decode(request: dict[str, Any], settings: dict[str, Any], messenger: Messenger) -> None:
    """Sends a video's plan, then its sampled frames and thumbnails as they are decoded, then what it holds."""
    spec = ClipSpec(**settings["spec"])
    limits = VideoLimits(**settings["limits"])
    for attempt in window_passes(Path(request["path"]), spec, settings["clip_duration_s"], limits):
        plan, info = attempt.plan, attempt.info
        messenger.say({"say": "plan", "plan": vars(plan), "info": vars(info)})
        thumbnails = middle_frames(min(plan.num_parts, info.num_frames), request["thumbnails"]).tolist()
        hop_bytes = plan.hop * math.prod(spec.shape[1:])
        together = plan.hop * max(1, MESSAGE_BYTES // hop_bytes)
        for frames in in_batches(attempt.frames(partial(_send_thumbnails, messenger, thumbnails)), together):
            messenger.say({"say": "frames"}, frames.tobytes())
    messenger.say({"say": "done", "info": vars(attempt.info)})


def _send_thumbnails(messenger: Messenger, thumbnails: list[int], count: int, frame: NDArray[np.uint8]) -> None:
    """Sends a frame, uint8 (h, w, 3), once for each thumbnail that it is; a short video repeats some."""
    if count in thumbnails:
        jpeg = _thumbnail(frame)
        for number, wanted in enumerate(thumbnails):
            if wanted == count:
                messenger.say({"say": "thumbnail", "number": number}, jpeg)


def _thumbnail(frame: NDArray[np.uint8]) -> bytes:
    height, width = frame.shape[:2]
    scale = min(1.0, THUMBNAIL_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 80])
    return bytes(jpeg.tobytes())


def _limit(what: int, value: int) -> None:
    resource.setrlimit(what, (value, value))


if __name__ == "__main__":
    try:
        main()
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(1)  # the service is gone; there is nobody to tell
