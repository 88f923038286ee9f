import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from actreel.training.rejection import distance_limit, fit_statistics

RNG = np.random.default_rng(0)


def test_distances_are_mahalanobis_s() -> None:
    stretched = RNG.normal(0, 1, (4000, 3)) * [1, 5, 0.2]
    targets = np.arange(4000) % 2
    embeddings = (stretched + np.array([[0, 0, 0], [3, 3, 3]])[targets]).astype(np.float32)
    distances = fit_statistics(embeddings, targets).distances(
        np.array([[0, 5, 0], [2, 0, 0], [3, 3, 3.6]], dtype=np.float32)
    )
    np.testing.assert_allclose(distances, [1, 2, 3], rtol=0.1)


def test_fewer_clips_than_dimensions_and_units_that_never_move() -> None:
    embeddings = RNG.normal(0, 1, (6, 16)).astype(np.float32)
    embeddings[:, 3] = 0.5
    distances = fit_statistics(embeddings, np.array([0, 1, 0, 1, 0, 1])).distances(embeddings)
    assert np.isfinite(distances).all()
    assert distances.max() < 100


@given(
    distances=arrays(np.float32, st.integers(1, 60), elements=st.floats(0.125, 1000, width=32), unique=True),
    rate=st.floats(0, 0.99),
)
def test_as_many_unknown_clips_pass_as_told(distances: np.ndarray, rate: float) -> None:
    passing = (distances <= distance_limit(distances, rate)).mean()
    assert abs(passing - rate) <= 1 / len(distances) + 1e-6
