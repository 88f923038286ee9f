"""`actreel segments`: what people marked in long videos, as a dataset."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from actreel.cli.options import AsJson, file_option

log = logging.getLogger(__name__)


def segments() -> None:
    """Use segments of long videos that were marked in other programs.

    Examples:
        actreel segments import lesson.eaf --videos recordings --into clips
    """


def import_segments(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="files of ELAN, Label Studio or X-AnyLabeling", readable=False),
    ],
    videos: Annotated[Path, file_option("--videos", "the folder with the videos that the files name", "FOLDER")],
    target: Annotated[Path, file_option("--into", "the dataset folder to create or extend", "DATASET")],
    tier: Annotated[
        str | None,
        typer.Option("--tier", metavar="NAME", help="the tier or timeline with the actions, if there are several"),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(
            "--fps",
            metavar="RATE",
            min=0.01,
            max=10_000,
            help="frames a second that Label Studio counted (without it: the task's fps, or 24)",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Cut marked segments of long videos into a dataset folder.

    Each segment becomes a clip in the folder of its action, without loss and exact to the frame. All clips of a video
    are one group. Prints the command that trains on them.

    Examples:
        actreel segments import lesson.eaf --videos recordings --into clips
        actreel segments import project-1.json --videos recordings --into clips --fps 25
        actreel segments import recordings/*.json --videos recordings --into clips --json
    """
    from actreel.config.commands import learn
    from actreel.labelling.importing import import_segments as cut

    found = cut(files, videos, target, tier=tier, fps=fps, on_progress=_show_progress)
    command = learn("folder", str(target.expanduser().absolute()))
    if as_json:
        print(json.dumps({**asdict(found), "folder": str(target), "next": command}, ensure_ascii=False))
        return
    print(f"{sum(found.clips.values())} clips of {len(found.clips)} actions from {found.videos} videos in '{target}'")
    for action, count in found.clips.items():
        print(f"{count:6}  {action}")
    print(f"Train on them with:\n{command}")


def _show_progress(done: int, videos: int, share: float) -> None:
    if sys.stderr.isatty() and log.isEnabledFor(logging.INFO):
        end = "\n" if share == 1 and done + 1 == videos else ""
        print(f"\rcutting video {done + 1} of {videos}: {share:4.0%}", end=end, file=sys.stderr, flush=True)
