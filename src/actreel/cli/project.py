"""`actreel status` and `actreel doctor`: where a project stands, and whether its machine has what it needs."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from actreel.cli.options import Commands, add_command, add_json

if TYPE_CHECKING:
    from actreel.project.status import Status

STATUS_CODES = "exit codes: 0 nothing is left to do, 3 the command named last is, 4 a run is in progress, 1 an error"
DOCTOR_CODES = "exit codes: 0 all that is needed works, 1 something that is needed is broken"


def add_status(commands: Commands) -> None:
    """Adds `actreel status`."""
    command = add_command(
        commands, "status", _status, summary="say where this project stands, and what to run next", extra="pipeline"
    )
    command.epilog = STATUS_CODES
    add_json(command)


def _status(options: argparse.Namespace) -> None:
    from actreel.project.status import read_status

    status = read_status()
    if options.json:
        fields = asdict(status) | {"serves_champion": status.serves_champion, "exit_code": status.exit_code}
        print(json.dumps(fields))
    else:
        print("\n".join(_lines(status)))
    sys.exit(status.exit_code)


def _lines(status: Status) -> list[str]:
    lines = [f"dataset   {status.dataset}"]
    if status.state != "running":
        champion = status.champion
        lines.append(f"champion  {_champion(champion) if champion else 'none'}")
        lines.append(f"packaged  {status.bento.in_words if status.bento else 'nothing'}")
    if status.serving is not None:
        which = {True: ", the champion", False: ", not the champion", None: ""}[
            status.serves_champion if status.state != "running" else None
        ]
        lines.append(f"served    {status.serving.bento.in_words}{which}, at {status.serving.address}")
    else:
        lines.append("served    nothing")
    if status.feedback.given:
        told = status.feedback
        lines.append(f"feedback  {told.given} answers, {told.wrong} of them wrong; {told.videos} videos to learn from")
    verdict = status.verdict
    if verdict and not verdict["promoted"] and "version" in verdict and status.champion:
        lines.append(f"evaluated version {verdict['version']}, not champion by the rules: {verdict['reason']}")
    return [*lines, "", status.said, f"Next: {status.next}" if status.next else "Nothing is to be run now."]


def _champion(labels: object) -> str:
    tags: dict[str, str] = dict(labels)  # type: ignore[call-overload]
    accuracy = ""
    if "accuracy" in tags:
        accuracy, low, high = (f"{float(tags.get(f'accuracy{end}', 'nan')):.1%}" for end in ("", "_low", "_high"))
        accuracy = f", {accuracy} of {tags.get('num_test_clips', '?')} test clips (95 %: {low} to {high})"
    return f"{tags['registered_model']} version {tags['version']}{accuracy}"


def add_doctor(commands: Commands) -> None:
    """Adds `actreel doctor`."""
    command = add_command(commands, "doctor", _doctor, summary="check whether this machine has what is needed")
    command.epilog = DOCTOR_CODES
    add_json(command)


def _doctor(options: argparse.Namespace) -> None:
    from actreel.project.doctor import CHECKS, examine

    found = []
    width = max(len(title) for title, _ in CHECKS.values())
    for name, finding in examine():
        found.append(finding)
        title = CHECKS[name][0]
        if options.json:
            print(json.dumps({"check": name, **asdict(finding)}), flush=True)
            continue
        verdict = "OK" if finding.ok else "problem" if finding.needed else "note"
        print(f"{verdict:<7}  {title:<{width}}  {finding.said}", flush=True)
        if finding.fix:
            print(f"{'':<7}  {'':<{width}}  fix: {finding.fix}", flush=True)
    broken = sum(finding.needed for finding in found)
    if not options.json:
        print(f"\n{broken} of {len(found)} checks found a problem." if broken else "\nAll that is needed works.")
    sys.exit(1 if broken else 0)
