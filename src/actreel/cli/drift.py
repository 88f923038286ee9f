"""`actreel drift`: what the service is asked against what its model learned from, and what is worth a label."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actreel.base.atomic import written_aside
from actreel.cli.options import AsJson, file_option
from actreel.errors import ActreelError

if TYPE_CHECKING:
    from actreel.drift.detect import Drift
    from actreel.drift.hard import Hard

SINCE = "30d"


def drift(
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="AGO", help="hours, days or weeks, as 12h, 30d or 4w (default: 30d)"),
    ] = None,
    report: Annotated[Path | None, file_option("--report", "also write the report to a page", "FILE.html")] = None,
    hard: Annotated[
        int | None, typer.Option("--hard", min=1, metavar="N", help="rank videos that are worth a label instead")
    ] = None,
    answers: Annotated[
        str | None,
        typer.Option("--answers", metavar="OUT", help="with --hard: also the videos of a table of actreel batch"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell whether what the service is asked has drifted from what it learned.

    The service keeps a few numbers of each video that it answers. They are compared with the training clips, and the
    model's answers with those to its test clips; the report is kept in MLflow.

    Examples:
        actreel drift
        actreel drift --since 12h --report drift.html --json
        actreel drift --hard 20 --answers answers

    Exit codes:
        0  no drift is seen, or too few videos were asked for a verdict
        1  an error
        3  what is asked has drifted
    """
    if hard is not None:
        if since is not None or report is not None:
            raise ActreelError(
                "--hard ranks videos, and takes neither --since nor --report. Leave out one or the other."
            )
        _print_hard(_hard(hard, answers), as_json)
        return
    if answers is not None:
        raise ActreelError("--answers belongs to --hard. Add for example: --hard 20")
    found = _drift(since or SINCE, report)
    if as_json:
        print(json.dumps(asdict(found) | {"exit_code": found.exit_code}))
    else:
        print("\n".join(_lines(found, report)))
    sys.exit(found.exit_code)


def _drift(since: str, report: Path | None) -> Drift:
    from actreel.config import load_params
    from actreel.drift.detect import detect_drift, parse_since
    from actreel.drift.page import write_page
    from actreel.feedback import default_folder
    from actreel.statistics import default_statistics_folder
    from actreel.tracking.drifts import log_drift
    from actreel.tracking.names import registered_model

    now = datetime.now(UTC)
    start = parse_since(since, now)
    dataset = load_params().dataset.label
    found = detect_drift(default_statistics_folder(), default_folder(), registered_model(dataset), start)
    if found.verdict != "too_few":
        with tempfile.TemporaryDirectory(prefix="actreel-drift-") as folder:
            page, numbers = Path(folder, "drift.html"), Path(folder, "drift.json")
            write_page(found, page)
            numbers.write_text(json.dumps(asdict(found), indent=2) + "\n", encoding="utf-8")
            tags = {"dataset": dataset, "model": str(found.model), "drift": str(found.verdict == "drift").lower()}
            name = f"drift {dataset} {now:%Y-%m-%d %H:%M}"
            found = found.logged(log_drift(name, tags, found.metrics, [page, numbers]))
    if report is not None:
        with written_aside(report) as aside:
            write_page(found, aside)
    return found


def _lines(found: Drift, report: Path | None) -> list[str]:
    lines = [*(f"{finding.column:<12}{finding.sentence}" for finding in found.columns), *found.notes]
    if lines:
        lines.append("")
    lines.append(found.said)
    if found.run_id:
        lines.append(f"The report is in MLflow run {found.run_id}{f' and in {report}' if report else ''}.")
    return [*lines, f"Next: {found.next}"] if found.next else lines


def _hard(wanted: int, answers: str | None) -> list[Hard]:
    from actreel.base.places import INDEX
    from actreel.dataset.records import read_index
    from actreel.drift.hard import from_answers, from_feedback, rank
    from actreel.feedback import default_folder

    index = read_index(INDEX) if INDEX.is_file() else None
    rows: Iterator[dict[str, Any]] = iter(())
    if answers is not None:
        from actreel.batch.table import read_answers

        rows = read_answers(answers, ["source", "sha256", "label", "known", "top"])
    chosen = rank(chain(from_feedback(default_folder(), index), from_answers(rows, index)), wanted)
    if not chosen:
        raise ActreelError(
            "There is no video to label: no visitor has shared one that the dataset does not contain. Recognise your "
            "own and rank them: actreel batch SOURCE OUT && actreel drift --hard 20 --answers OUT"
        )
    return chosen


def _print_hard(videos: list[Hard], as_json: bool) -> None:
    if as_json:
        print(json.dumps({"videos": [asdict(video) for video in videos]}))
        return
    for video in videos:
        print(f"{video.hardness:.2f}  {video.path}  {video.reason}")
