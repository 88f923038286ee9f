"""Features of a frozen encoder, computed once for each clip and shared by every head, fold and sweep.

ONNX Runtime encodes, with one thread a core and a clip a thread: twice as fast as Keras, and equal to 1e-5.
"""

from __future__ import annotations

import json
import logging
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actreel.base.code_digest import code_digest
from actreel.base.cores import num_cores, scheduler_address
from actreel.base.places import VIDEOS
from actreel.base.progress import Progress
from actreel.config import (
    AND,
    AUDIO,
    ClipSpec,
    SignalSpec,
    SoundSpec,
    TrackSpec,
    is_frozen,
    is_graph,
)
from actreel.dataset.store import Make, Store, StoredClips, write_joined_store, write_store
from actreel.inference.clip_encoding import FrameWindows
from actreel.training.encoding import (
    EncodeClip,
    EncodingJob,
    MirrorFeatures,
    PackedEncoder,
    encode_clip,
    encode_on_cluster,
    one_thread,
)
from actreel.training.graph_encoder import GraphEncoder
from actreel.training.onnx_encoder import read_graph_encoder, read_picture_encoders
from actreel.video.signals import need_signal, read_signal

log = logging.getLogger(__name__)

_CODE = ("training/encoding.py", "training/features.py")
"""The code that encodes, whatever the encoder."""

PictureEncoder = tuple[EncodeClip, MirrorFeatures]
"""What encodes the pictures of clips, and what mirrors their features."""

OpenEncoders = dict[tuple[str, tuple[int, ...]], PictureEncoder]
"""By the encoder's name and the shape of clips."""

MakeViews = Callable[[str], NDArray[np.float32]]
"""From a clip's name to float32 (1 or 2, T, F): what is known of it, unchanged and mirrored."""

KnownViews = dict[str, tuple["StoredFeatures", int]]
"""For clips that are encoded already, the store that has their features, and which of its arrays these are."""

_GRAPH_CODE = (
    "inference/clip_encoding.py", "training/graph_encoder.py", "training/joined_encoder.py",
    "training/onnx_encoder.py", "training/onnx_files",
)  # fmt: skip
"""The code that makes and runs ONNX graphs, which all encoders become."""

_TRACK_CODE = ("config/tracks.py", "inference/clip_encoding.py", "video", *_CODE)
"""The code that reads what a clip has beside its pictures, and takes its means in windows."""

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
    opened: OpenEncoders | None = None,
) -> None:
    """Stores the features of every row's frames, on all cores or on a cluster, picking up after an interruption.

    With several encoders, a frame's features are those of each, one after the other. Each is kept under its own key, so
    one that is there already is not run again because another one is added.

    A trainable encoder has no features to keep: the store is then left empty, and `open_inputs` opens the frames.

    Args:
        index: Rows with `clip`, `action` and `sha256`.
        clips: Their frames, each clip's read once for each encoder that is missing.
        target: The store; shards that belong to other clips, settings or encoders are removed.
        encoder: As `model.encoder`.
        weights: As `model.weights`.
        mirror: Whether the mirrored frames are encoded too.
        known: Stores whose features are taken where they are the same, whether mirrored or not, instead of encoding.
        opened: An encoder for clips of a shape is taken from here, and put here if it had to be opened.

    Raises:
        ModelError: The encoder's weights cannot be loaded, or an ONNX file cannot be used for these clips.
    """
    if not is_frozen(encoder, weights):
        write_store(index.iloc[:0], target, {**clips.made_with, "encoder": None}, lambda _: iter(()))
        return

    own = read_picture_encoders(encoder, weights, clips.spec)
    windows = next((each.windows for each in own.values()), None)
    first = index["clip"].iloc[0]
    made = [
        _pictures(name, own[name], clips, mirror, known, {} if opened is None else opened)
        if name in own
        else _track(name, windows, clips, first, mirror)
        for name in encoder.split(AND)
    ]
    if len(made) == 1:
        write_store(index, target, *made[0])
        return
    tracks = [made_with["track"] for made_with, _ in made if "track" in made_with]
    made_with = {
        **clips.made_with,
        "encoder": encoder,
        "encoders": [each for each, _ in made],
        **({"track": {name: value for track in tracks for name, value in track.items() if value}} if tracks else {}),
        "mirror": mirror,
    }
    write_joined_store(index, target, made_with, made)


def _pictures(
    name: str,
    own: GraphEncoder,
    clips: StoredClips,
    mirror: bool,
    known: Sequence[StoredFeatures],
    opened: OpenEncoders,
) -> tuple[dict[str, Any], Make]:
    """What the features of an encoder of pictures depend on, and what makes them."""
    made_with = {**clips.made_with, "encoder": name, **_key(name, own), "mirror": mirror}
    same = {
        clip: (store, place)
        for store in known
        for place, part in enumerate(store.made_with.get("encoders", [store.made_with]))
        if _but_mirrors(part) == _but_mirrors(made_with)
        for clip in store.clips
    }

    def encode(names: Sequence[str]) -> Iterator[NDArray[np.float32]]:
        if (address := scheduler_address()) is not None and not same:
            return _on_cluster(address, EncodingJob(_pack(own), None, clips.spec, mirror), clips, names)
        key = name, clips.spec.shape
        if key not in opened:
            opened[key] = _open(own)
        return _encode_on_cores(_picture_views(opened[key], clips, mirror, same), names, estimate=not same)

    return made_with, encode


def _but_mirrors(made_with: Mapping[str, Any]) -> str:
    """What features were made with, in a form that can be compared with what a store says."""
    return json.dumps({key: value for key, value in made_with.items() if key != "mirror"}, sort_keys=True)


def _track(
    name: str, windows: FrameWindows | None, clips: StoredClips, first: str, mirror: bool
) -> tuple[dict[str, Any], Make]:
    """As `_pictures`, for an encoder of a track; which columns of signals are taken, the first clip says.

    Beside a video encoder, whose `windows` these are, a track becomes its means in them.
    """
    if name == AUDIO:
        track = TrackSpec(sound=SoundSpec())
    else:
        track = TrackSpec(signals=SignalSpec(columns=read_signal(need_signal(clips.video(first))).columns))
    made_with = {
        **clips.made_with,
        "encoder": name,
        "track": track.model_dump(),
        "track_code": code_digest(*_TRACK_CODE),
        **({} if windows is None else {"windows": [windows.frames, windows.stride]}),
        "mirror": mirror,
    }

    def read(names: Sequence[str]) -> Iterator[NDArray[np.float32]]:
        if (address := scheduler_address()) is not None and windows is None:
            return _on_cluster(address, EncodingJob(None, track, clips.spec, mirror), clips, names)
        return _encode_on_cores(_track_views(track, windows, clips, mirror), names)

    return made_with, read


def _on_cluster(
    address: str, job: EncodingJob, clips: StoredClips, names: Sequence[str]
) -> Iterator[NDArray[np.float32]]:
    return encode_on_cluster(address, job, [clips.video(name).absolute() for name in names])


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
        return (*self._shards[0].shape[2:-1], sum(self.sizes))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Features of a frame that come from each of the encoders."""
        each = len(self._shards) // len(self.made_with.get("encoders", [""]))  # each has as many shards
        return tuple(int(shard.shape[-1]) for shard in self._shards[::each])

    def views(self, clip: str) -> list[NDArray[np.float32]]:
        """By each encoder, float32 (1 or 2, T, F): a clip's features, and, if kept, those of its mirrored frames."""
        return self._rows(clip)

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
            features[position] = np.concatenate([row[view] for row in self._rows(clip)], axis=-1)
        self._release(clips)
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


def encoder_key(encoder: str, weights: str, spec: ClipSpec) -> dict[str, Any]:
    """All that the features of an encoder of pictures depend on besides the frames and the encoder's name."""
    return _key(encoder, read_graph_encoder(encoder, weights, spec))


def _key(name: str, own: GraphEncoder) -> dict[str, Any]:
    parts, packages = (("training/pose",), ()) if is_graph(name) else (("models",), ("keras",))
    code = code_digest(*parts, *_GRAPH_CODE, *_CODE, packages=("onnx", "tf2onnx", *packages))
    return {**own.key, "encoder_code": code}


def _pack(encoder: GraphEncoder) -> PackedEncoder:
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "encoder.onnx"
        encoder.write(file)
        return PackedEncoder(file.read_bytes(), encoder.windows, encoder.mirrored, encoder.frame_by_frame)


def _open(encoder: GraphEncoder) -> PictureEncoder:
    from actreel.training.gpu import open_encoder  # it loads TensorFlow, which a complete or empty store does not need

    packed = _pack(encoder)
    return packed.opened(open_encoder(packed.network, one_thread()))


def _picture_views(encoder: PictureEncoder, clips: StoredClips, mirror: bool, known: KnownViews) -> MakeViews:
    """Gives the features of a clip's frames, and with `mirror` those of its mirrored frames."""

    def views(name: str) -> NDArray[np.float32]:
        store, place = known.get(name, (None, 0))
        found = [] if store is None else list(store.views(name)[place])
        return encode_clip(encoder, lambda: clips.take([name])[0], None, 1 + mirror, found)

    return views


def _track_views(track: TrackSpec, windows: FrameWindows | None, clips: StoredClips, mirror: bool) -> MakeViews:
    """Gives the track of a clip, or its means in windows; a mirrored clip sounds the same."""

    def views(name: str) -> NDArray[np.float32]:
        features = clips.tracks([name], track)
        if windows is not None:
            features = windows.means(features[0])[np.newaxis]
        return np.repeat(features, 2 if mirror else 1, axis=0)

    return views


def _encode_on_cores(views: MakeViews, names: Sequence[str], *, estimate: bool = True) -> Iterator[NDArray[np.float32]]:
    """What `views` gives for each clip: float32 (1 or 2, T, F), unchanged and mirrored."""
    # Every clip is queued at once, and no core ever waits for another: neither to warm up nor for the estimate.
    warm = num_cores()  # a core's first run makes room in memory, and would spoil the estimate
    judged = min(warm + _PILOT_CLIPS * num_cores(), len(names))
    start = 0.0
    pool = ThreadPoolExecutor(num_cores())
    try:
        with Progress("encode", len(names)) as bar:
            for done, features in enumerate(pool.map(views, names), 1):
                if done == warm:
                    start = time.perf_counter()
                elif done == judged and estimate:
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
