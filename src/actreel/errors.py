"""Every exception that Actreel raises on purpose, as one tree.

    ActreelError          anything the user can fix; stages, command line and service print its message, no traceback
    ├── ConfigError       a setting in params.yaml, `--set` or the environment is unknown or out of range
    ├── VideoError        a file is not a video, contains no frames, or breaks while decoding
    │   ├── VideoCodecError   a valid video needs a decoder that is missing here
    │   └── VideoLimitError   a valid video is larger or longer than the caller allows
    ├── DatasetError      a folder, group or split cannot be used for training
    ├── ModelError        weights, labels or clip settings do not belong together
    ├── FetchError        a download failed or was refused
    └── FileError         a file that Actreel wrote is missing, cut off or damaged

Messages state the rule, then what was received, then what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence

MOST_NAMED = 10
"""Names that a message lists at most; it says how many more there are."""


def listed_names(names: Sequence[object], quote: str = "'") -> str:
    """The first names in quotes, and how many more there are: `'a', 'b', and 3 more`."""
    named = ", ".join(f"{quote}{name}{quote}" for name in names[:MOST_NAMED])
    return f"{named}, and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else named


class ActreelError(Exception):
    """Base class of every error that Actreel raises on purpose."""


class ConfigError(ActreelError):
    """A setting is unknown or out of range."""


class VideoError(ActreelError):
    """A file cannot be decoded as video."""


class VideoCodecError(VideoError):
    """A video's codec cannot be decoded here.

    Attributes:
        codec: Its four-character code or name.
    """

    def __init__(self, codec: str, source: object = "IN") -> None:
        self.codec = codec
        super().__init__(
            f"The codec {codec} of '{source}' cannot be decoded here. "
            f"Convert the video: ffmpeg -i '{source}' -c:v libx264 -pix_fmt yuv420p OUT.mp4"
        )


class VideoLimitError(VideoError):
    """A video is larger or longer than allowed."""


class SignalError(VideoError):
    """The signals beside a video are missing, or cannot be used."""


class DatasetError(ActreelError):
    """Clips, groups or splits cannot be used for training."""


class ModelError(ActreelError):
    """A model cannot be built, loaded or used."""


class FetchError(ActreelError):
    """A download failed or was refused."""


class FileError(ActreelError):
    """A file that Actreel wrote is missing, cut off or damaged."""
