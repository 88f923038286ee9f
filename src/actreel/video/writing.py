"""Videos in MP4, upright, with the times of their frames: to look at, or to learn from."""

from __future__ import annotations

import logging
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter
from numpy.typing import NDArray

from actreel.video.container import CONTAINERS

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Coding:
    """How frames are encoded.

    Attributes:
        codec: FFmpeg's name of the encoder.
        pixels: FFmpeg's name of the pixels' format.
        options: The encoder's.
    """

    codec: str
    pixels: str
    options: tuple[tuple[str, str], ...]


VIEWED = Coding("libx264", "yuv420p", (("preset", "veryfast"), ("crf", "20")))
"""H.264 that browsers and telephones play."""

LOSSLESS = Coding("libx264rgb", "rgb24", (("preset", "veryfast"), ("qp", "0")))
"""H.264 whose decoded pixels are those that were written; few players show it, FFmpeg reads it."""

FINEST = Fraction(1, 90_000)
"""Seconds in a unit of time, if the source's is not known or is finer: MPEG's own."""

BT709, LIMITED_RANGE = 1, 1
"""FFmpeg's AVColorPrimaries, AVColorTransferCharacteristic and AVColorSpace of today's screens; its range of values."""

MP4_SOUND = frozenset({"aac", "mp3", "opus", "flac", "alac", "ac3", "eac3"})
"""FFmpeg's names of the codecs that MP4 holds; other sound is converted to AAC."""


class Mp4Writer:
    """Writes frames; holds those that the encoder still looks at, however many come.

    Args:
        output: The open file.
        fps: Frames a second, where they come evenly.
        time_base: Seconds in a unit of the source's times; None if unknown.
        pixel_shape: Width of a shown pixel as a share of its height.
        coding: `VIEWED` or `LOSSLESS`.
    """

    def __init__(
        self,
        output: Any,
        fps: float,
        time_base: Fraction | None,
        pixel_shape: Fraction = Fraction(1),
        coding: Coding = VIEWED,
    ) -> None:
        self._output = output
        self._coding = coding
        self._fps = fps
        self._unit = time_base if time_base is not None and FINEST <= time_base <= 1.01 / fps else FINEST
        self._pixel_shape = pixel_shape
        self._stream: Any = None
        self._reformatter = VideoReformatter()
        self._last = -1

    def write(self, frame: NDArray[np.uint8], seconds: float) -> None:
        """Adds a frame.

        Args:
            frame: uint8 (H, W, 3), RGB. `VIEWED` needs even sides: where one is odd, the last row or column is doubled.
            seconds: From when on it is shown; the first frame is shown from 0 on.
        """
        if self._coding is VIEWED:
            frame = np.pad(frame, ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)), mode="edge")
        if self._stream is None:
            self._stream = self._add_stream(*frame.shape[:2])
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
        if self._coding is VIEWED:
            picture = self._reformatter.reformat(
                picture, format=VIEWED.pixels, dst_colorspace=Colorspace.ITU709, threads=1
            )
        # From 0 on, or joining the sound would move the pictures there.
        self._last = picture.pts = max(self._last + 1, round(seconds / self._unit)) if self._last >= 0 else 0
        picture.time_base = self._unit
        self._output.mux(self._stream.encode(picture))

    def finish(self) -> None:
        """Writes what the encoder still holds."""
        if self._stream is not None:
            self._output.mux(self._stream.encode(None))

    def _add_stream(self, height: int, width: int) -> Any:
        rate = Fraction(self._fps).limit_denominator(1001)
        stream = self._output.add_stream(self._coding.codec, rate=rate, options=dict(self._coding.options))
        stream.width, stream.height, stream.pix_fmt = width, height, self._coding.pixels
        context = stream.codec_context
        context.time_base = self._unit
        context.sample_aspect_ratio = self._pixel_shape
        if self._coding is VIEWED:
            context.colorspace = context.color_primaries = context.color_trc = BT709
            context.color_range = LIMITED_RANGE
        return stream


@contextmanager
def mp4_writer(
    path: Path,
    fps: float,
    time_base: Fraction | None,
    pixel_shape: Fraction = Fraction(1),
    coding: Coding = VIEWED,
) -> Iterator[Mp4Writer]:
    """Opens a file to write; players can begin before they have all of it. See `Mp4Writer` for the arguments."""
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as output:
        writer = Mp4Writer(output, fps, time_base, pixel_shape, coding)
        yield writer
        writer.finish()


def add_sound(pictures: Path, source: Path, codec: str, target: Path) -> bool:
    """Joins a film's pictures with the sound of the video that they come from, by the program ffmpeg.

    Args:
        pictures: An MP4 without sound, whose times are those of the source from its start on.
        source: The video.
        codec: FFmpeg's name of its sound's codec. Sound that MP4 cannot hold is converted to AAC.
        target: The file to write.

    Returns:
        Whether it was written; if not, a warning says why.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        log.warning(
            f"The sound of '{source}' is not copied: the program ffmpeg is not on the PATH. Install it "
            "(apt install ffmpeg), or join them where it is: "
            f"ffmpeg -i OUT.mp4 -i '{source}' -map 0:v -map 1:a:0 -c:v copy JOINED.mp4"
        )
        return False
    command = [
        program, "-v", "error", "-nostdin", "-y", "-i", f"file:{pictures.absolute()}",
        # As the decoder reads it: what a file says cannot make ffmpeg open others.
        "-format_whitelist", CONTAINERS, "-protocol_whitelist", "file", "-i", f"file:{source.absolute()}",
        "-map", "0:v:0", "-map", "1:a:0", "-c:v", "copy", "-c:a", "copy" if codec in MP4_SOUND else "aac",
        "-movflags", "+faststart", "-f", "mp4", f"file:{target.absolute()}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it gave no reason"])[-1]
        log.warning(f"The sound of '{source}' is not copied: ffmpeg failed on it ({reason[:200]}).")
        target.unlink(missing_ok=True)
    return done.returncode == 0
