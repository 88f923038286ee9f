"""summary: the last line of a pipeline run: whether its model is served, why, and the command to run next."""

from __future__ import annotations

import json
from typing import Any

import yaml

from actreel.base.faults import reading
from actreel.base.places import BENTO, NOT_PACKAGED, VERDICT
from actreel.tracking.promotions import BY_HAND

NEXT = "Next: make serve (or, while a server runs: make reload)"


def closing_line() -> str:
    """What came of the last run, in one line.

    Raises:
        FileError: The pipeline has not run.
    """
    with reading(VERDICT, "Make it again with: dvc repro"):
        verdict = json.loads(VERDICT.read_text(encoding="utf-8"))
    if NOT_PACKAGED.is_file():
        return f"Nothing is served. {NOT_PACKAGED.read_text(encoding='utf-8').strip()}"
    with reading(BENTO / "bento.yaml", "Make it again with: dvc repro package"):
        labels = yaml.safe_load((BENTO / "bento.yaml").read_text(encoding="utf-8"))["labels"]
    return served_line(verdict, labels)


def served_line(verdict: dict[str, Any], labels: dict[str, str]) -> str:
    """The closing line where there is a Bento.

    Args:
        verdict: As in reports/verdict.json.
        labels: The Bento's; they name the registered model in it and its version.
    """
    packaged = f"{labels['registered_model']} version {labels['version']}"
    if BY_HAND in labels:
        return f"Ready to serve: {packaged}, made champion {labels[BY_HAND].rstrip('.')}. {NEXT}"
    evaluated = str(verdict.get("version") or verdict["champion"])
    if evaluated == labels["version"]:
        reason = verdict["reason"] if verdict["promoted"] else "it was given the alias 'champion' by hand."
        return f"Ready to serve: {packaged}; {reason} {NEXT}"
    if verdict["promoted"]:
        return f"Ready to serve: {packaged}; it was given the alias 'champion' by hand. {NEXT}"
    return (
        f"Ready to serve: {packaged}, the champion from before. Version {evaluated} is not: {verdict['reason']} {NEXT}"
    )
