from pathlib import Path

import pandas as pd
import pytest

from actreel.config import load_params
from actreel.dataset.expectations import Finding, check_index, summarise

ROOT = Path(__file__).parents[2]


@pytest.fixture
def index() -> pd.DataFrame:
    rows = [
        {"clip": f"{action}/{group}.avi", "action": action, "group": group, "split": split, "sha256": action + group}
        for action in ("a", "b")
        for group, split in (("g1", "train"), ("g2", "val"), ("g3", "test"))
    ]
    measured = {"fps": 25.0, "num_frames": 50, "width": 320, "height": 240, "duration_s": 2.0, "error": ""}
    return pd.DataFrame([row | measured for row in rows])


def failures(index: pd.DataFrame, docs: Path) -> list[Finding]:
    findings = check_index(index, load_params(ROOT / "params.yaml").validate_, docs)
    assert len(findings) == 11
    return [finding for finding in findings if not finding.passed]


def test_a_sound_index_passes_and_has_docs(index: pd.DataFrame, tmp_path: Path) -> None:
    assert failures(index, tmp_path / "docs") == []
    assert "<html" in (tmp_path / "docs" / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("error", "a/g1.avi is damaged", "every clip can be read"),
        ("num_frames", 1, "clips have 2 frames or more"),
        ("duration_s", 3600.0, "clips last at most 60 s"),
        ("fps", 1000.0, "clips run at 5 to 121 frames/s"),
        ("fps", 0.5, "clips run at 5 to 121 frames/s"),
        ("width", 8, "frames are 32 pixels wide or more"),
        ("height", 8, "frames are 32 pixels high or more"),
    ],
)
def test_one_bad_clip_fails_one_rule_and_is_named(
    index: pd.DataFrame, tmp_path: Path, column: str, value: object, rule: str
) -> None:
    index.loc[0, column] = value
    (failure,) = failures(index, tmp_path / "docs")
    assert failure == Finding(rule, False, ("a/g1.avi",))


def test_a_group_in_two_splits_is_refused(index: pd.DataFrame, tmp_path: Path) -> None:
    index.loc[index["clip"] == "a/g1.avi", "group"] = "g3"
    (failure,) = failures(index, tmp_path / "docs")
    assert failure.rule == "no group stands in two splits"
    assert set(failure.clips) == {"a/g1.avi", "a/g3.avi", "b/g3.avi"}


def test_equal_content_in_two_splits_is_refused(index: pd.DataFrame, tmp_path: Path) -> None:
    index.loc[index["clip"] == "a/g1.avi", "sha256"] = "bg3"
    (failure,) = failures(index, tmp_path / "docs")
    assert failure == Finding("no content (sha256) stands in two splits", False, ("a/g1.avi", "b/g3.avi"))


def test_an_action_missing_from_a_split_is_refused(index: pd.DataFrame, tmp_path: Path) -> None:
    (failure,) = failures(index[index["clip"] != "b/g3.avi"], tmp_path / "docs")
    assert failure == Finding("every action stands in train, val and test", False, ("b/g1.avi", "b/g2.avi"))


def test_clips_that_are_left_out_need_only_be_readable(index: pd.DataFrame, tmp_path: Path) -> None:
    stranger = index.iloc[[0]].assign(clip="c/g1.avi", action="c", split="left_out", duration_s=9999.0, sha256="c")
    assert failures(pd.concat([index, stranger], ignore_index=True), tmp_path / "docs") == []


def test_the_summary_names_clips_with_their_reasons(index: pd.DataFrame) -> None:
    index.loc[0, "error"] = "it is damaged"
    findings = [Finding("every clip can be read", False, ("a/g1.avi",)), Finding("another", True, ())]
    page = summarise(findings, index)
    assert "- **FAILED**: every clip can be read\n    - `a/g1.avi` it is damaged\n- passed: another" in page
