import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from actreel.evaluation.rejection import (
    compare_scores,
    fit_familiar,
    rejection_scores,
    scores_of,
    threshold,
    unknown_halves,
)

RNG = np.random.default_rng(0)


def test_distances_are_mahalanobis_s() -> None:
    stretched = RNG.normal(0, 1, (4000, 3)) * [1, 5, 0.2]
    targets = np.arange(4000) % 2
    embeddings = (stretched + np.array([[0, 0, 0], [3, 3, 3]])[targets]).astype(np.float32)
    distances = fit_familiar(embeddings, targets).distances(
        np.array([[0, 5, 0], [2, 0, 0], [3, 3, 3.6]], dtype=np.float32)
    )
    np.testing.assert_allclose(distances, [1, 2, 3], rtol=0.1)


def test_fewer_clips_than_dimensions_and_units_that_never_move() -> None:
    embeddings = RNG.normal(0, 1, (6, 16)).astype(np.float32)
    embeddings[:, 3] = 0.5
    distances = fit_familiar(embeddings, np.array([0, 1, 0, 1, 0, 1])).distances(embeddings)
    assert np.isfinite(distances).all()
    assert distances.max() < 100


@given(
    distances=arrays(np.float32, st.integers(1, 60), elements=st.floats(0.125, 1000, width=32), unique=True),
    rate=st.floats(0, 0.99),
)
def test_as_many_unknown_clips_pass_as_told(distances: np.ndarray, rate: float) -> None:
    passing = (distances <= threshold(distances, rate)).mean()
    assert abs(passing - rate) <= 1 / len(distances) + 1e-6


def test_unknown_clips_that_set_the_limit_do_not_judge_it() -> None:
    index = pd.DataFrame(
        [("a1", "g1", "train"), ("a2", "g2", "val"), ("a3", "g3", "test")]
        + [(f"u{group}", f"g{group}", "_unknown") for group in (1, 2, 3, 7, 8, 9)],
        columns=["clip", "group", "split"],
    ).assign(action="Jump")
    set_on, judged = unknown_halves(index)
    assert set_on["clip"].tolist() == ["u1", "u2", "u8"]
    assert judged["clip"].tolist() == ["u3", "u7", "u9"]


@pytest.mark.parametrize("learned", ["train", "test"])
def test_unknown_actions_or_groups_take_turns_where_all_clips_are_on_one_side(learned: str) -> None:
    index = pd.DataFrame(
        [("k1", "g1", learned), ("k2", "g2", learned), ("k3", "g3", learned)]
        + [(f"u{place}", f"g{place // 2}", "_unknown") for place in range(2, 8)],
        columns=["clip", "group", "split"],
    ).assign(action="Jump")
    set_on, judged = unknown_halves(index)
    assert set_on["clip"].tolist() == ["u2", "u3", "u6", "u7"]
    assert judged["clip"].tolist() == ["u4", "u5"]
    set_on, judged = unknown_halves(index[index["clip"].isin(["k1", "u2", "u3"])])
    assert set_on["clip"].tolist() == ["u2", "u3"]
    assert judged.empty
    index["action"] = ["Run", "Run", "Jump", "Climb", "Dive", "Sit", "Climb", "Dive", "Sit"]
    set_on, judged = unknown_halves(index)
    assert set_on["clip"].tolist() == ["u2", "u4", "u5", "u7"]
    assert judged["clip"].tolist() == ["u3", "u6"]
    assert list(map(len, unknown_halves(index[:3]))) == [0, 0]


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
