"""Cuts parts out of a video, exact to the frame and without loss: a part decodes to the source's own pixels."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from actreel.video.container import Video, opened
from actreel.video.info import VideoInfo
from actreel.video.writing import LOSSLESS, Mp4Writer, mp4_writer


@dataclass(frozen=True)
class Cut:
    """A part of a video.

    Attributes:
        start_s: Seconds from the video's start to its first frame.
        end_s: Seconds from the video's start to the first frame that is no longer in it.
        target: The file to write, `.mp4`.
    """

    start_s: float
    end_s: float
    target: Path


class _Open:
    """A part that is being written."""

    def __init__(self, cut: Cut, video: Video, fps: float, first_s: float) -> None:
        self.end_s = cut.end_s
        self._first_s = first_s
        self._stack = ExitStack()
        self._writer: Mp4Writer = self._stack.enter_context(
            mp4_writer(cut.target, fps, video.time_base, video.pixel_shape, LOSSLESS)
        )

    def write(self, frame: object, video: Video, at_s: float) -> None:
        self._writer.write(video.to_rgb(frame), at_s - self._first_s)  # type: ignore[arg-type]

    def close(self) -> None:
        self._stack.close()


def cut_clips(
    source: Path, cuts: Sequence[Cut], on_progress: Callable[[float], None] = lambda share: None
) -> tuple[list[int], VideoInfo]:
    """Writes parts of a video in one pass over it.

    A time means the frame that is nearest to it, so parts that meet share no frame, and times that were rounded to
    milliseconds or frames mean the frames that they were rounded from. The parts stand upright, and keep the frames'
    times; they have no sound.

    Args:
        source: The video.
        cuts: The parts, each of which ends after it starts.
        on_progress: Called with the share of the frames read, in [0, 1].

    Returns:
        The number of frames in each part, in the order of `cuts`, and what the video holds. A part without frames is
        not written.

    Raises:
        VideoError: The source cannot be decoded.
    """
    counts = [0] * len(cuts)
    with opened(source) as video:
        claimed = video.describe(max(1, video.header_frames))
        half_s = 0.5 / claimed.fps
        waiting = deque(sorted(range(len(cuts)), key=lambda place: cuts[place].start_s))
        writing: dict[int, _Open] = {}
        try:
            for number, frame in enumerate(video.frames()):
                at_s = number / claimed.fps if frame.time is None else frame.time - video.start_s
                for place in [place for place, part in writing.items() if at_s >= part.end_s - half_s]:
                    writing.pop(place).close()
                while waiting and at_s >= cuts[waiting[0]].start_s - half_s:
                    place = waiting.popleft()
                    if at_s < cuts[place].end_s - half_s:
                        writing[place] = _Open(cuts[place], video, claimed.fps, at_s)
                for place, part in writing.items():
                    part.write(frame, video, at_s)
                    counts[place] += 1
                on_progress(min(1.0, (number + 1) / claimed.num_frames))
        finally:
            for part in writing.values():
                part.close()
        return counts, video.describe(video.num_decoded)
