"""What a training clip may look like instead: each change does what it says, and the same to all frames of a clip."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actreel.quiet_keras import tf
from actreel.training import augment

SEED = tf.constant([1, 2])
RNG = np.random.default_rng(0)


@settings(max_examples=25)
@given(speed=st.floats(0, 3), jitter=st.floats(0, 5), seed=st.integers(0, 1000))
def test_time_never_runs_backwards_and_frames_are_never_made_up(speed: float, jitter: float, seed: int) -> None:
    steps = np.arange(12, dtype=np.float32)[np.newaxis, :, np.newaxis].repeat(4, axis=0)
    seen = augment.resample_time(steps, speed, jitter, [seed, 0]).numpy()[..., 0]
    assert (np.diff(seen, axis=1) >= 0).all()
    assert set(seen.ravel()) <= set(range(12))
    shown = seen[:, -1] - seen[:, 0]
    assert (shown >= 11 / (1 + speed) - 2 * jitter - 1).all()


def test_time_without_speed_and_jitter_is_what_it_was() -> None:
    clips = RNG.normal(size=(3, 7, 2)).astype(np.float32)
    np.testing.assert_array_equal(augment.resample_time(clips, 0.0, 0.0, SEED), clips)


def test_speed_shows_a_part_that_differs_from_clip_to_clip() -> None:
    steps = np.arange(40, dtype=np.float32)[np.newaxis, :, np.newaxis].repeat(64, axis=0)
    seen = augment.resample_time(steps, 1.0, 0.0, SEED).numpy()[..., 0]
    shown = seen[:, -1] - seen[:, 0]
    assert shown.min() < 24
    assert shown.max() > 34
    assert len(set(seen[:, 0])) > 5


def test_a_crop_is_a_zoom_into_one_place_of_all_frames() -> None:
    ramp = np.linspace(0, 255, 32, dtype=np.float32)
    frames = np.broadcast_to(ramp[:, np.newaxis, np.newaxis], (32, 32, 3))
    clips = np.broadcast_to(frames, (16, 3, 32, 32, 3)).copy()
    seen = augment.crop(clips, 0.5, SEED).numpy()
    np.testing.assert_allclose(seen[:, 1:], seen[:, :1].repeat(2, axis=1), atol=1e-3)
    np.testing.assert_allclose(seen[:, 0, :, 5], seen[:, 0, :, 20], atol=1e-3)
    slopes = (seen[:, 0, -1, 0, 0] - seen[:, 0, 0, 0, 0]) / 255
    assert 0.5 <= slopes.min() < 0.6
    assert 0.9 < slopes.max() <= 1
    np.testing.assert_allclose(augment.crop(clips, 0.0, SEED), clips, atol=1e-3)


def test_colour_changes_all_frames_of_a_clip_alike_and_stays_in_range() -> None:
    frame = RNG.integers(0, 256, (1, 1, 8, 8, 3)).astype(np.float32)
    clips = np.broadcast_to(frame, (8, 3, 8, 8, 3)).copy()
    seen = augment.recolour(clips, 0.4, SEED).numpy()
    np.testing.assert_allclose(seen[:, 1:], seen[:, :1].repeat(2, axis=1), atol=1e-3)
    assert seen.min() >= 0
    assert seen.max() <= 255
    light, depth = seen.mean(axis=(1, 2, 3, 4)), seen.std(axis=(1, 2, 3, 4))
    assert light.std() > 5
    assert depth.std() > 2
    grey = seen.std(axis=-1).mean(axis=(1, 2, 3)) / depth
    assert grey.max() / grey.min() > 1.1
    np.testing.assert_allclose(augment.recolour(clips, 0.0, SEED), clips, atol=1e-2)


@pytest.mark.parametrize("shape", [(6, 4, 3), (6, 2, 4, 4, 3)])
def test_mixing_mixes_clips_and_aims_in_the_same_shares(shape: tuple[int, ...]) -> None:
    clips = RNG.normal(size=shape).astype(np.float32)
    targets = tf.eye(6)
    weights = tf.range(6.0)
    mixed, (shown, weighed) = augment.mix_up(tf.constant(clips), (targets, weights), 1.0, SEED)
    np.testing.assert_allclose(shown.numpy().sum(axis=1), 1, rtol=1e-6)
    assert len(set(np.diag(shown).round(4))) == 6
    np.testing.assert_allclose(mixed, np.tensordot(shown, clips, axes=1), atol=1e-5)
    np.testing.assert_allclose(weighed, shown.numpy() @ weights.numpy(), atol=1e-5)


def test_tiny_alphas_give_no_nan() -> None:
    _, (shown,) = augment.mix_up(tf.zeros((500, 1)), (tf.eye(500),), 1e-3, SEED)
    assert np.isfinite(shown).all()
