"""`actreel feedback`: what visitors of the service said, as a dataset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from actreel.cli.options import AsJson, file_argument


def feedback() -> None:
    """Use the feedback of the service's visitors.

    Examples:
        actreel feedback export clips
    """


def export(
    target: Annotated[Path, file_argument("DIR", "the folder to create or extend")],
    actions: Annotated[
        list[str] | None, typer.Option("--action", metavar="NAME", help="only clips of this action; may be repeated")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a dataset folder of the videos that visitors gave.

    Where a visitor corrected the timeline, each segment becomes a clip. Prints the command that trains on them.

    Examples:
        actreel feedback export clips
        actreel feedback export lesson --action Wave --action _unknown
        ACTREEL_FEEDBACK_DIR=/srv/feedback actreel feedback export clips --json
    """
    from actreel.config.commands import exp_run
    from actreel.feedback import default_folder
    from actreel.labelling.visitors import export_dataset

    count = export_dataset(default_folder(), target, actions)
    command = exp_run({"dataset.name": "folder", "dataset.path": str(target.absolute())})
    if as_json:
        print(json.dumps({"clips": count, "folder": str(target), "next": command}))
        return
    print(f"{count} clips in '{target}'. Train on them with:")
    print(command)
