"""`actreel status` and `actreel doctor`: where a project stands, and whether its machine has what it needs."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from actreel.cli.options import AsJson

if TYPE_CHECKING:
    from actreel.project.status import Status


def status(as_json: AsJson = False) -> None:
    """Say where this project stands, and what to run next.

    Examples:
        actreel status
        actreel status --json

    Exit codes:
        0  nothing is left to do
        1  an error
        3  the command named last is to be run
        4  a run is in progress
    """
    from actreel.project.status import read_status

    found = read_status()
    if as_json:
        fields = asdict(found) | {"serves_champion": found.serves_champion, "exit_code": found.exit_code}
        print(json.dumps(fields))
    else:
        print("\n".join(_lines(found)))
    sys.exit(found.exit_code)


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


def doctor(as_json: AsJson = False) -> None:
    """Check whether this machine has what is needed.

    Python, packages, codecs, model, YouTube, MLflow, DVC, GPU, disk, memory, folders, ports and ffmpeg; what is broken
    gets the command that repairs it.

    Examples:
        actreel doctor
        actreel doctor --json

    Exit codes:
        0  all that is needed works
        1  something that is needed is broken
    """
    from actreel.project.doctor import CHECKS, examine

    found = []
    width = max(len(title) for title, _ in CHECKS.values())
    for name, finding in examine():
        found.append(finding)
        title = CHECKS[name][0]
        if as_json:
            print(json.dumps({"check": name, **asdict(finding)}), flush=True)
            continue
        verdict = "OK" if finding.ok else "problem" if finding.needed else "note"
        print(f"{verdict:<7}  {title:<{width}}  {finding.said}", flush=True)
        if finding.fix:
            print(f"{'':<7}  {'':<{width}}  fix: {finding.fix}", flush=True)
    broken = sum(finding.needed for finding in found)
    if not as_json:
        print(f"\n{broken} of {len(found)} checks found a problem." if broken else "\nAll that is needed works.")
    sys.exit(1 if broken else 0)
