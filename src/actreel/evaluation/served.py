"""Scores many clips with a packaged classifier, as the service runs it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actreel.base.cores import num_cores
from actreel.base.progress import tracked
from actreel.config import ClipSpec
from actreel.dataset.store import Store
from actreel.errors import ModelError
from actreel.inference.classifier import ActionClassifier, Scores
from actreel.inference.model_folder import ONNX_FILE
from actreel.video.clips import load_clip, load_views
from actreel.video.decode import NO_PIXELS
from actreel.video.endings import is_signal

WHOLE_CLIPS = 32
"""Test clips that are scored from their frames, by `model.onnx` and by encoder and head."""

MULTI_CLIPS = 256
"""Most test clips that are scored in several samplings: each is decoded and encoded again."""

COMPARED_CLIPS = 4
"""Clips that are encoded again to see whether stored features are those of an encoder."""

COMPARED_FRAMES = 2
"""Frames of each, where the encoder sees one at a time."""


def score(classifier: ActionClassifier, inputs: Store, rows: pd.DataFrame, videos: Path) -> Scores:
    """Scores clips with a classifier and its own clip settings.

    Args:
        classifier: The classifier.
        inputs: Stored features are used if the classifier's encoder gives the same; else their frames, if they were
            extracted with the classifier's clip settings; else the videos are read.
        rows: Index rows with `clip`.
        videos: The folder that `clip` is relative to.
    """
    clips, track = rows["clip"].tolist(), classifier.card.track
    if encodes_as(classifier, inputs, clips[:COMPARED_CLIPS]):
        scores = [classifier.score_encoded(batch) for batch in inputs.batches(clips, 256)]
    elif inputs.frames is not None and classifier.card.clip == inputs.spec:
        frames = inputs.frames
        parts = [clips[start : start + 32] for start in range(0, len(clips), 32)]
        scores = [
            classifier.score(frames.take(part), None if track is None else frames.tracks(part, track)) for part in parts
        ]
    else:
        loaded = (_frames_of(videos / Path(clip), classifier.card.clip) for clip in clips)
        beside = (classifier.track_of(videos / Path(clip)) for clip in clips)
        scores = [classifier.score(clip[np.newaxis], one) for clip, one in zip(loaded, beside, strict=True)]
    return Scores(
        np.concatenate([each.probabilities for each in scores]), np.concatenate([each.distances for each in scores])
    )


def encodes_as(classifier: ActionClassifier, inputs: Store, clips: Sequence[str]) -> bool:
    """Whether the classifier's encoder gives the stored features of these clips, to a thousandth."""
    if not inputs.holds_features or inputs.frames is None or classifier.card.clip != inputs.spec:
        return False
    for clip in clips:
        ((frames,), (stored,)) = inputs.frames.take([clip]), inputs.take([clip])
        track = classifier.card.track
        beside = () if track is None else inputs.frames.tracks([clip], track)
        if classifier.encodes_frame_by_frame:
            some = slice(None, None, max(1, len(frames) // COMPARED_FRAMES))
            frames, stored = frames[some], stored[some]
        encoded = classifier.encode_clip(frames, *beside)
        if encoded.shape != stored.shape or not np.allclose(encoded, stored, rtol=1e-3, atol=1e-3):
            return False
    return True


def check_parity(
    model: Path,
    store: Store,
    rows: pd.DataFrame,
    videos: Path,
    *,
    served: NDArray[np.float32],
    expected: NDArray[np.float32],
    tolerance: float,
) -> float:
    """Compares the network that the service runs, and `model.onnx`, which users load, with Keras.

    From frames, both score the first clips only: a faulty export is wrong for every clip.

    Args:
        model: The model folder.
        store: The clips' frames.
        rows: As for `score`.
        videos: As for `score`.
        served: float32 (N, K), probabilities by the classifier, from frames or from stored features.
        expected: float32 (N, K), probabilities by Keras.
        tolerance: The largest difference allowed.

    Returns:
        The largest difference.

    Raises:
        ModelError: It is larger than the tolerance, or NaN.
    """
    first = rows.head(WHOLE_CLIPS)
    parts, whole = (
        score(ActionClassifier.load(model, whole=whole), store, first, videos).probabilities for whole in (False, True)
    )
    apart = {
        "that the service runs": max(np.abs(served - expected).max(), np.abs(parts - expected[: len(first)]).max()),
        f"in {ONNX_FILE}": np.abs(whole - expected[: len(first)]).max(),
    }
    for network, difference in apart.items():
        if not difference <= tolerance:
            raise ModelError(
                f"The ONNX network {network} differs from Keras by {difference:.2g}; "
                f"evaluate.parity_tolerance allows {tolerance:g}. Train again: dvc repro --force train"
            )
    return float(max(apart.values()))


def score_views(
    model: Path, videos: Sequence[Path], num_views: int, middle: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Averages the classifier's probabilities over several samplings of each video, on all cores.

    Args:
        model: The model folder.
        videos: Video files, at least one.
        num_views: Samplings of each; see `load_views`.
        middle: float32 (len(videos), K), the classifier's probabilities for what `load_clip` gives of each video. The
            middle one of an odd number of samplings is that clip, and is not encoded again.

    Returns:
        float32 (len(videos), K); rows sum to 1.
    """
    classifier = ActionClassifier.load(model, threads=1)
    known = None if num_views % 2 == 0 else middle

    def score_video(number: int) -> NDArray[np.float32]:
        spec, video = classifier.card.clip, videos[number]
        # Without pictures, every view is the same.
        alone = is_signal(video)
        given: list[NDArray[np.float32]] = [] if known is None else [known[number]]
        if given and (alone or num_views == 1):
            return given[0]
        views = np.stack([_frames_of(video, spec)] * num_views) if alone else load_views(video, spec, num_views)
        if given:
            views = np.delete(views, num_views // 2, axis=0)
        # The views differ by a few frames; they share what is beside them.
        beside = classifier.track_of(video, len(views))
        return np.asarray(np.mean([*classifier.score(views, beside).probabilities, *given], axis=0))

    # Threads, since each process would import TensorFlow first; OpenCV and ONNX Runtime release the GIL.
    pool = ThreadPoolExecutor(num_cores())
    try:
        scores = pool.map(score_video, range(len(videos)))
        return np.stack(list(tracked(scores, "multi-clip", len(videos))))
    finally:
        pool.shutdown(cancel_futures=True)


def _frames_of(video: Path, spec: ClipSpec) -> NDArray[np.uint8]:
    """A clip's frames, uint8 (T, H, W, 3); uint8 (T, 0, 0, 3) of signals without a video."""
    return np.stack([NO_PIXELS] * spec.num_frames) if is_signal(video) else load_clip(video, spec)
