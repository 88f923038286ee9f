"""`actreel models`: the registered versions, and which of them is champion."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from actreel.cli.options import Commands, add_command, add_json

if TYPE_CHECKING:
    from actreel.tracking.champions import Listed
    from actreel.tracking.promotions import Promotion

THEN = "It is packaged and served by: make repro && make serve (or, while a server runs: make repro && make reload)"


def add_models(commands: Commands) -> None:
    """Adds `actreel models list`, `promote` and `rollback`."""
    models = commands.add_parser("models", help="list the registered models, and choose the champion by hand")
    models.set_defaults(run=_list, extra="pipeline", level=None, name=None, json=False)
    verbs = models.add_subparsers(dest="verb", metavar="COMMAND", description="Without a command, it lists.")
    listing = add_command(verbs, "list", _list, summary="list the versions of a registered model", extra="pipeline")
    _add_name(listing)
    add_json(listing)
    promote = add_command(verbs, "promote", _promote, summary="make a version champion by hand", extra="pipeline")
    promote.add_argument("version", metavar="VERSION", help="its number, or NAME@VERSION of another dataset's model")
    promote.add_argument("--reason", required=True, metavar="TEXT", help="why; it is kept with the version")
    add_json(promote)
    back = add_command(verbs, "rollback", _rollback, summary="go back to the champion before", extra="pipeline")
    _add_name(back)
    back.add_argument("--reason", metavar="TEXT", help="why; it is kept with the version")
    add_json(back)


def _add_name(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", nargs="?", metavar="NAME", help="a registered model (default: the dataset's)")


def _name_of(asked: str | None) -> str:
    """The registered model that was asked for: by default, that of the dataset in params.yaml."""
    if asked:
        return asked
    from actreel.config import load_params
    from actreel.tracking.names import registered_model

    return registered_model(load_params().dataset.label)


def _list(options: argparse.Namespace) -> None:
    from actreel.tracking.champions import list_versions

    name = _name_of(options.name)
    listed = list_versions(name)
    if options.json:
        print(json.dumps([_fields(each) for each in listed]))
        return
    rows = [("version", "accuracy (95 %)", "test clips", "trained", "run", "why champion"), *map(_row, listed)]
    print(f"{name}; * is champion")
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
    mark = "*" if listed.champion else ""
    return f"{listed.version.version}{mark}", accuracy, clips, when[:16], listed.version.run_id[:8], why


def _promote(options: argparse.Namespace) -> None:
    from actreel.tracking.champions import promote

    asked = options.version if "@" in options.version else f"{_name_of(None)}@{options.version}"
    _say(promote(asked, options.reason), asked.partition("@")[0], options.json)


def _rollback(options: argparse.Namespace) -> None:
    from actreel.tracking.champions import roll_back

    name = _name_of(options.name)
    _say(roll_back(name, options.reason), name, options.json)


def _say(promotion: Promotion, name: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"name": name, **asdict(promotion)}))
        return
    before = f", in place of version {promotion.instead_of}" if promotion.instead_of else ""
    print(f"Version {promotion.version} of {name} is champion now{before}.\n{THEN}")
