"""From what people paste to YouTube's id of one video; the only reader of links, for the page, the API and the program.

Marks that an editor, a shell or a chat put around a link or into it are removed. The host is then compared with a
closed list, and only the eleven characters of the id are used.
"""

from __future__ import annotations

import os
import re
import unicodedata
from urllib.parse import parse_qs, unquote, urlsplit

from actreel.youtube.errors import YouTubeError

MAX_LINK_CHARS = 1000
LONG_HOSTS = frozenset(
    {
        "youtube.com",
        "www.youtube.com",
        "m.youtube.com",
        "music.youtube.com",
        "youtube-nocookie.com",
        "www.youtube-nocookie.com",
    }
)
SHORT_HOSTS = frozenset({"youtu.be", "www.youtu.be"})

_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_LAST_OF_ID = frozenset("AEIMQUYcgkosw048")
"""The last character of an id, which is 64 bits in base64."""

_VIDEO_PATH = re.compile(r"/(?:embed|live|shorts|v)/([^/&]+)(?:&[^/]*)?/?")
_NO_IDS = frozenset({"videoseries", "live_stream"})
"""They stand where an id stands and have its length: /embed/videoseries?list=…, /embed/live_stream?channel=…"""

_OPENING = "\"'`<([{\u00ab\u201c\u201e\u2018\u2039"
_CLOSING = "\"'`>)]}\u00bb\u201c\u201d\u2018\u2019\u203a.,;:!?\u2026"
_SHELL_ESCAPE = re.compile(r"\\([?=&#])")
"""zsh writes these into a link that is pasted."""

_ENCODED = re.compile(r"https?%3A%2F%2F", re.IGNORECASE)
"""How a link begins that was copied out of another link's parameter."""

_ZERO_WIDTH = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff"))
"""To be removed anywhere. The marks that turn the direction of text are not: inside a link they can disguise it."""


def video_id(link: str) -> str:
    """The id of the one video that a link leads to; needs no network.

    Accepts `watch?v=`, `youtu.be/`, `shorts/`, `live/`, `embed/` and `v/` links with or without `https://`, and a bare
    id. Other parameters (`t`, `list`, `si`) are ignored.

    Raises:
        YouTubeError: Anything else: `not_youtube` or `not_one_video`.
    """
    if len(link) > MAX_LINK_CHARS:
        raise YouTubeError("not_youtube")
    link = _cleaned(link)
    if _is_bare_id(link):
        return link
    # urlsplit silently drops tabs and line ends.
    if not link.isprintable():
        raise YouTubeError("not_youtube")
    try:
        parts = urlsplit(link if "://" in link else f"https://{link}")
        query = parse_qs(parts.query, keep_blank_values=True)
    except ValueError as error:
        raise YouTubeError("not_youtube") from error
    # The whole authority is compared, so a user name, a port or a trailing dot is refused too.
    host = parts.netloc.lower()
    if parts.scheme not in ("http", "https") or host not in LONG_HOSTS | SHORT_HOSTS:
        raise YouTubeError("not_youtube")

    candidates: set[str] = set()
    if host in SHORT_HOSTS:
        candidates = {parts.path.removeprefix("/").removesuffix("/").partition("&")[0]}
    elif parts.path.removesuffix("/") in ("", "/watch"):
        candidates = set(query.get("v", []))
    elif match := _VIDEO_PATH.fullmatch(parts.path):
        candidates = {match[1]} - _NO_IDS
    if len(candidates) != 1 or not _ID.fullmatch(name := candidates.pop()):
        raise YouTubeError("not_one_video")
    return name


def is_link(source: str) -> bool:
    """Whether a SOURCE on the command line is a link and not a file; a file that is there wins."""
    if os.path.exists(source):  # noqa: PTH110 - Path.exists raises OSError if a link is too long for a file's name
        return False
    if "://" in source:
        return True
    try:
        video_id(source)
    except YouTubeError as error:
        return error.code == "not_one_video"  # of YouTube's site, so no file was meant
    return True


def _cleaned(link: str) -> str:
    """The link without what does not belong to it: the marks around it, invisible characters, and escapes."""
    link = _SHELL_ESCAPE.sub(r"\1", link.translate(_ZERO_WIDTH)).replace("&amp;", "&")
    start, end = 0, len(link)
    while start < end and (link[start] in _OPENING or _is_blank(link[start])):
        start += 1
    while start < end and (link[end - 1] in _CLOSING or _is_blank(link[end - 1])):
        end -= 1
    link = link[start:end]
    return unquote(link) if _ENCODED.match(link) else link


def _is_blank(character: str) -> bool:
    """White space, or a character of Unicode's category of invisible format characters."""
    return character.isspace() or unicodedata.category(character) == "Cf"


def _is_bare_id(text: str) -> bool:
    """Whether a text is an id and nothing else it could be: not a word, a number or most names of files."""
    mixed = text != text.lower() and text != text.upper()
    return _ID.fullmatch(text) is not None and text[-1] in _LAST_OF_ID and mixed
