"""Batches: what they hold, in which order, and that chance comes from the seed and the place alone."""

import logging
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from actreel.config import ClipSpec, TrainParams
from actreel.dataset.store import Store, StoredClips, write_store
from actreel.errors import ConfigError
from actreel.training.batches import (
    _say_sides,
    clip_batches,
    mirror_targets,
    steps_an_epoch,
    training_batches,
)
from actreel.training.features import StoredFeatures
from tests.conftest import train_params

SPEC = ClipSpec(num_frames=4, height=8, width=8)
LABELS = ["Left", "Right", "Jump"]
ROWS = pd.DataFrame({"clip": [f"{place:02d}" for place in range(22)]})
ROWS["action"] = [LABELS[place % 2 if place < 18 else 2] for place in range(22)]
ROWS["sha256"] = ROWS["clip"]


def params_of(**changes: Any) -> TrainParams:
    small = {"epochs": 3, "batch_size": 5, "learning_rate": 0.01, "patience": 3}
    return train_params(**small | changes)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> StoredClips:
    folder = tmp_path_factory.mktemp("frames")
    frames = iter(np.random.default_rng(0).integers(0, 256, (len(ROWS), *SPEC.shape), dtype=np.uint8))
    write_store(ROWS, folder, {"clip": SPEC.model_dump()}, lambda names: frames)
    return StoredClips(folder)


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> StoredFeatures:
    folder = tmp_path_factory.mktemp("features")
    views = iter(np.random.default_rng(0).normal(0, 1, (len(ROWS), 2, 4, 6)).astype(np.float32))
    write_store(ROWS, folder, {"clip": SPEC.model_dump(), "encoder": "efficientnet_lite0"}, lambda names: views)
    return StoredFeatures(folder)


def seen_in(dataset: Any) -> list[NDArray[Any]]:
    """What a dataset gives, all batches joined."""
    return [np.concatenate(part) for part in zip(*dataset.as_numpy_iterator(), strict=True)]


def test_batches_hold_the_clips_of_their_rows_in_order(store: StoredClips) -> None:
    clips, targets = seen_in(clip_batches(store, ROWS, LABELS, 5))
    np.testing.assert_array_equal(clips, store.take(ROWS["clip"].tolist()))
    assert np.array(LABELS)[targets].tolist() == ROWS["action"].tolist()
    _, soft = seen_in(clip_batches(store, ROWS, LABELS, 5, soft=True))
    np.testing.assert_array_equal(soft, np.eye(3)[targets])


def test_shuffling_changes_each_epoch_and_keeps_clips_with_their_targets(store: StoredClips) -> None:
    batches = list(training_batches(params_of(), store, ROWS, LABELS).as_numpy_iterator())
    assert [len(targets) for _, targets in batches] == [5, 5, 5, 5, 2] * 3
    assert steps_an_epoch(params_of(), len(ROWS)) == 5
    plain = {clip.tobytes(): action for clip, action in zip(store.take(ROWS["clip"]), ROWS["action"], strict=True)}
    orders = []
    for epoch in range(3):
        part = batches[5 * epoch : 5 * epoch + 5]
        clips, targets = (np.concatenate([batch[place] for batch in part]) for place in (0, 1))
        assert [plain[clip.tobytes()] for clip in clips] == np.array(LABELS)[targets].tolist()
        assert len({clip.tobytes() for clip in clips}) == len(ROWS)
        orders.append(targets.tolist())
    assert orders[0] != orders[1] != orders[2]


EVERYTHING = {
    "mirror": True, "balance": True, "crop": 0.3, "colour": 0.3, "speed": 0.5, "jitter": 1.0, "mixup": 0.4,
    "label_smoothing": 0.1,
}  # fmt: skip


@pytest.mark.parametrize("inputs", ["store", "features"])
@pytest.mark.parametrize("changes", [{"mirror": True}, EVERYTHING], ids=["mirror", "everything"])
def test_a_training_may_go_on_in_the_middle(
    inputs: str, changes: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    store: Store = request.getfixturevalue(inputs)
    params = params_of(**changes)
    whole = list(training_batches(params, store, ROWS, LABELS).as_numpy_iterator())
    rest = list(training_batches(params, store, ROWS, LABELS, first_epoch=2).as_numpy_iterator())
    assert len(rest) == 5
    for batch, expected in zip(rest, whole[10:], strict=True):
        for part, expected_part in zip(batch, expected, strict=True):
            np.testing.assert_array_equal(part, expected_part)
    assert (whole[0][0] != whole[5][0]).any()
    other = next(training_batches(params_of(**changes, seed=1), store, ROWS, LABELS).as_numpy_iterator())
    assert (other[0] != whole[0][0]).any()


def test_augmented_clips_are_of_the_kind_that_is_stored(store: StoredClips, features: StoredFeatures) -> None:
    clips, soft, weights = seen_in(training_batches(params_of(**EVERYTHING), store, ROWS, LABELS))
    assert (clips.dtype, soft.dtype, weights.dtype) == (np.uint8, np.float32, np.float32)
    np.testing.assert_allclose(soft.sum(axis=1), 1, rtol=1e-5)
    assert soft.min() == pytest.approx(0.1 / 3)
    clips, _, _ = seen_in(training_batches(params_of(**EVERYTHING), features, ROWS, LABELS))
    assert (clips.dtype, clips.shape[1:]) == (np.float32, (4, 6))


def test_what_is_left_over_can_be_dropped(store: StoredClips) -> None:
    batches = list(training_batches(params_of(), store, ROWS, LABELS, drop_remainder=True))
    assert [len(targets) for _, targets in batches] == [5] * 4 * 3
    assert steps_an_epoch(params_of(), len(ROWS), drop_remainder=True) == 4


def is_mirror(store: Store, clips: NDArray[Any]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Whether each clip is the mirror image of one that is stored, or that itself; and the row of that one."""
    names = ROWS["clip"].tolist()
    views = [store.take(names, [mirrored] * len(names)) for mirrored in (False, True)]
    known = {clip.tobytes(): (row, bool(side)) for side, view in enumerate(views) for row, clip in enumerate(view)}
    found = [known[clip.tobytes()] for clip in clips]
    return np.array([side for _, side in found]), np.array([row for row, _ in found])


@pytest.mark.parametrize("inputs", ["store", "features"])
def test_half_of_the_clips_are_mirrored_and_take_the_action_that_is_seen(
    inputs: str, request: pytest.FixtureRequest
) -> None:
    store: Store = request.getfixturevalue(inputs)
    swaps = {"Left": "Right", "Right": "Left", "Jump": None}
    clips, targets = seen_in(training_batches(params_of(mirror=True, mirror_as=swaps), store, ROWS, LABELS))
    mirrored, rows = is_mirror(store, clips)
    was = ROWS["action"].to_numpy()[rows]
    now = np.array(LABELS)[targets]
    assert 0.3 < mirrored[was != "Jump"].mean() < 0.7
    assert not mirrored[was == "Jump"].any()
    assert [swaps[action] if side else action for action, side in zip(was, mirrored, strict=True)] == now.tolist()
    mirrored, rows = is_mirror(store, seen_in(training_batches(params_of(mirror=True), store, ROWS, LABELS))[0])
    assert mirrored[ROWS["action"].to_numpy()[rows] == "Jump"].any()


def test_left_and_right_are_swapped_by_name_with_one_line_that_says_so(
    store: StoredClips, caplog: pytest.LogCaptureFixture
) -> None:
    _say_sides.cache_clear()
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            _, targets = seen_in(training_batches(params_of(mirror=True), store, ROWS, LABELS))
    (line,) = [record.getMessage() for record in caplog.records]
    assert "a mirrored clip of 'Left' as 'Right', 'Right' as 'Left' counts as the other side" in line
    clips, targets = seen_in(training_batches(params_of(mirror=True), store, ROWS, LABELS))
    mirrored, rows = is_mirror(store, clips)
    was, now = ROWS["action"].to_numpy()[rows], np.array(LABELS)[targets]
    swap = {"Left": "Right", "Right": "Left", "Jump": "Jump"}
    assert [swap[action] if side else action for action, side in zip(was, mirrored, strict=True)] == now.tolist()
    assert mirror_targets(params_of(mirror=False), LABELS).tolist() == [-1, -1, -1]


def test_a_side_without_a_partner_is_not_mirrored_unless_the_user_says_so(caplog: pytest.LogCaptureFixture) -> None:
    _say_sides.cache_clear()
    with caplog.at_level(logging.INFO):
        assert mirror_targets(params_of(mirror=True), ["Jump", "WaveLeft"]).tolist() == [0, -1]
    assert "clips of 'WaveLeft' are not mirrored" in caplog.text
    said = params_of(mirror=True, mirror_as={"WaveLeft": "WaveLeft"})
    assert mirror_targets(said, ["Jump", "WaveLeft"]).tolist() == [0, 1]


def test_an_unknown_action_in_the_mirror_is_a_message(store: StoredClips) -> None:
    with pytest.raises(ConfigError, match=r"mirror_as must name actions of the dataset. Received: 'Hop'. Known here"):
        training_batches(params_of(mirror=True, mirror_as={"Left": "Hop"}), store, ROWS, LABELS)


def test_balancing_gives_every_action_the_same_weight(store: StoredClips) -> None:
    for batches in (
        clip_batches(store, ROWS, LABELS, 3, balance=True),
        training_batches(params_of(epochs=1, balance=True), store, ROWS, LABELS),
    ):
        _, targets, weights = seen_in(batches)
        assert weights.mean() == pytest.approx(1)
        for target in range(3):
            assert weights[targets == target].sum() == pytest.approx(len(ROWS) / 3)


def test_no_tuner_holds_up_the_end_of_an_epoch(store: StoredClips) -> None:
    for batches in (clip_batches(store, ROWS, LABELS, 5), training_batches(params_of(), store, ROWS, LABELS)):
        assert batches.options().autotune.enabled is False
