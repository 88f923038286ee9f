"""Where windows take their frames from a stream, whose end is not known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from actreel.config import ClipSpec
from actreel.errors import ModelError
from actreel.inference.windows import WindowPlan, plan_windows
from actreel.video.info import VideoInfo

FINEST = 1000
"""Frames a second above which a stated rate is taken for an error."""


@dataclass(frozen=True)
class Grid:
    """Equal parts of a stream, the middle frame of each of which is a sample, as in `windows.plan_windows`.

    With more phases than one, so many grids run beside each other, evenly shifted: the samples of the first are every
    `phases`-th sample, and a window takes samples of one grid.

    Attributes:
        clip_frames: Samples in a window, T.
        hop: Samples from one window's start to the next one's.
        part_frames: Frames in a part.
        fps: Frames a second.
        phases: Grids beside each other.
    """

    clip_frames: int
    hop: int
    part_frames: Fraction
    fps: float
    phases: int = 1

    @property
    def part_s(self) -> float:
        """Seconds in a part."""
        return float(self.part_frames) / self.fps

    @property
    def hop_s(self) -> float:
        """Seconds in half a window: what `predict` moves its windows by."""
        return self.part_s * max(1, self.clip_frames // 2)

    def num_before(self, position: float) -> int:
        """Samples whose place is before this one.

        Args:
            position: In frames from the start; the frame at place i is shown from i up to i + 1.
        """
        shifted = (Fraction(position) / self.part_frames - Fraction(1, 2)) * self.phases
        return max(0, math.ceil(shifted))

    def end_s(self, sample: int) -> float:
        """Seconds from the start to the end of the part of a sample, counted from 0."""
        return (sample / self.phases + 1) * self.part_s


def plan_grid(
    spec: ClipSpec, clip_duration_s: float | None, fps: float, info: VideoInfo | None, *, every_frame: bool
) -> Grid:
    """Covers a stream with windows as long as the training clips.

    Args:
        spec: Clip settings; T is `spec.num_frames`.
        clip_duration_s: Length of the windows in seconds.
        fps: Frames a second of the stream; 0 if unknown.
        info: What a file's container says that it holds: its windows are then those of `predict`, which end where the
            file ends. None for what has no end.
        every_frame: Takes every frame as a sample, and moves windows by one; else windows overlap by half.

    Raises:
        ModelError: The length of the windows is not known.
    """
    if info is not None:
        plan = plan_windows(info, spec, clip_duration_s)
        part_frames, fps = Fraction(info.num_frames, plan.num_parts), info.fps
    elif clip_duration_s is None:
        raise ModelError(
            "To watch a stream, it must be known how long the model's clips are. "
            "Received: a manifest without clip_duration_s. Give the seconds: actreel watch SOURCE --window 2"
        )
    else:
        plan = WindowPlan(spec.num_frames, max(1, spec.num_frames // 2), 1)
        if not 1 <= fps <= FINEST:  # unknown: each sample counts as a frame
            fps = spec.num_frames / clip_duration_s
        part_frames = Fraction(clip_duration_s * fps / spec.num_frames).limit_denominator(10_000)
    phases = max(1, round(part_frames)) if every_frame else 1
    return Grid(plan.clip_frames, 1 if every_frame else plan.hop, part_frames, fps, phases)
