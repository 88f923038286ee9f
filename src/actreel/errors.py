"""What can go wrong, as one tree.

    ActreelError          anything the user can fix; stages, CLI and service print it without a traceback
    ├── ConfigError       params.yaml or a --set: an unknown key, a value out of range
    ├── VideoError        a file that is no video, holds no frame, or breaks while decoding
    │   ├── VideoCodecError   a good video, but no decoder for it here
    │   └── VideoLimitError   a good video, but larger or longer than the caller allows
    ├── DatasetError      a folder, group or split that cannot be trained on
    ├── ModelError        weights, labels or clip settings that do not belong together
    └── FetchError        a download that failed or was refused

Messages state the rule, then the value received, then what to do.
"""

from __future__ import annotations

MOST_NAMED = 10
"""Names that a message lists at most; it says how many more there are."""


class ActreelError(Exception):
    """Base of every error that Actreel raises on purpose."""


class ConfigError(ActreelError):
    """A parameter is unknown or out of range."""


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


class DatasetError(ActreelError):
    """Clips, groups or splits cannot be trained on."""


class ModelError(ActreelError):
    """A model cannot be built, loaded or used."""


class FetchError(ActreelError):
    """A download failed or was refused."""
