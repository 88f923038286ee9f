import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from actreel.training.targets import class_weights


def test_an_action_that_only_mirrored_clips_show_weighs_like_one_of_one_clip() -> None:
    targets = np.array([0, 0, 0, 2, 2, 3])
    weights = class_weights(targets, 5)
    np.testing.assert_array_equal(weights, np.array([6 / 9, 6 / 3, 6 / 6, 6 / 3, 6 / 3], np.float32))


def test_weights_are_those_of_scikit_learn() -> None:
    targets = np.random.default_rng(0).choice(4, 50, p=[0.5, 0.3, 0.1, 0.1])
    expected = compute_class_weight("balanced", classes=np.arange(4), y=targets)
    np.testing.assert_allclose(class_weights(targets, 4), expected, rtol=1e-6)
