import logging

import pandas as pd
import pytest

from actreel.dataset.store import StoredClips
from actreel.training.choice import choose_head
from actreel.training.features import StoredFeatures
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
