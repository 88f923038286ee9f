"""Text as pixels, in any script: Pillow sets it, with letters that join and lines that run from right to left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from itertools import chain, groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from actreel.base.fonts import is_invisible, machine_fonts, packaged_fonts

# The last character of Unicode, which is none: fonts draw it as they draw what they lack.
_MISSING = "\U0010ffff"
_CHECKED_AT = 16

Font = ImageFont.FreeTypeFont


def lettered(text: str, height: int) -> NDArray[np.uint8]:
    """A line of text, cut to its width.

    A character that no font on this machine has becomes its number, `U+13000`.

    Args:
        text: Any text; also one with lone surrogates, as Python reads file names that are not UTF-8.
        height: Pixels from one line to the next.

    Returns:
        uint8 (height, w): how much of each pixel is ink, up to 255.
    """
    size = max(6, round(0.72 * height))
    runs = [(part, font.font_variant(size=size)) for part, font in _runs(text)]
    width = sum(int(np.ceil(font.getlength(part))) for part, font in runs) + 2
    picture = Image.new("L", (max(1, width), height))
    pen, place = ImageDraw.Draw(picture), 1.0
    for part, font in runs:
        pen.text((place, 0.78 * height), part, fill=255, font=font, anchor="ls")
        place += font.getlength(part)
    return np.asarray(picture, dtype=np.uint8)


def _runs(text: str) -> list[tuple[str, Font]]:
    """Parts of the text, each with a font that has all of it: the whole text, if one font has it."""
    shown = "".join(character if _font_with(character) else f"U+{ord(character):04X}" for character in text)
    needed = [_font_with(character) or _fonts()[0] for character in shown]
    for font in dict.fromkeys([*needed, *_fonts()]):
        if all(_has(font, character) for character in shown):
            return [(shown, font)]
    pairs = groupby(zip(needed, shown, strict=True), lambda pair: pair[0])
    return [("".join(character for _, character in run), font) for font, run in pairs]


@cache
def _font_with(character: str) -> Font | None:
    """The first font that has it; the machine's are opened one by one, since there may be thousands."""
    if "\ud800" <= character <= "\udfff":  # half of a pair
        return None
    return next((font for font in chain(_fonts(), _opened(machine_fonts())) if _has(font, character)), None)


@cache
def _fonts() -> list[Font]:
    """Pillow's own font, and those of packages."""
    own = ImageFont.load_default(_CHECKED_AT)
    return [*([own] if isinstance(own, Font) else []), *_opened(packaged_fonts())]


def _opened(paths: Iterable[Path]) -> Iterator[Font]:
    for path in paths:
        with suppress(OSError):  # a bitmap font, or a damaged file
            font = ImageFont.truetype(str(path), _CHECKED_AT)
            if not any(style in str(font.getname()[1]) for style in ("Bold", "Italic", "Oblique")):
                yield font


def _has(font: Font, character: str) -> bool:
    return character.isspace() or is_invisible(character) or _look(font, character) != _look(font, _MISSING)


def _look(font: Font, character: str) -> tuple[object, bytes]:
    mask = font.getmask(character)
    return mask.size, bytes(mask)
