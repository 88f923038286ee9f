"""What a video holds, and the largest video that is decoded."""

from __future__ import annotations

from dataclasses import dataclass

from actreel.errors import VideoLimitError


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds; of a clip without a picture, its signals' samples are counted as frames.

    Attributes:
        fps: Frames a second, as the container states; if the timestamps disagree, the mean rate computed from them.
        num_frames: Frames that really decode.
        header_frames: Frames that the container claims; wrong or 0 in many files.
        width: Columns in pixels, rotation applied; 0 without a picture.
        height: Rows in pixels, rotation applied; 0 without a picture.
        duration_s: `num_frames / fps`, in seconds; without a picture, from the first to the last sample.
        codec: Four-character code, such as `XVID`, or FFmpeg's name of the codec.
    """

    fps: float
    num_frames: int
    header_frames: int
    width: int
    height: int
    duration_s: float
    codec: str


@dataclass(frozen=True)
class VideoLimits:
    """The largest video that is decoded. It is compared with what decodes, not with what a container claims.

    Attributes:
        max_pixels: Width times height of a frame.
        max_frames: Number of frames that decode.
        max_duration_s: Duration in seconds.
    """

    max_pixels: int
    max_frames: int
    max_duration_s: float

    def hold(self, info: VideoInfo) -> bool:
        """Whether a video is within the limits."""
        try:
            self.check(info)
        except VideoLimitError:
            return False
        return True

    def check_size(self, width: int, height: int) -> None:
        """Refuses frames that are too large.

        Raises:
            VideoLimitError: States the limit, and what to do.
        """
        if width * height > self.max_pixels:
            raise VideoLimitError(
                f"A frame must have at most {self.max_pixels / 1e6:.1f} million pixels. "
                f"Received: {width}x{height}. Scale the video down."
            )

    def check(self, info: VideoInfo) -> None:
        """Refuses a video beyond the limits.

        Raises:
            VideoLimitError: States which limit, and what to do.
        """
        self.check_size(info.width, info.height)
        if info.num_frames > self.max_frames:
            raise VideoLimitError(
                f"A video must have at most {self.max_frames} frames. Received: {info.num_frames}. Cut it shorter."
            )
        self.check_duration(info)

    def check_duration(self, info: VideoInfo) -> None:
        """Refuses what lasts too long.

        Raises:
            VideoLimitError: States the limit, and what to do.
        """
        if info.duration_s > self.max_duration_s:
            raise VideoLimitError(
                f"A video must last at most {self.max_duration_s:g} s. Received: {info.duration_s:.0f} s. "
                "Cut it shorter."
            )
