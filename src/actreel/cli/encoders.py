"""`actreel encoders`: which encoders can be used here, and what each costs."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from actreel.cli.options import Commands, add_command, add_json, add_set

if TYPE_CHECKING:
    from actreel.project.encoders import Listed


def add_encoders(commands: Commands) -> None:
    """Adds `actreel encoders`."""
    command = add_command(
        commands,
        "encoders",
        _encoders,
        summary="list the encoders that can be used here, and what each costs",
        extra="pipeline",
    )
    command.add_argument("files", nargs="*", type=Path, metavar="FILE.onnx", help="ONNX files to check and list too")
    command.add_argument("--measure", action="store_true", help="measure how long one clip takes on this machine")
    add_set(command)
    add_json(command)


def _encoders(options: argparse.Namespace) -> None:
    from actreel.base.progress import tracked
    from actreel.config import load_params, override
    from actreel.errors import ModelError
    from actreel.project.encoders import list_encoders, measure

    params = override(load_params(), options.set)
    listed = list_encoders(params, options.files)
    if options.measure:
        for place, each in enumerate(tracked(listed, "measure", len(listed), unit="encoder")):
            if each.at_hand:
                listed[place] = replace(each, ms_per_clip=measure(each, params))
    if options.json:
        print(json.dumps([asdict(each) for each in listed]))
    else:
        _print_table(listed, f"{params.clip.num_frames} frames of {params.clip.width}x{params.clip.height} px")
    refused = [each.weights for each in listed if not each.at_hand and not each.known_by_name]
    if refused:
        raise ModelError(" ".join(refused))


def _print_table(listed: list[Listed], clip: str) -> None:
    print(f"for clips of {clip}; use one with: dvc exp run -S model.encoder=NAME, or -S model.encoder=onnx "
          "-S model.weights=/path/to/FILE.onnx")  # fmt: skip
    rows = [("encoder", "at hand", "MB", "ms a clip", "weights"), *map(_row, listed)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(listed: Listed) -> tuple[str, ...]:
    size = "" if listed.size_mb is None else f"{listed.size_mb:.1f}"
    took = "" if listed.ms_per_clip is None else f"{listed.ms_per_clip:.1f}"
    return listed.name, "yes" if listed.at_hand else "no", size, took, listed.weights
