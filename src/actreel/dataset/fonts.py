"""Fonts for the names in plots: actions are called in any script, and Matplotlib's own font has few of them.

Matplotlib takes each character from the first font of `rcParams["font.family"]` that has it, joins letters, and sets
right-to-left text (from 3.11 on).
"""

from __future__ import annotations

from functools import cache

from matplotlib import rcParams
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

from actreel.base.fonts import is_invisible, packaged_fonts

# Matplotlib's font of boxes: it has a box for every character.
_BOXES = "Last Resort"
LONGEST = 60
"""Characters of a name that are drawn; a longer one would leave no room for the plot."""


def drawable(name: str) -> str:
    """The name as plots can draw it: a character that no font on this machine has becomes its number, `U+13000`.

    Of a long name, the middle is left out.

    Where Matplotlib's font and the packaged ones lack a character, a font of the machine that has it is used from then
    on.

    Args:
        name: Any text; also one with lone surrogates, as Python reads file names that are not UTF-8.
    """
    if len(name) > LONGEST:
        name = f"{name[: LONGEST // 2]}\u2026{name[-LONGEST // 2 :]}"
    return "".join(
        character if is_invisible(character) or _has_font(character) else f"U+{ord(character):04X}"
        for character in name
    )


@cache
def _has_font(character: str) -> bool:
    _use_packages()
    if any(_is_in(family, character) for family in rcParams["font.family"]):
        return True
    # Only upright fonts of normal weight: Matplotlib warns where a family has none.
    others = {font.name: None for font in fontManager.ttflist if font.style == "normal" and font.weight == 400}
    found = next((name for name in others if not name.startswith(_BOXES) and _is_in(name, character)), None)
    if found:
        rcParams["font.family"] = [*rcParams["font.family"], found]
    return found is not None


@cache
def _use_packages() -> None:
    families = list(rcParams["font.sans-serif"][:1])
    for path in packaged_fonts():
        fontManager.addfont(path)
        families.append(get_font(path).family_name)
    rcParams["font.family"] = list(dict.fromkeys(families))


def _is_in(family: str, character: str) -> bool:
    # The font that Matplotlib takes for the family, which may be another file than the one that was listed.
    return get_font(findfont(FontProperties(family=[family]))).get_char_index(ord(character)) != 0
