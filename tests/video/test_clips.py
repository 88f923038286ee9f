from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from actreel.config import ClipSpec
from actreel.video.clips import (
    fit_frame,
    load_clip,
    load_clip_and_info,
    load_views,
    places_in_video,
    sample_indices,
    view_indices,
)
from tests.conftest import grey_frames, write_video_file


def clip_spec(num_frames: int) -> ClipSpec:
    return ClipSpec(num_frames=num_frames, height=32, width=40)


@given(num_frames=st.integers(1, 100_000), wanted=st.integers(1, 1024))
def test_indices_are_in_order_in_range_and_evenly_spread(num_frames: int, wanted: int) -> None:
    indices = sample_indices(num_frames, clip_spec(wanted))
    assert indices.shape == (wanted,)
    assert indices[0] >= 0
    assert indices[-1] < num_frames
    steps = np.diff(indices)
    assert (steps >= 0).all()
    assert steps.size == 0 or steps.max() - steps.min() <= 1
    # As much of the video lies before the first frame as behind the last.
    assert abs(indices[0] - (num_frames - 1 - indices[-1])) <= 1


def test_indices_by_hand() -> None:
    assert sample_indices(10, clip_spec(5)).tolist() == [1, 3, 5, 7, 9]
    assert sample_indices(2, clip_spec(4)).tolist() == [0, 0, 1, 1]
    assert sample_indices(7, clip_spec(1)).tolist() == [3]


@given(num_frames=st.integers(1, 100_000), wanted=st.integers(1, 256), views=st.integers(1, 9))
def test_views_are_phases_of_one_sampling(num_frames: int, wanted: int, views: int) -> None:
    indices = view_indices(num_frames, clip_spec(wanted), views)
    assert indices.shape == (views, wanted)
    assert (np.diff(indices.T.ravel()) >= 0).all(), "one pass over the video gives them all"
    assert 0 <= indices.min() <= indices.max() < num_frames
    if views % 2:
        np.testing.assert_array_equal(indices[views // 2], sample_indices(num_frames, clip_spec(wanted)))


def test_views_by_hand(video: Path) -> None:
    assert view_indices(12, clip_spec(2), 3).tolist() == [[1, 7], [3, 9], [5, 11]]
    frames = load_clip(video, clip_spec(30))
    views = load_views(video, clip_spec(5), 3)
    assert views.shape == (3, 5, 32, 40, 3)
    np.testing.assert_array_equal(views, frames[view_indices(30, clip_spec(5), 3)])
    np.testing.assert_array_equal(views[1], load_clip(video, clip_spec(5)))


def test_no_frames_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"at least 1\. Received: 0"):
        sample_indices(0, clip_spec(4))


def test_clip_has_the_spec_s_shape_and_the_video_s_order(video: Path) -> None:
    clip = load_clip(video, clip_spec(6))
    assert clip.shape == (6, 32, 40, 3)
    assert clip.dtype == np.uint8
    brightness = clip.mean(axis=(1, 2, 3))
    assert (np.diff(brightness) > 20).all()


def test_shrinking_averages_so_that_no_pixel_is_lost(tmp_path: Path) -> None:
    stripes = np.zeros((480, 640, 3), dtype=np.uint8)
    stripes[:, ::2] = 255  # picking every n-th column would give all black or all white
    path = write_video_file(tmp_path / "stripes.avi", [stripes] * 2)
    assert abs(load_clip(path, clip_spec(2)).mean() - 127) < 12


def test_small_frames_are_enlarged(tmp_path: Path) -> None:
    path = write_video_file(tmp_path / "small.avi", grey_frames([50, 200], height=16, width=16))
    assert load_clip(path, clip_spec(2)).shape == (2, 32, 40, 3)


def square(fit: Literal["stretch", "center_crop"]) -> ClipSpec:
    return ClipSpec(num_frames=1, height=32, width=32, fit=fit)


@pytest.mark.parametrize("upright", [False, True])
def test_a_centre_crop_keeps_proportions_and_the_middle(upright: bool) -> None:
    frame = np.zeros((60, 100, 3), dtype=np.uint8)
    frame[:, :20] = frame[:, -20:] = 255  # what sticks out of the square of 60 pixels in the middle
    frame[29:31, 48:52] = 200  # twice as wide as it is high
    if upright:
        frame = frame.swapaxes(0, 1)
    stretched, cut = (fit_frame(frame, square(fit)) for fit in ("stretch", "center_crop"))
    assert stretched.max() == 255
    assert cut.max() <= 200
    assert cut.shape == (32, 32, 3)
    rows, columns = np.nonzero(cut[..., 0])
    spread = [np.ptp(rows) + 1, np.ptp(columns) + 1]
    assert spread == ([4, 2] if upright else [2, 4])
    assert {int(rows.mean()), int(columns.mean())} <= {15, 16}


@given(st.integers(1, 300), st.integers(1, 300), st.integers(8, 64), st.integers(8, 64))
def test_frames_of_any_proportions_are_cut(height: int, width: int, rows: int, columns: int) -> None:
    spec = ClipSpec(num_frames=1, height=rows, width=columns, fit="center_crop")
    frame = np.full((height, width, 3), 7, dtype=np.uint8)
    fitted = fit_frame(frame, spec)
    assert fitted.shape == (rows, columns, 3)
    assert (fitted == 7).all()


def test_there_is_nothing_to_cut_from_frames_of_the_clip_s_proportions() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    np.testing.assert_array_equal(fit_frame(frame, square("center_crop")), fit_frame(frame, square("stretch")))


def coloured(frame: NDArray[np.uint8], colour: str) -> NDArray[np.uint8]:
    return fit_frame(frame, ClipSpec.model_validate({"num_frames": 1, "height": 96, "width": 96, "colour": colour}))


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    """uint8 (96, 96, 3): a faint pattern, coloured on the left, under a light that grows from left to right."""
    rows, columns = np.mgrid[:96, :96]
    frame = 40 + columns[..., None] + 12.0 * (rows // 6 % 2)[..., None] + np.zeros(3)
    frame[:, :48, 0] += 30
    return frame.astype(np.uint8)


def test_grey_frames_have_the_lightness_alone(picture: NDArray[np.uint8]) -> None:
    grey = coloured(picture, "grey")
    assert grey.shape == (96, 96, 3)
    assert (grey == grey[..., :1]).all()
    expected = picture @ [0.299, 0.587, 0.114]  # ITU-R BT.601
    np.testing.assert_allclose(grey[..., 0], expected, atol=1)
    np.testing.assert_array_equal(coloured(picture, "rgb"), picture)


def test_equalised_frames_have_more_contrast_in_the_dark_too_and_keep_colours(picture: NDArray[np.uint8]) -> None:
    dark = (picture * 0.5).astype(np.uint8)
    bright, dim = coloured(picture, "equalised"), coloured(dark, "equalised")

    def contrast(frame: NDArray[np.uint8]) -> float:
        return float(np.abs(np.diff(frame.mean(axis=2), axis=0)).mean())

    assert contrast(bright) > 1.5 * contrast(picture)
    assert contrast(dim) > 1.5 * contrast(dark)
    assert contrast(dim) > contrast(picture)
    redness = bright[..., 0].astype(int) - bright[..., 1]
    assert redness[:, :40].mean() > 15
    assert abs(redness[:, 56:]).mean() < 5


@given(st.integers(8, 300), st.integers(8, 300), st.sampled_from(["grey", "equalised"]))
def test_frames_of_any_size_are_coloured(height: int, width: int, colour: str) -> None:
    spec = ClipSpec.model_validate({"num_frames": 1, "height": height, "width": width, "colour": colour})
    fitted = fit_frame(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8), spec)
    assert (fitted.shape, fitted.dtype) == ((height, width, 3), np.uint8)


def test_info_comes_from_the_same_pass(video: Path) -> None:
    clip, info = load_clip_and_info(video, clip_spec(6))
    np.testing.assert_array_equal(clip, load_clip(video, clip_spec(6)))
    assert (info.num_frames, info.width, info.height) == (30, 64, 48)


@pytest.mark.parametrize("fit", ["stretch", "center_crop"])
@pytest.mark.parametrize("upright", [True, False])
def test_places_in_a_clip_are_where_the_video_has_them(fit: Literal["stretch", "center_crop"], upright: bool) -> None:
    spec = ClipSpec(num_frames=1, height=160, width=160, fit=fit)
    frame = np.zeros((480, 200, 3) if upright else (200, 480, 3), np.uint8)
    height, width = frame.shape[:2]
    row, column = height // 2 - 40, width // 2 + 50
    frame[row - 5 : row + 5, column - 5 : column + 5] = 255
    light = fit_frame(frame, spec)[..., 0].astype(float)
    rows, columns = (np.arange(side) + 0.5 for side in light.shape)
    seen = np.array([(light.sum(axis=0) * columns).sum(), (light.sum(axis=1) * rows).sum()]) / light.sum()
    found = places_in_video(seen[np.newaxis].astype(np.float32), spec, height, width)
    np.testing.assert_allclose(found, [[column, row]], atol=1.5)  # a pixel of the clip's is up to 3 of the video's
