"""Validates the index with Great Expectations before any frame is extracted."""

from __future__ import annotations

import contextlib
import io
import os
from dataclasses import dataclass
from typing import Any

import pandas as pd

from actreel.base.places import UNKNOWN
from actreel.config import SplitParams, ValidateParams
from actreel.dataset.layout import SPLITS, TRAIN
from actreel.dataset.records import LEFT_OUT, UNREADABLE
from actreel.errors import MOST_NAMED

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")

import great_expectations as gx
import great_expectations.expectations as gxe
from great_expectations.expectations.row_conditions import Column


@dataclass(frozen=True)
class Finding:
    """The result of one expectation.

    Attributes:
        rule: The rule, in words.
        passed: Whether the rule is met.
        clips: The clips that break the rule; if it allows a share of them, there can be some although it passed.
    """

    rule: str
    passed: bool
    clips: tuple[str, ...]


def check_index(index: pd.DataFrame, params: ValidateParams, split: SplitParams) -> list[Finding]:
    """Checks every clip of the index.

    Clips outside train, val and test only have to be readable.

    Args:
        index: The index, with splits.
        params: Allowed ranges.
        split: Its protocol determines what each split must contain.

    Returns:
        One finding per expectation, in the order of the rules.
    """
    rules = _rules(params, split, pictured=bool((index["width"] > 0).any()))
    context = gx.get_context(mode="ephemeral")
    batches = (
        context.data_sources.add_pandas("clips")
        .add_dataframe_asset("index")
        .add_batch_definition_whole_dataframe("all")
    )
    suite = context.suites.add(gx.ExpectationSuite(name="clips", expectations=[rule for _, rule in rules]))
    definition = context.validation_definitions.add(gx.ValidationDefinition(name="index", data=batches, suite=suite))
    checkpoint = context.checkpoints.add(
        gx.Checkpoint(
            name="gate",
            validation_definitions=[definition],
            result_format={"result_format": "COMPLETE", "unexpected_index_column_names": ["clip"]},
        )
    )
    with contextlib.redirect_stderr(io.StringIO()):  # the progress bar of Great Expectations, for half a second of work
        outcome = checkpoint.run(batch_parameters={"dataframe": _with_counts(index)})
    (validation,) = outcome.run_results.values()
    return [
        Finding(words, bool(result.success), _clips_of(result.result))
        for (words, _), result in zip(rules, validation.results, strict=True)
    ]


def _rules(params: ValidateParams, split: SplitParams, *, pictured: bool) -> list[tuple[str, Any]]:
    """Each rule in words and as an expectation; those of frames apply where clips have pictures."""
    readable = "every clip can be read"
    if params.max_unreadable:
        readable = f"at most {params.max_unreadable:.1%} of the clips cannot be read"

    def lies_in(column: str, low: float | None = None, high: float | None = None) -> Any:
        # Unreadable clips and clips outside the splits are checked by the first rule only.
        checked = Column("checked") == 1
        return gxe.ExpectColumnValuesToBeBetween(column=column, min_value=low, max_value=high, row_condition=checked)

    of_frames: dict[str, Any] = {
        f"clips have {params.min_frames} frames or more": lies_in("num_frames", low=params.min_frames),
        f"clips run at {params.min_fps:g} to {params.max_fps:g} frames/s": lies_in(
            "fps", params.min_fps, params.max_fps
        ),
        f"frames are {params.min_side} pixels wide or more": lies_in("width", low=params.min_side),
        f"frames are {params.min_side} pixels high or more": lies_in("height", low=params.min_side),
    }
    rules: dict[str, Any] = {
        readable: gxe.ExpectColumnValuesToBeInSet(column="error", value_set=[""], mostly=1 - params.max_unreadable),
        "every clip is listed once": gxe.ExpectColumnValuesToBeUnique(column="clip"),
        "every clip has a split": gxe.ExpectColumnValuesToBeInSet(
            column="split", value_set=[*SPLITS, LEFT_OUT, UNREADABLE, UNKNOWN]
        ),
        **(of_frames if pictured else {}),
        f"clips last at most {params.max_duration_s:g} s": lies_in("duration_s", high=params.max_duration_s),
        f"every action has {params.min_clips} clips or more": lies_in("clips_of_action", low=params.min_clips),
        f"no action has more than {params.max_imbalance:g} times the clips of the rarest": lies_in(
            "imbalance", high=params.max_imbalance
        ),
        "every action is trained on": lies_in("train_clips_of_action", low=1),
        "no content (sha256) is in two splits or two actions": lies_in("places_of_content", high=1),
    }
    if split.protocol in ("group_holdout", "random"):  # a fold may lack an action
        rules["every action is in train, val and test"] = lies_in("splits_of_action", low=len(SPLITS))
    if not split.leaky:
        rules["no group is in two splits"] = lies_in("splits_of_group", high=1)
    return list(rules.items())


def _with_counts(index: pd.DataFrame) -> pd.DataFrame:
    """The index with the counts of each clip's group, content and action that the rules check."""
    used = index[index["split"].isin(SPLITS) & (index["error"] == "")]
    shown = index[index["split"].isin([*SPLITS, UNKNOWN]) & (index["error"] == "")]
    clips_of_action = used["action"].value_counts()
    counted = index.assign(
        checked=index.index.isin(used.index).astype(int),
        splits_of_group=index["group"].map(used.groupby("group")["split"].nunique()),
        splits_of_action=index["action"].map(used.groupby("action")["split"].nunique()),
        train_clips_of_action=index["action"].map(used.loc[used["split"] == TRAIN, "action"].value_counts()),
        places_of_content=index["sha256"].map(
            # What is to be rejected may not be what is learned either.
            shown[["sha256", "split", "action"]].drop_duplicates()["sha256"].value_counts()
        ),
        clips_of_action=index["action"].map(clips_of_action),
        imbalance=index["action"].map(clips_of_action / clips_of_action.min()),
    )
    added = counted.columns.difference(index.columns)
    counted[added] = counted[added].fillna(0)
    return counted


def _clips_of(result: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(row["clip"]) for row in result.get("unexpected_index_list") or ())


def summarise(findings: list[Finding], duplicates: pd.DataFrame, index: pd.DataFrame, *, leaky: bool = False) -> str:
    """Summarises validation in one page of Markdown: failures, unreadable clips and near-duplicates.

    Args:
        findings: From `check_index`.
        duplicates: From `near_duplicates`.
        index: The index; `error` says why a clip cannot be read.
        leaky: Whether the protocol puts clips of one group into several splits.
    """
    failed = sum(not finding.passed for finding in findings)
    failure = f"**{failed} of {len(findings)} expectations FAILED: the pipeline stops here.**"
    counts = index.groupby("split").agg(clips=("clip", "size"), groups=("group", "nunique"))
    lines = [
        "# Validation",
        "",
        failure if failed else f"All {len(findings)} expectations are met.",
        "",
        "| split | clips | groups |",
        "| --- | ---: | ---: |",
        *(f"| {split} | {row['clips']} | {row['groups']} |" for split, row in counts.iterrows()),
        "",
    ]
    if leaky:
        lines += [
            "**Leaky by choice**: clips of one group are in several splits, which makes the accuracy too high.",
            "",
        ]
    for finding in findings:
        lines.append(f"- {'passed' if finding.passed else '**FAILED**'}: {finding.rule}")
        lines += _listed([f"`{clip}`" for clip in finding.clips])
    unreadable = index[index["error"] != ""]
    if len(unreadable):
        lines += ["", f"{len(unreadable)} clips cannot be read and are excluded from training and test:"]
        lines += _listed([f"`{row.clip}`: {row.error}" for row in unreadable.itertuples()])
    if len(duplicates):
        lines += [
            "",
            f"{len(duplicates)} pairs of clips in different splits look alike. Check whether it is the same footage:",
        ]
        lines += _listed([f"`{p.clip}` ({p.split}) and `{p.other}` ({p.other_split})" for p in duplicates.itertuples()])
    return "\n".join(lines) + "\n"


def _listed(entries: list[str]) -> list[str]:
    lines = [f"    - {entry}" for entry in entries[:MOST_NAMED]]
    if len(entries) > MOST_NAMED:
        lines.append(f"    - and {len(entries) - MOST_NAMED} more, all in `index.html`")
    return lines
