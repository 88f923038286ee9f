import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.covariance import OAS, LedoitWolf

from actreel.training.rejection import Shrinkage, distance_limit, fit_statistics, ledoit_wolf, oas

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


def test_actions_without_clips_have_no_mean() -> None:
    embeddings = RNG.normal(0, 1, (20, 3)).astype(np.float32)
    some = fit_statistics(embeddings, np.arange(20) % 2 * 2)
    np.testing.assert_allclose(
        some.distances(embeddings), fit_statistics(embeddings, np.arange(20) % 2).distances(embeddings)
    )


@given(
    distances=arrays(np.float32, st.integers(1, 60), elements=st.floats(0.125, 1000, width=32), unique=True),
    rate=st.floats(0.01, 0.99),
)
def test_the_limit_holds_what_it_promises(distances: np.ndarray, rate: float) -> None:
    # Of N + 1 clips in any order, the last is accepted as often as promised by the limit of the others.
    accepted = []
    for place in range(len(distances)):
        others = np.delete(distances, place)
        if not len(others):
            return
        limit, promised = distance_limit(others, rate)
        accepted.append(distances[place] <= limit)
    assert promised == min(rate, (len(distances) - 1) / len(distances))
    assert np.mean(accepted) >= promised - 1e-9
    assert np.mean(accepted) <= promised + 1 / len(distances) + 1e-9


@pytest.mark.parametrize(("clips", "size"), [(12, 30), (40, 6)])
@pytest.mark.parametrize(("shrinkage", "theirs"), [(ledoit_wolf, LedoitWolf), (oas, OAS)])
def test_distances_are_those_of_scikit_learns_shrunk_covariance(
    clips: int, size: int, shrinkage: Shrinkage, theirs: type[LedoitWolf | OAS]
) -> None:
    rng = np.random.default_rng(0)
    embeddings = (rng.normal(size=(clips, size)) * rng.uniform(0.1, 3, size)).astype(np.float32)
    targets = np.arange(clips) % 2
    means = np.stack([embeddings[targets == action].mean(axis=0) for action in (0, 1)])
    precision = theirs(assume_centered=True).fit(embeddings - means[targets]).precision_
    others = rng.normal(size=(5, size)).astype(np.float32)
    apart = others[:, np.newaxis] - means
    expected = np.sqrt(np.einsum("nki,ij,nkj->nk", apart, precision, apart)).min(axis=1)
    found = fit_statistics(embeddings, targets, shrinkage).distances(others)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
