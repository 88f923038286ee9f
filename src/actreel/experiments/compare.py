"""Compares runs: their settings, their metrics, and whether a difference can be chance.

MLflow keeps every run's predictions on its test clips, so two runs are compared on exactly the clips that both were
tested on, even if their splits differ.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from actreel.base.places import ANSWERS
from actreel.errors import ModelError
from actreel.evaluation.intervals import FEW_GROUPS
from actreel.evaluation.paired import Paired, compare_pair
from actreel.tracking.registry import CHAMPION, find_champion, registered_model
from actreel.tracking.runs import Run, find_run, read_artifact

COLUMNS = ("sha256", "group", "actual", "predicted")
KEY_METRICS = (
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "balanced_accuracy",
    "multi_clip_accuracy",
    "top5_accuracy",
    "macro_f1",
    "chance",
    "mean_pool_accuracy",
    "order_gain",
    "order_gain_low",
    "order_gain_high",
    "calibration_error",
    "rejection_auroc",
    "rejection_tar_at_5_far",
    "true_accept_rate",
    "false_accept_rate",
    "num_test_clips",
    "num_test_groups",
    "parameters",
    "flops",
    "ms_per_clip",
)


@dataclass(frozen=True, kw_only=True)
class Pair(Paired):
    """Two runs on the test clips that they share.

    Attributes:
        first: Id of the run that the other is compared with.
        second: Id of the other run.
    """

    first: str
    second: str


def compare(wanted: Sequence[str]) -> dict[str, Any]:
    """Collects settings and metrics of runs, and tests each run against the first.

    Args:
        wanted: At least two runs: ids, starts of ids, names, or `champion` (of the dataset of the other runs).

    Returns:
        `runs` (a dictionary each: `run_id`, `name`, `params`, `metrics`), `differing_params` (names) and `pairs`
        (a `Pair` each, as a dictionary).

    Raises:
        ModelError: There are fewer than two runs, one is not in the store or not evaluated, or two share no clip.
    """
    runs = _find(wanted)
    answers = [_answers(run) for run in runs]
    pairs = [_test(runs[0], answers[0], run, own) for run, own in zip(runs[1:], answers[1:], strict=True)]
    names = sorted({name for run in runs for name in run.params})
    return {
        "runs": [
            {
                "run_id": run.run_id,
                "name": run.name,
                "params": dict(run.params),
                "metrics": {name: run.metrics[name] for name in KEY_METRICS if name in run.metrics},
            }
            for run in runs
        ],
        "differing_params": [name for name in names if len({run.params.get(name) for run in runs}) > 1],
        "pairs": [asdict(pair) for pair in pairs],
    }


def _find(wanted: Sequence[str]) -> list[Run]:
    found = {name: find_run(name) for name in wanted if name != CHAMPION}
    if CHAMPION in wanted:
        if not found:
            raise ModelError(
                f"'{CHAMPION}' must be compared with another run. Name one, for example: actreel compare {CHAMPION} RUN"
            )
        dataset = next(iter(found.values())).tags.get("dataset", "")
        champion = find_champion(registered_model(dataset))
        if champion is None:
            raise ModelError(f"The runs' dataset '{dataset}' has no champion. Train and evaluate a model: dvc repro")
        found[CHAMPION] = find_run(champion.run_id)
    runs = [found[name] for name in wanted]
    first: dict[str, str] = {}
    for name, run in zip(wanted, runs, strict=True):
        if run.run_id in first:
            raise ModelError(
                f"'{first[run.run_id]}' and '{name}' are the same run, {run.run_id[:8]} ('{run.name}'). "
                "Name each run once. List runs with: make ui"
            )
        first[run.run_id] = name
    if len(runs) < 2:
        raise ModelError(f"Name at least 2 runs. Received: {', '.join(wanted)}. List runs with: make ui")
    return runs


def _answers(run: Run) -> pd.DataFrame:
    """A run's predictions, one row for each test clip by content."""
    text = read_artifact(run, ANSWERS.as_posix())
    # An action may be called "nan" or "1".
    table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise ModelError(
            f"{ANSWERS} of run {run.run_id} ('{run.name}') has no {', '.join(missing)}: an early version evaluated it. "
            "Evaluate it again: dvc repro --force evaluate"
        )
    return table.drop_duplicates("sha256")


def _test(first: Run, first_answers: pd.DataFrame, second: Run, second_answers: pd.DataFrame) -> Pair:
    # A clip that was moved to another action is not the same test.
    shared = first_answers.merge(second_answers, on=["sha256", "actual"], suffixes=("", "_second"))
    if shared.empty:
        raise ModelError(
            f"The {len(first_answers)} test clips of run {first.run_id[:8]} ('{first.name}') and the "
            f"{len(second_answers)} of {second.run_id[:8]} ('{second.name}') have none in common. "
            "Compare runs with the same dataset and split."
        )
    one = (shared["predicted"] == shared["actual"]).to_numpy()
    two = (shared["predicted_second"] == shared["actual"]).to_numpy()
    return Pair(first=first.run_id, second=second.run_id, **asdict(compare_pair(one, two, shared["group"])))


def as_text(comparison: dict[str, Any]) -> str:
    """A comparison for people: one column for each run, then one paragraph for each pair."""
    runs = comparison["runs"]
    present = [name for name in KEY_METRICS if any(name in run["metrics"] for run in runs)]
    rows = [["", *(run["run_id"][:8] for run in runs)], ["", *(run["name"] for run in runs)]]
    rows += [[name, *(run["params"].get(name, "-") for run in runs)] for name in comparison["differing_params"]]
    rows += [[name, *(_number(run["metrics"].get(name)) for run in runs)] for name in present]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, *(_paragraph(Pair(**pair)) for pair in comparison["pairs"])])


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 1000 or (value.is_integer() and value > 1) else f"{value:.4g}"


def _paragraph(pair: Pair) -> str:
    first, second = pair.first[:8], pair.second[:8]
    zero = "excludes" if pair.low > 0 or pair.high < 0 else "includes"
    warning = f"; it is wide, since {pair.groups} groups are few" if pair.groups < FEW_GROUPS else ""
    return (
        f"\n{second} against {first}, on the {pair.clips} test clips of {pair.groups} groups that they share:\n"
        f"  accuracy {pair.second_accuracy:.4f} against {pair.first_accuracy:.4f}: {pair.difference:+.4f}\n"
        f"  95 % interval for new groups {pair.low:+.4f} to {pair.high:+.4f}, which {zero} 0{warning}\n"
        f"  only one is correct: {pair.only_second_right} against {pair.only_first_right} clips, "
        f"McNemar's exact p = {pair.p_value:.3g} (as if clips of a group were independent)"
    )
