"""The largest video that is decoded; the service's limits on uploads come from its settings and are checked here."""

from __future__ import annotations

from dataclasses import dataclass

from actreel.errors import VideoLimitError
from actreel.video.decode import VideoInfo


@dataclass(frozen=True)
class VideoLimits:
    """The largest video that is decoded.

    Attributes:
        max_pixels: Width times height of a frame.
        max_frames: Number of frames that decode.
        max_duration_s: Duration in seconds.
    """

    max_pixels: int
    max_frames: int
    max_duration_s: float

    def check(self, info: VideoInfo) -> None:
        """Refuses a video beyond the limits.

        Raises:
            VideoLimitError: States which limit, and what to do.
        """
        if info.width * info.height > self.max_pixels:
            raise VideoLimitError(
                f"A frame must have at most {self.max_pixels / 1e6:.1f} million pixels. "
                f"Received: {info.width}x{info.height}. Scale the video down."
            )
        if info.num_frames > self.max_frames:
            raise VideoLimitError(
                f"A video must have at most {self.max_frames} frames. Received: {info.num_frames}. Cut it shorter."
            )
        if info.duration_s > self.max_duration_s:
            raise VideoLimitError(
                f"A video must last at most {self.max_duration_s:g} s. Received: {info.duration_s:.0f} s. "
                "Cut it shorter."
            )
