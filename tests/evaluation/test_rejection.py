import numpy as np
import pytest

from actreel.evaluation.rejection import (
    Scored,
    accept_rate,
    compare_scores,
    scores_of,
    separation,
)

RNG = np.random.default_rng(0)


def test_scores_are_compared_by_how_well_they_separate_known_from_unknown() -> None:
    confident = np.eye(4, dtype=np.float32)[RNG.integers(4, size=50)] * 9
    uncertain = RNG.normal(0, 1, (40, 4)).astype(np.float32)
    near, far = RNG.uniform(0, 2, 50).astype(np.float32), RNG.uniform(1.9, 4, 40).astype(np.float32)
    table = compare_scores(scores_of(confident, near), scores_of(uncertain, far)).set_index("score")
    assert table.loc["max_logit", "auroc"] == 1.0
    assert 0.9 < table.loc["distance", "auroc"] < 1.0
    assert table.loc["distance", "tar_at_5_far"] == pytest.approx((near <= np.quantile(far, 0.05)).mean())
    known, unknown = Scored(near, ["a", "b"] * 25), Scored(far, [str(number) for number in range(40)])
    metrics = separation(table.reset_index(), unknown)
    metrics |= accept_rate("true_accept_rate", known, 1.95) | accept_rate("false_accept_rate", unknown, 1.95)
    assert metrics["num_unknown_clips"] == 40
    assert metrics["num_unknown_groups"] == 40
    assert metrics["false_accept_rate_low"] < metrics["false_accept_rate"] < metrics["false_accept_rate_high"] < 0.3
    assert metrics["true_accept_rate_high"] - metrics["true_accept_rate_low"] > 0.4, "two groups tell little"
    assert metrics["true_accept_rate"] == (near <= 1.95).mean()
    assert metrics["false_accept_rate"] == (far <= 1.95).mean()
    assert accept_rate("true_accept_rate", known, None) == {}
