"""`actreel encoders`: which encoders can be used here, and what each costs."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actreel.cli.options import NO_SETTINGS, AsJson, Settings, file_argument

if TYPE_CHECKING:
    from actreel.project.encoders import Listed

NO_FILES: list[Path] = []


def encoders(
    files: Annotated[list[Path], file_argument("[FILE]...", "ONNX files to check and to list too")] = NO_FILES,
    measure: Annotated[bool, typer.Option("--measure", help="measure how long a clip takes on this machine")] = False,
    settings: Settings = NO_SETTINGS,
    as_json: AsJson = False,
) -> None:
    """List the encoders that can be used here, and what each costs.

    A clip is as in params.yaml. Its time is the median on one thread, without decoding and head.

    Examples:
        actreel encoders
        actreel encoders /path/to/encoder.onnx --measure
    """
    from actreel.base.progress import tracked
    from actreel.config import load_params, override
    from actreel.errors import ModelError
    from actreel.project.encoders import list_encoders, time_encoder

    params = override(load_params(), settings)
    listed = list_encoders(params, files)
    if measure:
        for place, each in enumerate(tracked(tuple(listed), "measure", len(listed), unit="encoder")):
            if each.at_hand:
                listed[place] = replace(each, ms_per_clip=time_encoder(each, params))
    if as_json:
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
