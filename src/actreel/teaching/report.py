"""What teaching changes, in a table: for the terminal, and for the draft's model card."""

from __future__ import annotations

from pathlib import Path

from actreel.errors import listed_names
from actreel.evaluation.intervals import FEW_GROUPS
from actreel.evaluation.model_card import as_html, escaped
from actreel.evaluation.paired import Paired
from actreel.inference.model_folder import MODEL_CARD_FILE
from actreel.teaching.effect import Effect, OfAction, Share

HEADER = ("action", "taught", "held out", "before", "after (95 % for new groups)")


def rows_of(effect: Effect) -> list[tuple[str, ...]]:
    """One row an action, below `HEADER`."""
    return [_row(each) for each in effect.actions]


def notes_on(effect: Effect) -> list[str]:
    """What must be known to read the table, in sentences."""
    notes = []
    if effect.others is not None:
        notes.append(_paired(effect.others))
    if effect.unmeasured:
        notes.append(
            f"Nothing is known of how well {listed_names(effect.unmeasured)} will be recognised: no clip of it could "
            "be held out. Add clips of other people or scenes."
        )
    if effect.few_groups:
        notes.append(f"Intervals are wide where there are fewer than {FEW_GROUPS} groups.")
    return notes


def as_text(effect: Effect) -> str:
    """The table and its notes for a terminal."""
    rows = [HEADER, *rows_of(effect)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, "", *notes_on(effect)])


def write_card(name: str, base: str, taught: str, effect: Effect, folder: Path) -> Path:
    """Writes the draft's model card, as Markdown and as HTML.

    Args:
        name: Of the registered model.
        base: The version that it was taught on.
        taught: What was taught, in words.
        effect: What that changes.
        folder: Where both files go.

    Returns:
        The HTML page.
    """
    table = [HEADER, ("---",) * len(HEADER), *(tuple(map(escaped, row)) for row in rows_of(effect))]
    lines = [
        f"# {escaped(name)}: a draft", "",
        f"Version {escaped(base)} was taught: {escaped(taught)}. Only its last layer was solved again; all that it is "
        f"and is not good for stands on the model card of version {escaped(base)}.", "",
        "## What the lesson changes", "",
        "On clips of groups that the answering model does not know:", "",
        *("| " + " | ".join(row) + " |" for row in table), "",
        *(f"{escaped(note)}\n" for note in notes_on(effect)),
    ]  # fmt: skip
    page = folder / MODEL_CARD_FILE
    text = "\n".join(lines)
    page.with_suffix(".md").write_text(text, encoding="utf-8")
    page.write_text(as_html(text, folder), encoding="utf-8")
    return page


def _row(each: OfAction) -> tuple[str, ...]:
    taught = f"{each.taught_clips} of {each.taught_groups} groups" if each.taught_clips else ""
    before = "new" if each.new else _percent(each.before)
    return each.action, taught, f"{each.clips} of {each.groups} groups", before, _percent(each.after)


def _percent(share: Share | None) -> str:
    return "unknown" if share is None else f"{share.right:.0%} ({share.low:.0%} to {share.high:.0%})"


def _paired(pair: Paired) -> str:
    sure = pair.difference == 0 or pair.low > 0 or pair.high < 0
    zero = "" if sure else ", which may be chance"
    return (
        f"On the {pair.clips} held-out clips of {pair.groups} groups whose actions both know, it is right on "
        f"{pair.second_accuracy:.1%}, and the version before on {pair.first_accuracy:.1%}: "
        f"{100 * pair.difference:+.1f} points (95 % for new groups: {100 * pair.low:+.1f} to {100 * pair.high:+.1f})"
        f"{zero}."
    )
