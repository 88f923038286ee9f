import numpy as np

from actreel.training.targets import class_weights


def test_an_action_that_only_mirrored_clips_show_weighs_like_one_of_one_clip() -> None:
    targets = np.array([0, 0, 0, 2, 2, 3])
    weights = class_weights(targets, 5)
    np.testing.assert_array_equal(weights, np.array([6 / 9, 6 / 3, 6 / 6, 6 / 3, 6 / 3], np.float32))
