"""A decoder process: `python -m serving.sandbox.decoder SETTINGS`, the only place where visitors' videos are opened.

It reads requests from stdin, one line of JSON each, and writes messages to stdout: a line of JSON, followed by as many
raw bytes as its `bytes` says. It holds no secrets, may be killed at any time, and limits its own memory, processor
time, open files and file size before it opens the first video.
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

import numpy as np
from numpy.typing import NDArray

from actreel.config import ClipSpec, TrackSpec
from actreel.errors import SignalError, VideoCodecError, VideoError, VideoLimitError
from actreel.inference.windows import window_passes
from actreel.video.clips import middle_frames
from actreel.video.info import VideoLimits
from actreel.video.opencv import cv2

THUMBNAIL_SIDE = 320
MESSAGE_BYTES = 2**20
"""Limit on the bytes of frames in one message; a message holds at least one hop.

Small frames are sent several seconds at a time, so decoder and model take turns and a worker keeps about one core
busy, which leaves the other to a second worker. Sent hop by hop, a 7 s video would be answered in 33 rather than 38 ms,
but two workers on two cores would have the same throughput. Large frames, for which the model takes ten times as long
as the decoder, are sent hop by hop.
"""
OPEN_FILES = 32


class Messenger:
    """Writes messages to the service."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def say(self, message: dict[str, Any], payload: bytes = b"") -> None:
        """Sends a message and its raw bytes."""
        self._stream.write(json.dumps(message | ({"bytes": len(payload)} if payload else {})).encode() + b"\n")
        self._stream.write(payload)
        self._stream.flush()


def main() -> None:
    """Decodes one video after another until stdin closes."""
    settings = json.loads(sys.argv[1])
    # Libraries may print to stdout, which must carry only our messages.
    messenger = Messenger(os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=2**20))
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    # BentoML's supervisor sends SIGTERM to a worker's children too, but a worker that is being replaced finishes its
    # videos first. A decoder ends when its stdin closes.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    cv2.setNumThreads(1)
    _limit(resource.RLIMIT_AS, settings["memory_bytes"])
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    messenger.say({"say": "ready"})
    for line in sys.stdin:
        request = json.loads(line)
        # The kernel kills it at the deadline even if the service is gone.
        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = int(used.ru_utime + used.ru_stime + request["timeout_s"]) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
        try:
            decode(request, settings, messenger)
        except VideoLimitError as error:
            messenger.say({"say": "refused", "reason": "limit", "message": str(error)})
        except SignalError as error:
            messenger.say({"say": "refused", "reason": "signal", "message": str(error)})
        except VideoCodecError as error:
            messenger.say({"say": "refused", "reason": "codec", "message": error.codec})
        except (VideoError, MemoryError, cv2.error):
            # What OpenCV and Python say about memory would not help a visitor.
            messenger.say({"say": "refused", "reason": "damaged", "message": ""})


def decode(request: dict[str, Any], settings: dict[str, Any], messenger: Messenger) -> None:
    """Sends a video's plan, then its sampled frames and thumbnails as they are decoded, then what it holds."""
    spec = ClipSpec(**settings["spec"])
    limits = VideoLimits(**settings["limits"])
    track = settings["track"] and TrackSpec(**settings["track"])
    for attempt in window_passes(Path(request["path"]), spec, settings["clip_duration_s"], limits, track):
        plan, info = attempt.plan, attempt.info
        messenger.say({"say": "plan", "plan": vars(plan), "info": vars(info)})
        thumbnails = middle_frames(min(plan.num_parts, info.num_frames), request["thumbnails"]).tolist()
        hop_bytes = plan.hop * math.prod(spec.shape[1:])
        together = plan.hop * max(1, MESSAGE_BYTES // hop_bytes)
        for frames, beside in attempt.batches(together, partial(_send_thumbnails, messenger, thumbnails)):
            messenger.say({"say": "frames"}, frames.tobytes() + (b"" if beside is None else beside.tobytes()))
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
        os._exit(1)  # the service is gone
