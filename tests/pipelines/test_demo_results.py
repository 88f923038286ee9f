"""What `make repro` must have reached on the demo; CI runs this after it."""

import json

import pandas as pd
import pytest

from actreel.dataset.demo import ORDERED_PAIRS
from tests.conftest import ROOT

METRICS = ROOT / "reports" / "metrics.json"

pytestmark = pytest.mark.skipif(
    not METRICS.exists() or not (ROOT / "artifacts/videos/SitDown").is_dir(), reason="the demo has not been run here"
)


def test_the_lrcn_is_right_on_performers_it_has_not_seen() -> None:
    metrics = json.loads(METRICS.read_text(encoding="utf-8"))
    assert metrics["protocol"] == "group_holdout"
    assert metrics["num_test_groups"] >= 4
    assert metrics["accuracy"] >= 0.95


def test_the_order_blind_baseline_fails_where_order_is_all_there_is() -> None:
    table = pd.read_csv(ROOT / "reports" / "per_class.csv").set_index("action")
    ordered = [action for pair in ORDERED_PAIRS for action in pair]
    assert table.loc[ordered, "recall"].mean() >= 0.9
    assert table.loc[ordered, "mean_pool_recall"].mean() <= 0.75
    assert table.drop(index=ordered)["mean_pool_recall"].mean() >= 0.9
