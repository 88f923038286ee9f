import numpy as np
import pytest

from actreel.evaluation.rejection import (
    compare_scores,
    rejection_scores,
    scores_of,
)

RNG = np.random.default_rng(0)


def test_scores_are_compared_by_how_well_they_tell_known_from_unknown() -> None:
    sure = np.eye(4, dtype=np.float32)[RNG.integers(4, size=50)] * 9
    unsure = RNG.normal(0, 1, (40, 4)).astype(np.float32)
    near, far = RNG.uniform(0, 2, 50).astype(np.float32), RNG.uniform(1.9, 4, 40).astype(np.float32)
    table = compare_scores(scores_of(sure, near), scores_of(unsure, far)).set_index("score")
    assert table.loc["max_logit", "auroc"] == 1.0
    assert 0.9 < table.loc["distance", "auroc"] < 1.0
    assert table.loc["distance", "tar_at_5_far"] == pytest.approx((near <= np.quantile(far, 0.05)).mean())
    figures = rejection_scores(table.reset_index(), near, far, 1.95)
    assert figures["num_unknown_clips"] == 40
    assert figures["true_accept_rate"] == (near <= 1.95).mean()
    assert figures["false_accept_rate"] == (far <= 1.95).mean()
    assert "true_accept_rate" not in rejection_scores(table.reset_index(), near, far, None)
