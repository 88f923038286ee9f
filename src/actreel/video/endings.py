"""Endings of videos and signals: what a dataset takes, split lists name, and the page lets a visitor choose.

A file that a user names, on the command line or for the service, is read whatever its ending.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import PurePath

VIDEO_ENDINGS = (
    ".264", ".265", ".3g2", ".3gp", ".3gpp", ".asf", ".avc", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif",
    ".h264", ".h265", ".hevc", ".ivf", ".m1v", ".m2p", ".m2t", ".m2ts", ".m2v", ".m4v",
    ".mjpeg", ".mjpg", ".mk3d", ".mkv", ".mod", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".nut",
    ".obu", ".ogm", ".ogv", ".qt", ".rm", ".rmvb", ".tod", ".trp", ".ts", ".vob", ".webm", ".wmv", ".wtv",
    ".xvid", ".y4m",
)  # fmt: skip
"""Each is an ending of a format in `actreel.video.container.CONTAINERS`, in lower case.

Endings that mostly stand for sound (`.ogg`, `.m4a`) or for still pictures (`.png`, `.webp`) are missing on purpose.
"""

PICTURE_ENDINGS = frozenset({".bmp", ".heic", ".jpeg", ".jpg", ".png", ".pgm", ".ppm", ".tif", ".tiff", ".webp"})
"""Still pictures, as which some datasets keep the frames of their videos."""

SIGNAL_ENDINGS = (".csv", ".npz", ".parquet")
"""Signals of sensors, in the order in which they are looked for beside a video."""


def is_video(path: PurePath) -> bool:
    """Whether a file's ending is one of a video."""
    return path.suffix.lower() in VIDEO_ENDINGS


def is_signal(path: PurePath) -> bool:
    """Whether a file's ending is one of signals."""
    return path.suffix.lower() in SIGNAL_ENDINGS


def count_endings(paths: Iterable[PurePath]) -> str:
    """How many files have each ending, most first: `5 .jpg, 2 .txt, 1 without an ending`."""
    counts = Counter(path.suffix.lower() or "without an ending" for path in paths)
    return ", ".join(f"{count} {ending}" for ending, count in sorted(counts.items(), key=lambda item: (-item[1], item)))
