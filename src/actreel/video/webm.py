"""Copies of videos that browsers play: VP9 in WebM, which is free of licences, without sound."""

from __future__ import annotations

import io
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from actreel.base.atomic import written_aside
from actreel.video.container import opened
from actreel.video.decode import probe

LONGEST_SIDE = 640
"""Pixels; no model here sees more than half of it."""

OPTIONS = {"crf": "12", "b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"}
"""A quality at which a model's answers stay as they are."""

MILLISECONDS = Fraction(1, 1000)


def write_webm(source: Path, target: Path) -> None:
    """Writes a copy of a video that browsers play, with the times of its frames.

    Args:
        source: Any video that Actreel reads.
        target: The file to write, `.webm`. If its longer side would have more than 640 pixels, it is shrunk.

    Raises:
        VideoError: The source cannot be decoded.
    """
    info = probe(source)
    scale = min(1, LONGEST_SIDE / max(info.width, info.height))
    width, height = (max(2, round(side * scale)) for side in (info.width, info.height))
    with opened(source) as video:
        frames = (
            (video.to_rgb(frame), number / info.fps if frame.time is None else frame.time)
            for number, frame in enumerate(video.frames())
        )
        write_frames(frames, target, info.fps, (width, height))


def write_frames(
    frames: Iterable[tuple[NDArray[np.uint8], float]], target: Path, fps: float, size: tuple[int, int]
) -> None:
    """Writes a video that browsers play.

    Args:
        frames: uint8 (h, w, 3), RGB, each with the second from which on it is shown.
        target: The file to write, `.webm`.
        fps: Frames a second, about.
        size: Width and height that frames are brought to.
    """
    width, height = size
    with written_aside(target) as aside, av.open(str(aside), "w", format="webm") as copy:
        rate = Fraction(fps).limit_denominator(1001)
        stream: Any = copy.add_stream("libvpx-vp9", rate=rate, options=OPTIONS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        # Not the rate's: it holds the times of a video with a varying frame rate too.
        stream.codec_context.time_base = MILLISECONDS
        last = -1
        for frame, seconds in frames:
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture = picture.reformat(width=width, height=height, format="yuv420p")
            last = picture.pts = max(last + 1, round(seconds / MILLISECONDS))
            picture.time_base = MILLISECONDS
            copy.mux(stream.encode(picture))
        copy.mux(stream.encode(None))


def moving_light() -> bytes:
    """A video of its own, as WebM: for a second, a light moves to the right; 64x48 px, 25 frames."""
    content = io.BytesIO()
    with av.open(content, "w", format="webm") as video:
        stream: Any = video.add_stream("libvpx-vp9", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for place in range(25):
            picture = np.zeros((48, 64, 3), np.uint8)
            picture[16:32, 2 * place : 2 * place + 16] = 255
            video.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        video.mux(stream.encode(None))
    return content.getvalue()
