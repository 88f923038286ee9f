import logging
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from actreel.config import ModelParams
from actreel.dataset.store import StoredClips
from actreel.training import probes
from actreel.training.choice import CANDIDATES, choose_head, spread
from actreel.training.data import TrainingData
from actreel.training.features import StoredFeatures
from actreel.training.folds import Pooled, Scored, score_folds
from actreel.training.held_out import hold_out
from actreel.training.train import train
from tests.conftest import train_params
from tests.training import test_probes
from tests.training.test_probes import INDEX, LABELS, MODEL

store = test_probes.store
# The first feature's trend tells the actions apart, and of all candidates only the statistics see a trend.
ROWS = {"train": INDEX[:24], "val": INDEX[24:].reset_index(drop=True)}


def test_the_head_that_is_best_on_held_out_groups_is_taken(
    store: StoredFeatures, caplog: pytest.LogCaptureFixture
) -> None:
    auto = MODEL.model_copy(update={"head": "auto"})
    with caplog.at_level(logging.INFO):
        chosen, table = choose_head(auto, train_params(), store, ROWS, LABELS)
    assert chosen.head == "statistics_probe"
    assert (chosen.encoder, chosen.units) == (MODEL.encoder, MODEL.units)
    assert set(zip(table["head"], table["motion"], strict=True)) == {
        (head, motion)
        for head in ("mean_probe", "moments_probe", "statistics_probe")
        for motion in ("none", "difference")
    }
    assert table["accuracy"].is_monotonic_decreasing
    assert (table["head"][0], table["motion"][0]) == (chosen.head, chosen.motion)
    assert "statistics_probe" in caplog.text


def test_a_head_that_is_named_is_kept(store: StoredFeatures | StoredClips) -> None:
    chosen, table = choose_head(MODEL, train_params(), store, ROWS, LABELS)
    assert chosen is MODEL
    assert isinstance(table, pd.DataFrame)
    assert table.empty


def test_the_winner_is_the_one_that_a_whole_training_of_each_finds_and_is_solved_once(
    store: StoredFeatures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, auto = TrainingData(INDEX, ROWS, LABELS, store), MODEL.model_copy(update={"head": "auto"})
    solved: list[Pooled] = []
    monkeypatch.setattr(probes, "score_folds", lambda clips: solved.append(clips) or score_folds(clips))
    long_way: dict[ModelParams, tuple[Any, pd.DataFrame, Scored]] = {}
    for head, motion in product(CANDIDATES, ("none", "difference")):
        candidate, alone = MODEL.model_copy(update={"head": head, "motion": motion}), Scored()
        long_way[candidate] = (*train(candidate, train_params(), store, ROWS, LABELS, scored=alone), alone)
    assert len(solved) == len(long_way), "without scores from before, the folds are solved"
    solved.clear()

    scored: Scored = {}
    chosen, table = choose_head(auto, train_params(), store, ROWS, LABELS, scored)
    model, curve = train(chosen, train_params(), store, ROWS, LABELS, scored=scored)
    expected, expected_curve, alone = long_way[chosen]
    assert not solved, "training takes the scores of the choice"
    best = {candidate: found.loc[found["val_loss"].idxmin()] for candidate, (_, found, _) in long_way.items()}
    assert max(best, key=lambda each: (best[each]["val_accuracy"], -best[each]["val_loss"])) == chosen
    for head, motion, accuracy, loss in table.itertuples(index=False):
        found = best[MODEL.model_copy(update={"head": head, "motion": motion})]
        assert (accuracy, loss) == (found["val_accuracy"], found["val_loss"])
    pd.testing.assert_frame_equal(curve, expected_curve)
    for ours, theirs in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    _, held_out = hold_out(model, curve, chosen, train_params(), data, tmp_path, scored)
    _, expected_held_out = hold_out(expected, expected_curve, chosen, train_params(), data, tmp_path, alone)
    np.testing.assert_array_equal(held_out.probabilities, expected_held_out.probabilities)


@pytest.mark.parametrize("limit", ["MOST_CLIPS", "FEW_CLIPS"])
def test_scores_of_some_clips_or_penalties_do_not_serve_the_training(
    store: StoredFeatures, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr("actreel.training.choice.FEW_CLIPS", 24)
    monkeypatch.setattr(f"actreel.training.choice.{limit}", 24)
    scored: Scored = {}
    chosen, table = choose_head(MODEL.model_copy(update={"head": "auto"}), train_params(), store, ROWS, LABELS, scored)
    assert scored == {}
    assert chosen.head == "statistics_probe"
    assert len(table) == 6


def test_of_many_clips_some_of_every_action_and_group_are_kept() -> None:
    rows = pd.DataFrame(
        [(f"{group}{action}{clip}", action, group) for action in "AB" for group in "xyz" for clip in range(5)],
        columns=["clip", "action", "group"],
    )
    kept = spread(rows, 13, seed=0)
    sizes = kept.groupby(["action", "group"]).size()
    assert len(kept) == 13
    assert sorted(sizes) == [2, 2, 2, 2, 2, 3]
    assert kept["clip"].is_unique
    assert kept["clip"].isin(rows["clip"]).all()
    assert list(kept.index) == list(range(13))
    pd.testing.assert_frame_equal(kept, spread(rows, 13, seed=0))
    assert not kept.equals(spread(rows, 13, seed=1))
    assert spread(rows, 30, seed=0) is rows
