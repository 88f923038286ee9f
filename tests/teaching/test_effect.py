import pandas as pd
import pytest

from actreel.teaching.effect import NO_ANSWER, measure
from actreel.teaching.report import HEADER, as_text, rows_of

COLUMNS = ["action", "group", "before", "after"]
HELD_OUT = pd.DataFrame(
    [
        ("Jump", "a", "Jump", "Jump"),
        ("Jump", "b", "Jump", "Wave"),
        ("Run", "a", "Jump", "Run"),
        ("Run", "b", NO_ANSWER, "Jump"),  # the version before was trained on it
        ("Wave", "c", "Run", "Wave"),
        ("Wave", "d", "Run", "Wave"),
    ],
    columns=COLUMNS,
)
LESSON = pd.DataFrame({"action": ["Wave", "Wave", "Wave", "Run"], "group": ["c", "d", "d", "b"]})


def test_actions_are_compared_on_the_clips_that_both_versions_may_answer() -> None:
    effect = measure(HELD_OUT, LESSON, ["Jump", "Run"], ["Jump", "Run", "Wave"])
    run, wave, jump = effect.actions
    assert (run.action, wave.action, jump.action) == ("Run", "Wave", "Jump")
    assert (wave.new, wave.before, wave.taught_clips, wave.taught_groups) == (True, None, 3, 2)
    assert wave.after is not None
    assert (wave.after.right, wave.after.high) == (1.0, 1.0)
    assert wave.after.low < 0.7
    assert run.before is not None
    assert run.after is not None
    assert (run.clips, run.before.right, run.after.right) == (1, 0.0, 1.0)
    assert jump.before is not None
    assert jump.after is not None
    assert (jump.taught_clips, jump.before.right, jump.after.right) == (0, 1.0, 0.5)
    assert effect.others is not None
    assert (effect.others.clips, effect.others.difference) == (3, 0.0)
    assert effect.scores["accuracy"] == pytest.approx(4 / 6)
    assert (effect.scores["num_test_clips"], effect.scores["num_test_groups"]) == (6, 4)
    assert effect.few_groups


def test_an_action_that_cannot_be_held_out_has_no_estimate_and_the_report_says_so() -> None:
    effect = measure(HELD_OUT[:4], LESSON, ["Jump", "Run"], ["Jump", "Run", "Wave"])
    wave = effect.actions[1]
    assert (wave.clips, wave.after) == (0, None)
    text = as_text(effect)
    assert "Nothing is known of how well 'Wave' will be recognised" in text
    assert text.splitlines()[0].split() == " ".join(HEADER).split()
    assert rows_of(effect)[1] == ("Wave", "3 of 2 groups", "0 of 0 groups", "new", "unknown")
