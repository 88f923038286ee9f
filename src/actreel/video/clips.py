"""From a video file to model input: training, evaluation, the command line and the service all sample frames here."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actreel.config import ClipSpec
from actreel.video.decode import sample_frames
from actreel.video.info import VideoInfo
from actreel.video.opencv import cv2

_CONTRAST_LIMIT = 2.0
"""How many times the mean of a tile's histogram a grey level may take: more would amplify noise."""

_MOST_TILES = 8
"""Tiles in a row, as Zuiderveld proposes for whole pictures."""

_LEAST_TILE = 16
"""Pixels of a tile's side, in which a histogram still says something."""


def sample_indices(num_frames: int, spec: ClipSpec) -> NDArray[np.int64]:
    """The indices of the frames that make a video's clip.

    The middle frame of each of T equal parts: the clip spans the whole video, whatever its length and speed.
    In a video of fewer than T frames, some are repeated; no frame is invented.

    Args:
        num_frames: Frames in the video, N >= 1.
        spec: Clip settings; T is `spec.num_frames`.

    Returns:
        int64 (T,), ascending, in [0, N).

    Raises:
        ValueError: `num_frames` is below 1.
    """
    if num_frames < 1:
        raise ValueError(f"num_frames must be at least 1. Received: {num_frames}")
    return middle_frames(num_frames, spec.num_frames)


def middle_frames(num_frames: int, num_parts: int) -> NDArray[np.int64]:
    """int64 (num_parts,): the middle frame of each of `num_parts` equal parts of a video of `num_frames` frames."""
    parts = np.arange(num_parts, dtype=np.int64)
    return (2 * parts + 1) * num_frames // (2 * num_parts)


def load_clip(path: Path, spec: ClipSpec) -> NDArray[np.uint8]:
    """Reads a video file as the model sees it.

    Frames are brought to the spec's size by `fit_frame`.

    Args:
        path: Any video that FFmpeg reads.
        spec: Clip settings, the same as in training.

    Returns:
        uint8 (T, H, W, 3), RGB.

    Raises:
        VideoError: The file is missing, is not a video, or no frame of it decodes.
    """
    return load_clip_and_info(path, spec)[0]


def load_clip_and_info(path: Path, spec: ClipSpec) -> tuple[NDArray[np.uint8], VideoInfo]:
    """As `load_clip`, with what the video holds, from the same pass over the file."""
    return sample_frames(path, lambda num_frames: sample_indices(num_frames, spec), partial(fit_frame, spec=spec))


def load_views(path: Path, spec: ClipSpec, num_views: int) -> NDArray[np.uint8]:
    """Reads several clips from one video, each offset within the uniform sampling, in one pass.

    The middle frames of T x V equal parts are dealt out in turn, so each view spans the whole video. With an odd
    number of views, the middle one equals `load_clip`'s clip.

    Args:
        path: As for `load_clip`.
        spec: Clip settings.
        num_views: V.

    Returns:
        uint8 (V, T, H, W, 3), RGB.

    Raises:
        VideoError: The file is missing, is not a video, or no frame of it decodes.
    """
    frames, _ = sample_frames(
        path,
        lambda num_frames: view_indices(num_frames, spec, num_views).T.ravel(),
        partial(fit_frame, spec=spec),
    )
    return frames.reshape(spec.num_frames, num_views, *spec.shape[1:]).swapaxes(0, 1)


def view_indices(num_frames: int, spec: ClipSpec, num_views: int) -> NDArray[np.int64]:
    """int64 (V, T): the indices of the frames that make each view; see `load_views`."""
    return middle_frames(num_frames, spec.num_frames * num_views).reshape(spec.num_frames, num_views).T


def fit_frame(frame: NDArray[np.uint8], spec: ClipSpec) -> NDArray[np.uint8]:
    """Resizes a decoded frame, uint8 (h, w, 3), to the spec's uint8 (H, W, 3), and then changes its colours.

    Area interpolation if both sides shrink, otherwise bilinear; `spec.fit` decides between stretching and cropping, and
    `spec.colour` between colours, greyscale and equalised lightness.
    """
    height, width = frame.shape[:2]
    top, left, rows, columns = _shown_part(height, width, spec)
    frame = frame[top : top + rows, left : left + columns]
    shrinks = frame.shape[0] >= spec.height and frame.shape[1] >= spec.width
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return _coloured(cv2.resize(frame, (spec.width, spec.height), interpolation=how), spec)


def _shown_part(height: int, width: int, spec: ClipSpec) -> tuple[int, int, int, int]:
    """The part of a video's frame that the clip's frame shows: first row, first column, rows and columns."""
    if spec.fit != "center_crop":
        return 0, 0, height, width
    rows = max(1, min(height, round(width * spec.height / spec.width)))
    columns = max(1, min(width, round(height * spec.width / spec.height)))
    return (height - rows) // 2, (width - columns) // 2, rows, columns


def places_in_video(places: NDArray[np.float32], spec: ClipSpec, height: int, width: int) -> NDArray[np.float32]:
    """From places in a clip's frame to the same ones in the video's, which has `height` rows and `width` columns.

    Args:
        places: float32 (..., 2): x and y in pixels, from the frame's upper left corner.
        spec: The clip's settings.
        height: Of the video's frames.
        width: Of the video's frames.

    Returns:
        float32 (..., 2), in pixels of the video.
    """
    top, left, rows, columns = _shown_part(height, width, spec)
    scale = np.array([columns / spec.width, rows / spec.height], np.float32)
    return places * scale + np.array([left, top], np.float32)


def _coloured(frame: NDArray[np.uint8], spec: ClipSpec) -> NDArray[np.uint8]:
    if spec.colour == "grey":
        frame = cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    elif spec.colour == "equalised":
        parts = cv2.cvtColor(frame, cv2.COLOR_RGB2LAB)
        tiles = [min(_MOST_TILES, max(1, side // _LEAST_TILE)) for side in (spec.width, spec.height)]
        parts[..., 0] = cv2.createCLAHE(_CONTRAST_LIMIT, tiles).apply(np.ascontiguousarray(parts[..., 0]))
        frame = cv2.cvtColor(parts, cv2.COLOR_LAB2RGB)
    return np.asarray(frame, dtype=np.uint8)
