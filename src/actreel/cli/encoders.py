"""`actreel encoders`: which encoders can be used here, what each costs and gave, and bringing more of them."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actreel.cli.options import NO_SETTINGS, AsJson, Settings, file_argument, file_option

if TYPE_CHECKING:
    from actreel.project.encoders import Listed

NO_FILES: list[Path] = []
NO_MIRRORS: list[str] = []

Measure = Annotated[bool, typer.Option("--measure", help="measure how long a clip takes on this machine")]


def encoders(
    context: typer.Context, measure: Measure = False, settings: Settings = NO_SETTINGS, as_json: AsJson = False
) -> None:
    """List the encoders that can be used here, and bring more of them.

    Without a command, it lists.

    Examples:
        actreel encoders --measure
        actreel encoders pull dinov2_small
    """
    if context.invoked_subcommand is None:
        list_encoders(NO_FILES, measure, settings, as_json)


def list_encoders(
    files: Annotated[list[Path], file_argument("[FILE]...", "ONNX files to check and to list too")] = NO_FILES,
    measure: Measure = False,
    settings: Settings = NO_SETTINGS,
    as_json: AsJson = False,
) -> None:
    """List the encoders that can be used here, what each costs, and what it gave.

    A clip is as in params.yaml. Its time is the median on one thread, without decoding and head. The accuracy is that
    of the best registered version of the dataset's model, with its interval for new groups.

    Examples:
        actreel encoders list /path/to/encoder.onnx --measure
        actreel encoders list --json
    """
    from actreel.base.progress import tracked
    from actreel.config import load_params, override
    from actreel.errors import ModelError
    from actreel.project import encoders

    params = override(load_params(), settings)
    listed = encoders.list_encoders(params, files)
    if measure:
        for place, each in enumerate(tracked(tuple(listed), "measure", len(listed), unit="encoder")):
            if each.at_hand and each.is_network:
                listed[place] = replace(each, ms_per_clip=encoders.time_encoder(each, params))
    if as_json:
        print(json.dumps([asdict(each) for each in listed]))
    else:
        _print_table(listed, f"{params.clip.num_frames} frames of {params.clip.width}x{params.clip.height} px")
    refused = [
        each.weights for each in listed if not each.at_hand and not each.known_by_name and not each.can_be_pulled
    ]
    if refused:
        raise ModelError(" ".join(refused))


def pull(
    name: Annotated[str, typer.Argument(metavar="NAME", help="an encoder of the list")],
    file: Annotated[
        Path | None, file_option("--from", "the file itself, fetched on another machine; nothing is downloaded")
    ] = None,
    mirrors: Annotated[
        list[str], typer.Option("--mirror", metavar="URL", help="an address to try first; may be repeated")
    ] = NO_MIRRORS,
    as_json: AsJson = False,
) -> None:
    """Bring an encoder's weights to where the pipeline finds them.

    A download that breaks off is resumed, each address is tried in turn, and the file is checked. Read its licence.

    Examples:
        actreel encoders pull dinov2_small
        actreel encoders pull clip_vit_b32 --from /media/stick/vision_model.onnx
    """
    from actreel.config.commands import exp_run
    from actreel.project import pulling

    source = pulling.find_source(name)
    target = pulling.pull(source, mirrors=mirrors, file=file)
    if source.of_keras:
        command = exp_run({"model.encoder": source.name})
    else:
        command = exp_run({"model.encoder": "onnx", "model.weights": str(target)})
    if as_json:
        print(json.dumps({"name": name, "file": str(target), "licence": source.licence, "next": command}))
        return
    print(f"{name} is in '{target}'. Licence: {source.licence}, see {source.page}. Use it with:")
    print(command)


def _print_table(listed: list[Listed], clip: str) -> None:
    print(f"for clips of {clip}; use one with: dvc exp run -S model.encoder=NAME, or -S model.encoder=onnx "
          "-S model.weights=/path/to/FILE.onnx")  # fmt: skip
    rows = [("encoder", "at hand", "MB", "ms a clip", "accuracy (95 %)", "weights"), *map(_row, listed)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(listed: Listed) -> tuple[str, ...]:
    size = "" if listed.size_mb is None else f"{listed.size_mb:.1f}"
    took = "" if listed.ms_per_clip is None else f"{listed.ms_per_clip:.1f}"
    gave = listed.gave
    accuracy = "" if gave is None else f"{gave.accuracy:.1%} ({gave.low:.1%} to {gave.high:.1%}), {gave.model}"
    return listed.name, "yes" if listed.at_hand else "no", size, took, accuracy, listed.weights
