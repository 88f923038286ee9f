"""The font files of packages and of this machine, for names in any script."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path

PACKAGES = ("manimgx_fonts", "noto_cjk_sans_jp_regular")
"""Noto, in packages that hold nothing but the fonts; they come with the extra `pipeline`."""

_ENDINGS = (".otf", ".ttc", ".ttf")


def packaged_fonts() -> Iterator[Path]:
    """The font files of those packages that are installed."""
    for package in PACKAGES:
        try:
            found = files(package)
        except ModuleNotFoundError:
            continue
        with as_file(found) as folder:
            yield from sorted(Path(folder).glob("*.[ot]tf"))


def machine_fonts() -> Iterator[Path]:
    """The font files of this machine."""
    for folder in _folders():
        yield from sorted(path for path in folder.rglob("*") if path.suffix.lower() in _ENDINGS)


def is_invisible(character: str) -> bool:
    """Whether a character changes how others look and has no look itself: controls, joiners, variation selectors."""
    return unicodedata.category(character) in ("Cc", "Cf") or "VARIATION SELECTOR" in unicodedata.name(character, "")


def _folders() -> list[Path]:
    if sys.platform == "win32":
        return [Path(os.environ.get("WINDIR", "C:/Windows")) / "Fonts"]
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), Path.home() / "Library/Fonts"]
    shared = os.environ.get("XDG_DATA_DIRS", "/usr/local/share:/usr/share").split(":")
    mine = os.environ.get("XDG_DATA_HOME", Path.home() / ".local/share")
    return [Path(folder) / "fonts" for folder in (*shared, mine)] + [Path.home() / ".fonts"]
