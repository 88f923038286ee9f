"""The gate: Great Expectations over the index, before a frame is extracted."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from actreel.config import ValidateParams
from actreel.dataset.records import LEFT_OUT, SPLITS, UNKNOWN

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")

import great_expectations as gx
import great_expectations.expectations as gxe
from great_expectations.expectations.row_conditions import Column

MOST_NAMED = 20


@dataclass(frozen=True)
class Finding:
    """What one expectation found.

    Attributes:
        rule: The rule, in words.
        passed: Whether every clip meets it.
        clips: The clips that do not.
    """

    rule: str
    passed: bool
    clips: tuple[str, ...]


def check_index(index: pd.DataFrame, params: ValidateParams, docs: Path) -> list[Finding]:
    """Checks every clip of the index and writes Data Docs (open `docs/index.html`).

    Clips that are left out of training are checked for nothing but being readable.

    Args:
        index: The index, with splits.
        params: Ranges.
        docs: Folder for the Data Docs; replaced.

    Returns:
        One finding for each expectation, in the order of the rules.
    """
    rules = _rules(params)
    context = gx.get_context(mode="ephemeral")
    for site in list(context.list_data_docs_sites()):
        context.delete_data_docs_site(site)
    shutil.rmtree(docs, ignore_errors=True)
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs.resolve())}
    context.add_data_docs_site("docs", {"class_name": "SiteBuilder", "store_backend": store})
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
    with contextlib.redirect_stderr(io.StringIO()):  # its own progress bar, over in half a second
        outcome = checkpoint.run(batch_parameters={"dataframe": _with_counts(index)})
        context.build_data_docs()
    (validation,) = outcome.run_results.values()
    return [
        Finding(words, bool(result.success), _clips_of(result.result))
        for (words, _), result in zip(rules, validation.results, strict=True)
    ]


def _rules(params: ValidateParams) -> list[tuple[str, Any]]:
    """Each rule in words and as an expectation."""
    rules: dict[str, Any] = {
        "every clip can be read": gxe.ExpectColumnValuesToBeInSet(column="error", value_set=[""]),
        "every clip is listed once": gxe.ExpectColumnValuesToBeUnique(column="clip"),
        "every clip has a split": gxe.ExpectColumnValuesToBeInSet(
            column="split", value_set=[*SPLITS, LEFT_OUT, UNKNOWN]
        ),
        f"clips have {params.min_frames} frames or more": gxe.ExpectColumnValuesToBeBetween(
            column="num_frames", min_value=params.min_frames
        ),
        f"clips last at most {params.max_duration_s:g} s": gxe.ExpectColumnValuesToBeBetween(
            column="duration_s", max_value=params.max_duration_s
        ),
        f"clips run at {params.min_fps:g} to {params.max_fps:g} frames/s": gxe.ExpectColumnValuesToBeBetween(
            column="fps", min_value=params.min_fps, max_value=params.max_fps
        ),
        f"frames are {params.min_side} pixels wide or more": gxe.ExpectColumnValuesToBeBetween(
            column="width", min_value=params.min_side
        ),
        f"frames are {params.min_side} pixels high or more": gxe.ExpectColumnValuesToBeBetween(
            column="height", min_value=params.min_side
        ),
        "no group stands in two splits": gxe.ExpectColumnValuesToBeInSet(column="splits_of_group", value_set=[1]),
        "no content (sha256) stands in two splits": gxe.ExpectColumnValuesToBeInSet(
            column="splits_of_content", value_set=[1]
        ),
        "every action stands in train, val and test": gxe.ExpectColumnValuesToBeInSet(
            column="splits_of_action", value_set=[len(SPLITS)]
        ),
    }
    for rule in list(rules.values())[3:]:
        # A clip that cannot be read is named by the first rule alone, one left out by none but it.
        rule.row_condition = Column("checked") == 1
    return list(rules.items())


def _with_counts(index: pd.DataFrame) -> pd.DataFrame:
    """The index with the numbers of splits that each clip's group, content and action stand in."""
    used = index[index["split"].isin(SPLITS)]
    checked = index["split"].isin(SPLITS) & (index["error"] == "")
    counted = index.assign(checked=checked.astype(int))
    for column, key in {"group": "group", "content": "sha256", "action": "action"}.items():
        splits = used.groupby(key)["split"].nunique()
        counted[f"splits_of_{column}"] = counted[key].map(splits).fillna(0).astype(int)
    return counted


def _clips_of(result: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(row["clip"]) for row in result.get("unexpected_index_list") or ())


def summarise(findings: list[Finding], index: pd.DataFrame) -> str:
    """The findings on one page of Markdown, with the reason beside each clip that cannot be read."""
    reasons = index.set_index("clip")["error"].to_dict()
    failed = sum(not finding.passed for finding in findings)
    lines = [
        "# Validation",
        "",
        f"{len(index)} clips, {len(findings)} expectations, {failed or 'none'} failed.",
        "",
    ]
    for finding in findings:
        lines.append(f"- {'passed' if finding.passed else '**FAILED**'}: {finding.rule}")
        lines += [f"    - `{clip}` {reasons.get(clip, '')}".rstrip() for clip in finding.clips[:MOST_NAMED]]
        if len(finding.clips) > MOST_NAMED:
            lines.append(f"    - and {len(finding.clips) - MOST_NAMED} more, all in `docs/index.html`")
    return "\n".join(lines) + "\n"
