import numpy as np
import pytest

from actreel.training.calibration import fit_temperature, sharpened

PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.5, 0.1, 0.4]], dtype=np.float32)


@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_the_applied_temperature_is_found(temperature: float) -> None:
    rng = np.random.default_rng(0)
    honest = rng.dirichlet(np.ones(4), 5000).astype(np.float32)
    targets = np.array([rng.choice(4, p=row / row.sum()) for row in honest.astype(np.float64)])
    assert fit_temperature(sharpened(honest, temperature), targets) == pytest.approx(temperature, rel=0.1)


def test_sharpening_keeps_the_order_and_can_be_undone() -> None:
    sharp = sharpened(PROBABILITIES, 2.5)
    np.testing.assert_array_equal(sharp.argmax(axis=1), PROBABILITIES.argmax(axis=1))
    np.testing.assert_allclose(sharp.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(sharpened(sharp, 1 / 2.5), PROBABILITIES, atol=1e-5)


@pytest.mark.parametrize(("clips", "actions"), [(36, 4), (8, 2), (500, 12)])
def test_a_few_right_answers_prove_no_certainty(clips: int, actions: int) -> None:
    certain = np.full((clips, actions), 1e-27, dtype=np.float64).astype(np.float32)
    targets = np.arange(clips) % actions
    certain[np.arange(clips), targets] = 1
    honest = sharpened(certain, 1 / fit_temperature(certain, targets))
    np.testing.assert_allclose(honest.max(axis=1), (clips + 1) / (clips + 2), rtol=1e-3)
