"""`actreel feedback`: what visitors of the service said, as a dataset."""

from __future__ import annotations

import argparse
from pathlib import Path

from actreel.cli.options import Commands, add_command
from actreel.config.commands import exp_run
from actreel.feedback import default_folder, export_dataset


def add_feedback(commands: Commands) -> None:
    """Adds `actreel feedback export`."""
    feedback = commands.add_parser("feedback", help="use the feedback of the service's visitors")
    verbs = feedback.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    export = add_command(verbs, "export", _export, summary="make a dataset folder of the videos that visitors gave")
    export.add_argument("target", type=Path, metavar="DIR", help="the folder to create or extend")


def _export(options: argparse.Namespace) -> None:
    count = export_dataset(default_folder(), options.target)
    print(f"{count} clips in '{options.target}'. Train on them with:")
    print(exp_run({"dataset.name": "folder", "dataset.path": str(options.target.absolute())}))
