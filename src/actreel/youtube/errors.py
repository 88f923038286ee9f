"""Why a link is refused or its video cannot be downloaded, in words for the user."""

from __future__ import annotations

from actreel.errors import FetchError

_INSTEAD = "or give the video file itself instead."
_FAILURES = {
    "not_youtube": ("This is not a YouTube link.", f"Copy a link such as https://youtu.be/… from YouTube, {_INSTEAD}"),
    "not_one_video": (
        "The link must lead to one video; this one leads to another page of YouTube.",
        f"Open the video itself and copy its link, {_INSTEAD}",
    ),
    "unavailable": (
        "YouTube does not show this video: it was removed or is private.",
        f"Check that it plays in a private window, try another video, {_INSTEAD}",
    ),
    "age_restricted": (
        "YouTube shows this video only to adults who are signed in.",
        f"Try another video, {_INSTEAD}",
    ),
    "region_restricted": (
        "YouTube does not show this video in the country where Actreel runs.",
        f"Try another video, {_INSTEAD}",
    ),
    "live": (
        "This video is live or has not started yet.",
        f"Try again when the recording is available, {_INSTEAD}",
    ),
    "too_long": (
        "The video must last at most {max_duration_s:.0f} s.",
        f"Try a shorter video, {_INSTEAD}",
    ),
    "too_large": (
        "The download must be at most {max_megabytes:.0f} MB.",
        f"Try a shorter video, {_INSTEAD}",
    ),
    "bot_check": (
        "YouTube takes Actreel for a bot and lets it download nothing at the moment.",
        f"Wait a while, {_INSTEAD}",
    ),
    "misconfigured": (
        "Downloads from YouTube are not set up correctly here: the cookies or the proxy do not work.",
        f"Ask whoever runs Actreel to look at the log, {_INSTEAD}",
    ),
    "no_javascript": (
        "YouTube needs a JavaScript runtime with yt-dlp's challenge solver, and one of them is missing here.",
        f"Ask whoever runs Actreel to install deno and yt-dlp-ejs, {_INSTEAD}",
    ),
    "out_of_date": (
        "YouTube has changed, and the installed yt-dlp no longer works with it.",
        f"Ask whoever runs Actreel to update yt-dlp, {_INSTEAD}",
    ),
    "not_installed": (
        "YouTube links need yt-dlp, which is not installed.",
        f"Install it with: pip install 'actreel[youtube]', {_INSTEAD}",
    ),
    "no_network": (
        "YouTube cannot be reached, or it closed the connection.",
        f"Check the connection and try again, {_INSTEAD}",
    ),
    "timeout": (
        "YouTube took more than {timeout_s:.0f} s.",
        f"Try again or take a shorter video, {_INSTEAD}",
    ),
    "cancelled": ("The download was cancelled.", "Start it again if you still want it."),
    "failed": ("The download failed.", f"Try again, {_INSTEAD}"),
}


class YouTubeError(FetchError):
    """A link was refused, or its video cannot be downloaded.

    Attributes:
        code: Kind of failure, one of a fixed list, such as `live`.
        message: What is wrong, for the user.
        next_step: What the user can do.
    """

    def __init__(self, code: str, **facts: float) -> None:
        message, self.next_step = _FAILURES[code]
        self.code = code
        self.message = message.format(**facts)
        super().__init__(f"{self.message} {self.next_step}")
