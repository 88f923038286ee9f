"""Features of a frozen encoder, computed once for each clip and shared by every head, fold and sweep.

ONNX Runtime encodes, with one thread a core and a clip a thread: twice as fast as Keras, and equal to 1e-5.
"""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime
import pandas as pd
from numpy.typing import NDArray

from actreel.base.code_digest import code_digest
from actreel.base.cores import num_cores
from actreel.base.places import VIDEOS
from actreel.base.progress import Progress
from actreel.config import (
    AUDIO,
    IMAGENET,
    NO_WEIGHTS,
    SIGNALS,
    ClipSpec,
    SignalSpec,
    SoundSpec,
    TrackSpec,
    is_frozen,
    is_graph,
    picture_encoders,
)
from actreel.dataset.store import Store, StoredClips, write_store
from actreel.errors import ModelError
from actreel.training.onnx_encoder import read_graph_encoder
from actreel.video.signals import need_signal, read_signal

log = logging.getLogger(__name__)

EncodeClip = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""From a clip's frames, uint8 (T, H, W, 3), to float32 (T, F), or (M, F) for the M windows of a video encoder."""

MirrorFeatures = Callable[[NDArray[np.float32]], NDArray[np.float32] | None]
"""As `GraphEncoder.mirrored`."""

PictureEncoder = tuple[EncodeClip, MirrorFeatures]
"""What encodes the pictures of clips, and what mirrors their features."""

_GRAPH_CODE = (
    "inference/clip_encoding.py", "training/graph_encoder.py", "training/onnx_encoder.py", "training/onnx_files",
    "training/pose",
)  # fmt: skip
"""The code that makes and runs encoders that are ONNX graphs of their own."""

_TRACK_CODE = ("config/tracks.py", "video")
"""The code that reads what a clip has beside its pictures."""

_PILOT_CLIPS = 8
"""Clips per core after which the time for all clips is estimated."""


def encode_clips(
    index: pd.DataFrame,
    clips: StoredClips,
    target: Path,
    *,
    encoder: str,
    weights: str,
    mirror: bool,
    known: Sequence[StoredFeatures] = (),
    opened: dict[tuple[int, ...], PictureEncoder] | None = None,
) -> None:
    """Stores the features of every row's frames, on all cores, picking up after an interruption.

    With several encoders, a frame's features are those of each, one after the other.

    A trainable encoder has no features to keep: the store is then left empty, and `open_inputs` opens the frames.

    Args:
        index: Rows with `clip`, `action` and `sha256`.
        clips: Their frames, each clip's read once.
        target: The store; shards that belong to other clips, settings or encoders are removed.
        encoder: As `model.encoder`.
        weights: As `model.weights`.
        mirror: Whether the mirrored frames are encoded too.
        known: Stores whose features are taken where they are the same, whether mirrored or not, instead of encoding.
        opened: The encoder for clips of a shape is taken from here, and put here if it had to be opened.

    Raises:
        ModelError: The encoder's weights cannot be loaded, or an ONNX file cannot be used for these clips.
    """
    if not is_frozen(encoder, weights):
        write_store(index.iloc[:0], target, {**clips.made_with, "encoder": None}, lambda _: iter(()))
        return

    track = _track_of(encoder, clips, index["clip"].iloc[0])
    pictures = picture_encoders(encoder)

    opened = {} if opened is None else opened

    def encode(names: Sequence[str]) -> Iterator[NDArray[np.float32]]:
        if pictures and clips.spec.shape not in opened:
            opened[clips.spec.shape] = _open(encoder, weights, clips.spec)
        run = opened[clips.spec.shape] if pictures else None
        return _encode_on_cores(run, track, clips, names, 2 if mirror else 1, same)

    made_with = {
        **clips.made_with,
        "encoder": encoder,
        **(encoder_key(encoder, weights, clips.spec) if pictures else {}),
        **({} if track is None else {"track": track.model_dump(), "track_code": code_digest(*_TRACK_CODE)}),
        "mirror": mirror,
    }
    same = [store for store in known if _but_mirrors(store.made_with) == _but_mirrors(made_with)]
    write_store(index, target, made_with, encode)


class StoredFeatures(Store):
    """Reads a store of features: float32 (T, F) a clip, or (M, F) for the M windows of a video encoder.

    Args:
        path: The store.
        frames: The store of the frames that the features were computed from, if it is at hand.
    """

    stage = "encode"
    holds_features = True

    def __init__(self, path: Path, frames: StoredClips | None = None) -> None:
        super().__init__(path)
        self._frames = frames

    @property
    def frames(self) -> StoredClips | None:
        """The frames that the features were computed from, if they are at hand."""
        return self._frames

    def only(self, clips: Iterable[str]) -> Self:
        """The same store with only these clips, and only their frames."""
        kept = super().only(names := list(clips))
        kept._frames = self._frames and self._frames.only(names)
        return kept

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(T, F), or (M, F) for the M windows of a video encoder."""
        return tuple(self._shards[0].shape[2:])

    def views(self, clip: str) -> NDArray[np.float32]:
        """A clip's features, and those of its mirrored frames if they are kept: float32 (1 or 2, *input_shape)."""
        return np.asarray(self._row(clip))

    def take(self, clips: Sequence[str], mirrored: Sequence[bool] | None = None) -> NDArray[np.float32]:
        """Reads clips by name.

        Args:
            clips: Names.
            mirrored: For each, whether to read the features of its mirrored frames; None means of no clip.

        Returns:
            float32 (len(clips), *input_shape).
        """
        views = [0] * len(clips) if mirrored is None else [int(view) for view in mirrored]
        features = np.empty((len(clips), *self.input_shape), dtype=np.float32)
        for position, (clip, view) in enumerate(zip(clips, views, strict=True)):
            features[position] = self.views(clip)[view]
        return features


def open_inputs(clips: Path, features: Path, videos: Path = VIDEOS) -> Store:
    """Opens what a network is trained on: features if the encoder is frozen, else frames.

    Args:
        clips: Store of the stage `extract`.
        features: Store of the stage `encode`.
        videos: The folder of videos.

    Raises:
        FileError: A store is missing or damaged.
    """
    frames = StoredClips(clips, videos)
    stored = StoredFeatures(features, frames)
    return stored if stored.made_with["encoder"] else frames


def _track_of(encoder: str, clips: StoredClips, first: str) -> TrackSpec | None:
    """The track that the encoders need; which columns of signals are taken, the first clip says."""
    names = encoder.split("+")
    if AUDIO not in names and SIGNALS not in names:
        return None
    columns = read_signal(need_signal(clips.video(first))).columns if SIGNALS in names else ()
    return TrackSpec(
        sound=SoundSpec() if AUDIO in names else None, signals=SignalSpec(columns=columns) if columns else None
    )  # fmt: skip


def encoder_key(encoder: str, weights: str, spec: ClipSpec) -> dict[str, Any]:
    """All that features depend on besides the frames and the encoder's name."""
    if is_graph(encoder):
        code = code_digest(*_GRAPH_CODE, "training/features.py", packages=("onnx", "tf2onnx"))
        return {**read_graph_encoder(encoder, weights, spec).key, "encoder_code": code}
    return {
        "weights": weights if weights == IMAGENET else _digest(Path(weights)),
        "encoder_code": code_digest("models", "training/features.py", packages=("keras",)),
    }


def _open(encoder: str, weights: str, spec: ClipSpec) -> PictureEncoder:
    # Imported here because it loads TensorFlow, which a complete or empty store does not need.
    from actreel.training.gpu import open_encoder

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    graph = read_graph_encoder(encoder, weights, spec) if is_graph(encoder) else None
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "encoder.onnx"
        if graph is not None:
            graph.write(file)
        else:
            from actreel.models import build_frozen_encoder, export_onnx

            export_onnx(build_frozen_encoder(encoder, weights, spec), file)
        session = open_encoder(str(file), options)
    (taken,) = session.get_inputs()

    def run(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(session.run(None, {taken.name: frames})[0])

    if graph is None:
        return run, lambda features: None
    return run if graph.windows is None else partial(graph.windows.encode, run=run), graph.mirrored


def _but_mirrors(made_with: Mapping[str, Any]) -> str:
    """What features were made with, in a form that can be compared with what a store says."""
    return json.dumps({key: value for key, value in made_with.items() if key != "mirror"}, sort_keys=True)


def _encode_on_cores(
    pictures: PictureEncoder | None,
    track: TrackSpec | None,
    clips: StoredClips,
    names: Sequence[str],
    num_views: int,
    known: Sequence[StoredFeatures] = (),
) -> Iterator[NDArray[np.float32]]:
    """float32 (num_views, T, F) for each clip: unchanged, and mirrored."""
    of_clip = {name: store for store in known for name in store.clips}
    tracks = None if track is None else partial(clips.tracks, spec=track)

    def encode(name: str) -> NDArray[np.float32]:
        views = list(of_clip[name].views(name)) if name in of_clip else []
        frames = cache(lambda: clips.take([name])[0])
        while len(views) < num_views:
            parts = []
            if pictures is not None:
                encoder, mirrored = pictures
                other = mirrored(views[0]) if views else None
                if other is None:
                    other = encoder(np.ascontiguousarray(frames()[:, :, ::-1]) if views else frames())
                parts.append(other)
            if tracks is not None:  # a mirrored clip sounds the same
                parts.append(tracks([name])[0])
            views.append(np.concatenate(parts, axis=-1))
        return np.stack(views[:num_views])

    # Every clip is queued at once, and no core ever waits for another: neither to warm up nor for the estimate.
    warm = num_cores()  # a core's first run makes room in memory, and would spoil the estimate
    judged = min(warm + _PILOT_CLIPS * num_cores(), len(names))
    start = 0.0
    pool = ThreadPoolExecutor(num_cores())
    try:
        with Progress("encode", len(names)) as bar:
            for done, features in enumerate(pool.map(encode, names), 1):
                if done == warm:
                    start = time.perf_counter()
                elif done == judged and not of_clip:
                    rate = (done - warm) / (time.perf_counter() - start)
                    log.info(
                        f"encode: {len(names)} clips at {rate:.2f} clips/s on {num_cores()} cores take about "
                        f"{_duration(len(names) / rate)}; a head is then trained on them without the encoder"
                    )
                bar.update()
                yield features
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"


def _digest(weights: Path) -> str:
    try:
        with weights.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(
            f"model.weights must be '{IMAGENET}', '{NO_WEIGHTS}' or a file that can be read. "
            f"Received: '{weights}' ({error.strerror})."
        ) from error
