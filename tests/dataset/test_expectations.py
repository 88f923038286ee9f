from pathlib import Path

import pandas as pd
import pytest

from actreel.config import load_params
from actreel.dataset.expectations import Finding, check_index, summarise
from actreel.dataset.records import index_videos
from actreel.dataset.splits import assign_splits
from actreel.dataset.store import StoredClips, extract_clips

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared/real-clips/weizmann"


@pytest.fixture
def index() -> pd.DataFrame:
    rows = [
        {"clip": f"{action}/{group}.avi", "action": action, "group": group, "split": split, "sha256": action + group}
        for action in ("a", "b")
        for group, split in (("g1", "train"), ("g2", "val"), ("g3", "test"))
    ]
    measured = {"fps": 25.0, "num_frames": 50, "width": 320, "height": 240, "duration_s": 2.0, "error": ""}
    return pd.DataFrame([row | measured for row in rows])


def failures(index: pd.DataFrame, protocol: str = "group_holdout", **validate: float) -> list[Finding]:
    params = load_params(ROOT / "params.yaml")
    findings = check_index(
        index,
        params.validate_.model_copy(update=validate),
        params.split.model_copy(update={"protocol": protocol}),
    )
    assert len(findings) >= 12
    return [finding for finding in findings if not finding.passed]


def test_a_sound_index_passes(index: pd.DataFrame) -> None:
    assert failures(index) == []


@pytest.mark.skipif(not REAL.is_dir(), reason="the real clips are not beside the repository")
def test_real_clips_pass_and_reach_the_store(tmp_path: Path) -> None:
    params = load_params(ROOT / "params.yaml")
    found = index_videos(REAL)
    found["split"] = assign_splits(found, params.split)
    assert failures(found) == []
    extract_clips(found, REAL, tmp_path, params.clip)
    assert len(StoredClips(tmp_path)) == 36


def test_each_bad_clip_fails_one_rule_and_is_named(index: pd.DataFrame) -> None:
    bad = [
        ("num_frames", 1, "clips have 2 frames or more"),
        ("fps", 1000.0, "clips run at 5 to 121 frames/s"),
        ("fps", 0.5, "clips run at 5 to 121 frames/s"),
        ("width", 8, "frames are 32 pixels wide or more"),
        ("height", 8, "frames are 32 pixels high or more"),
        ("duration_s", 3600.0, "clips last at most 60 s"),
    ]
    for row, (column, value, _) in enumerate(bad):
        index.loc[row, column] = value
    assert failures(index) == [
        Finding(rule, False, tuple(index["clip"][row] for row, (_, _, broken) in enumerate(bad) if broken == rule))
        for rule in dict.fromkeys(rule for _, _, rule in bad)
    ]


def test_a_group_in_two_splits_is_refused(index: pd.DataFrame) -> None:
    index.loc[index["clip"] == "a/g1.avi", "group"] = "g3"
    (failure,) = failures(index)
    assert failure.rule == "no group is in two splits"
    assert set(failure.clips) == {"a/g1.avi", "a/g3.avi", "b/g3.avi"}


def test_equal_content_in_two_splits_is_refused(index: pd.DataFrame) -> None:
    index.loc[index["clip"] == "a/g1.avi", "sha256"] = "bg3"
    (failure,) = failures(index)
    rule = "no content (sha256) is in two splits or two actions"
    assert failure == Finding(rule, False, ("a/g1.avi", "b/g3.avi"))


def test_equal_content_in_two_actions_is_refused(index: pd.DataFrame) -> None:
    index.loc[index["clip"] == "a/g1.avi", "sha256"] = "bg1"
    (failure,) = failures(index)
    assert failure.clips == ("a/g1.avi", "b/g1.avi")


def test_equal_content_in_an_action_and_among_the_unknown_is_refused(index: pd.DataFrame) -> None:
    other = index[:1].assign(clip="_unknown/x.avi", action="_unknown", group="x", split="_unknown")
    (failure,) = failures(pd.concat([index, other], ignore_index=True))
    assert failure.clips == ("a/g1.avi",)


def test_an_action_missing_from_a_split_is_refused(index: pd.DataFrame) -> None:
    index.loc[index["clip"] == "b/g3.avi", ["split", "group"]] = ["train", "g9"]
    (failure,) = failures(index)
    assert failure.rule == "every action is in train, val and test"
    assert set(failure.clips) == {"b/g1.avi", "b/g2.avi", "b/g3.avi"}


def test_a_fold_need_not_test_every_action_but_must_train_on_it(index: pd.DataFrame) -> None:
    index.loc[index["clip"] == "b/g3.avi", ["split", "group"]] = ["train", "g9"]
    assert failures(index, "logo") == []
    index.loc[index["action"] == "b", ["split", "group"]] = ["val", "g2"]
    (failure,) = failures(index, "logo")
    assert failure.rule == "every action is trained on"


def test_too_few_clips_of_an_action_are_refused(index: pd.DataFrame) -> None:
    (failure,) = failures(index, min_clips=4)
    assert failure.rule == "every action has 4 clips or more"
    assert len(failure.clips) == 6


def test_imbalance_is_refused(index: pd.DataFrame) -> None:
    more = pd.concat([index.iloc[[0]].assign(clip=f"a/{n}", sha256=f"{n}") for n in range(6)])
    (failure,) = failures(pd.concat([index, more], ignore_index=True), max_imbalance=2)
    assert failure.rule == "no action has more than 2 times the clips of the rarest"
    assert all(clip.startswith("a/") for clip in failure.clips)


def test_a_known_share_of_unreadable_clips_passes_and_is_listed(index: pd.DataFrame) -> None:
    broken = index.iloc[[0]].assign(clip="a/broken.avi", split="unreadable", error="it is damaged", num_frames=0)
    index = pd.concat([index, broken], ignore_index=True)
    (strict,) = failures(index)
    assert strict == Finding("every clip can be read", False, ("a/broken.avi",))
    (failure,) = failures(index, max_unreadable=0.1)
    assert failure.clips == ("a/broken.avi",)
    assert failures(index, max_unreadable=0.2) == []
    page = summarise([], pd.DataFrame(), index)
    assert (
        "1 clips cannot be read and are excluded from training and test:\n    - `a/broken.avi`: it is damaged" in page
    )


def test_a_random_split_may_leak_and_says_so(index: pd.DataFrame) -> None:
    index.loc[index["clip"] == "a/g1.avi", "group"] = "g3"
    assert failures(index, "random") == []
    assert "**Leaky by choice**" in summarise([], pd.DataFrame(), index, leaky=True)


def test_left_out_clips_only_need_to_be_readable(index: pd.DataFrame) -> None:
    left_out = index.iloc[[0]].assign(clip="c/g1.avi", action="c", split="left_out", duration_s=9999.0, sha256="c")
    assert failures(pd.concat([index, left_out], ignore_index=True)) == []


def test_the_summary_says_what_failed_and_what_looks_alike(index: pd.DataFrame) -> None:
    findings = [Finding("every clip can be read", False, ("a/g1.avi",)), Finding("another", True, ())]
    duplicates = pd.DataFrame(
        [{"clip": "a/g1.avi", "split": "train", "other": "a/g3.avi", "other_split": "test", "bits": 1}]
    )
    page = summarise(findings, duplicates, index)
    assert "1 of 2 expectations FAILED" in page
    assert "- **FAILED**: every clip can be read\n    - `a/g1.avi`\n- passed: another" in page
    assert "`a/g1.avi` (train) and `a/g3.avi` (test)" in page
