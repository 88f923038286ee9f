"""`actreel models`: the registered versions, and which of them is champion."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actreel.cli.options import AsJson

if TYPE_CHECKING:
    from actreel.tracking.champions import Listed
    from actreel.tracking.promotions import Promotion

THEN = "It is packaged and served by: make repro && make serve (or, while a server runs: make repro && make reload)"


Name = Annotated[
    str | None, typer.Argument(metavar="NAME", help="a registered model (without it: that of the dataset)")
]
_WHY = "why; it is kept with the version"


def models(context: typer.Context, as_json: AsJson = False) -> None:
    """List the registered models, and choose the champion by hand.

    Without a command, it lists.

    Examples:
        actreel models
        actreel models promote 3 --reason "better at night, in the field"
    """
    if context.invoked_subcommand is None:
        list_models(None, as_json)


def _name_of(asked: str | None) -> str:
    """The registered model that was asked for: by default, that of the dataset in params.yaml."""
    if asked:
        return asked
    from actreel.config import load_params
    from actreel.tracking.names import registered_model

    return registered_model(load_params().dataset.label)


def list_models(name: Name = None, as_json: AsJson = False) -> None:
    """List the versions of a registered model.

    Each with its accuracy, its interval, when it was trained, and why it is or was champion.

    Examples:
        actreel models list
        actreel models list actreel-demo --json
    """
    from actreel.tracking.champions import list_versions

    name = _name_of(name)
    listed = list_versions(name)
    if as_json:
        print(json.dumps([_fields(each) for each in listed]))
        return
    rows = [("version", "accuracy (95 %)", "test clips", "trained", "run", "why champion"), *map(_row, listed)]
    print(f"{name}; * is champion" + (", d the draft" if any(each.draft for each in listed) else ""))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _fields(listed: Listed) -> dict[str, Any]:
    tags = listed.version.tags
    numbers = ("accuracy", "accuracy_low", "accuracy_high", "num_test_clips", "num_test_groups")
    return {
        "name": listed.version.registered_model,
        "version": listed.version.version,
        "champion": listed.champion,
        "draft": listed.draft,
        "taught": tags.get("taught"),
        "draft_of": tags.get("draft_of"),
        **{key: float(tags[key]) if key in tags else None for key in numbers},
        "dataset": listed.version.registered_model.removeprefix("actreel-"),
        "trained_at": tags.get("trained_at"),
        "registered_at": listed.registered_at,
        "run_id": listed.version.run_id,
        "promotions": [asdict(each) for each in listed.promotions],
    }


def _row(listed: Listed) -> tuple[str, ...]:
    tags = listed.version.tags
    accuracy = "unknown"
    if {"accuracy", "accuracy_low", "accuracy_high"} <= tags.keys():
        own, low, high = (float(tags[f"accuracy{end}"]) for end in ("", "_low", "_high"))
        accuracy = f"{own:.1%} ({low:.1%} to {high:.1%})"
    clips = f"{tags['num_test_clips']} of {tags.get('num_test_groups', '?')} groups" if "num_test_clips" in tags else ""
    when = tags.get("trained_at") or listed.registered_at  # early versions say only when they were registered
    why = listed.promotions[-1].in_words if listed.promotions else ""
    if not why and "taught" in tags:
        why = f"never was: taught {tags['taught']} on version {tags['draft_of']}"
    mark = "*" if listed.champion else "d" if listed.draft else ""
    return f"{listed.version.version}{mark}", accuracy, clips, when[:16], listed.version.run_id[:8], why


def promote(
    version: Annotated[
        str,
        typer.Argument(metavar="VERSION", help="its number, or NAME@VERSION of another dataset's model"),
    ],
    reason: Annotated[str, typer.Option(metavar="TEXT", help=_WHY)],
    as_json: AsJson = False,
) -> None:
    """Make a version champion by hand.

    The next `make repro` packages it.

    Examples:
        actreel models promote 3 --reason "better at night, in the field"
        actreel models promote actreel-demo@3 --reason "the others were trained on old films" --json
    """
    from actreel.tracking import champions

    asked = version if "@" in version else f"{_name_of(None)}@{version}"
    _say(champions.promote(asked, reason), asked.partition("@")[0], as_json)


def rollback(
    name: Name = None,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help=_WHY)] = None,
    as_json: AsJson = False,
) -> None:
    """Go back to the champion before.

    Examples:
        actreel models rollback
        actreel models rollback --reason "false alarms since Monday" --json
    """
    from actreel.tracking.champions import roll_back

    name = _name_of(name)
    _say(roll_back(name, reason), name, as_json)


def _say(promotion: Promotion, name: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"name": name, **asdict(promotion)}))
        return
    before = f", in place of version {promotion.instead_of}" if promotion.instead_of else ""
    print(f"Version {promotion.version} of {name} is champion now{before}.\n{THEN}")
