"""`actreel teach`: a new action, or a correction, learned in seconds as a draft."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actreel.cli.options import AsJson, file_argument

if TYPE_CHECKING:
    from actreel.teaching.draft import Draft


def teach(
    name: Annotated[str, typer.Argument(metavar="NAME|FOLDER", help="the action, or a folder with one per action")],
    clips: Annotated[list[Path] | None, file_argument("[CLIP]...", "its videos, or folders of them")] = None,
    base: Annotated[
        str | None,
        typer.Option(metavar="NAME@VERSION", help="the registered version to teach (without it: the champion)"),
    ] = None,
    group_pattern: Annotated[
        str | None,
        typer.Option("--group", metavar="PATTERN", help="finds who or what a clip shows in its path, as in own-clips"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Teach the champion a new action, or correct one, in seconds.

    The result is a draft beside the champion: you try it, and promote it if you like what it says.

    Examples:
        actreel teach Wave recordings/*.mp4
        actreel teach clips
        actreel teach Wave more/ --base actreel-demo@draft --json
    """
    # Before NumPy: threads of OpenBLAS wait for their next task by spinning, and a lesson's tasks are small.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

    from actreel.config import load_params
    from actreel.teaching.draft import find_base, make_draft
    from actreel.teaching.lesson import read_lesson

    with contextlib.redirect_stdout(sys.stderr):
        version = find_base(base, load_params().dataset.label)
        lesson = read_lesson(name, clips or [], group_pattern)
        options = [*(("--base", base) if base else ()), *(("--group", group_pattern) if group_pattern else ())]
        typed = shlex.join(["actreel", "teach", name, *map(str, clips or []), *options])
        draft = make_draft(version, lesson, typed)
    print(json.dumps(_fields(draft)) if as_json else _text(draft))


def _fields(draft: Draft) -> dict[str, Any]:
    from actreel.teaching.report import HEADER, notes_on, rows_of

    said = {"table": [HEADER, *rows_of(draft.effect)], "notes": [*notes_on(draft.effect), *_verdict(draft)]}
    return {**asdict(draft), **said, "try": _try(draft), "promote": _promote(draft)}


def _try(draft: Draft) -> str:
    return f"make try MODEL={draft.name}@draft"


def _promote(draft: Draft) -> str:
    return f"actreel models promote {draft.name}@{draft.version} --reason '...' && make repro"


def _verdict(draft: Draft) -> list[str]:
    """What it does to clips of no action, and what the rules for a champion say, in sentences."""
    lines = []
    if draft.rejected.clips:
        seen = draft.rejected
        lines.append(
            f"Of {seen.clips} clips of no action, it rejects {seen.after}, and version {draft.base} {seen.before}."
        )
    verdict = "would" if draft.rules.promoted else "would not"
    return [*lines, f"By the rules it {verdict} become champion: {draft.rules.reason}"]


def _text(draft: Draft) -> str:
    from actreel.teaching.report import as_text

    lines = [
        f"{draft.name} version {draft.version}, a draft from version {draft.base}:",
        "",
        as_text(draft.effect),
        "",
        *_verdict(draft),
        "",
        "Nothing serves it yet.",
        f"To try it beside the champion: {_try(draft)}",
        f"To make it champion: {_promote(draft)}",
    ]
    return "\n".join(lines)
