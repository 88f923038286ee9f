"""What encodes one clip with a frozen encoder: on a core of this machine, or in a worker of a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from actreel.base.code_digest import code_digest
from actreel.base.progress import tracked
from actreel.config import ClipSpec, TrackSpec
from actreel.dataset.cluster import connected, in_order
from actreel.inference.clip_encoding import FrameWindows
from actreel.video.clips import load_clip
from actreel.video.tracks import load_track

EncodeClip = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""From a clip's frames, uint8 (T, H, W, 3), to float32 (T, F), or (M, F) for the M windows of a video encoder."""

MirrorFeatures = Callable[[NDArray[np.float32]], NDArray[np.float32] | None]
"""As `GraphEncoder.mirrored`."""

CODE = (
    "config/tracks.py", "dataset/cluster.py", "inference/clip_encoding.py", "training/encoding.py",
    "training/graph_encoder.py", "training/pose", "video",
)  # fmt: skip
"""The code that a worker encodes with."""

_AT_ONCE = 4
"""Frames that a core encodes at once: 20 of 224 pixels take 5 % longer, as they fit in no cache, and 230 MB more."""


def one_thread() -> onnxruntime.SessionOptions:
    """Settings of ONNX Runtime for clips that are encoded beside each other, one a core."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return options


@dataclass(frozen=True, eq=False)
class PackedEncoder:
    """An encoder that can be sent to another process.

    Attributes:
        network: Its ONNX file, which takes frames as they are stored.
        windows: As `GraphEncoder.windows`.
        mirrored: What mirrors features; a function that is importable by name.
        frame_by_frame: As `GraphEncoder.frame_by_frame`.
    """

    network: bytes
    windows: FrameWindows | None
    mirrored: MirrorFeatures
    frame_by_frame: bool = False

    def opened(self, session: onnxruntime.InferenceSession) -> tuple[EncodeClip, MirrorFeatures]:
        """What encodes the pictures of clips in a session of its network, and what mirrors their features."""
        (taken,) = session.get_inputs()
        in_parts = self.frame_by_frame and session.get_providers()[0] == "CPUExecutionProvider"

        def run(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
            size = _AT_ONCE if in_parts else max(1, len(frames))
            parts = [frames[start : start + size] for start in range(0, len(frames), size)]
            return np.concatenate([session.run(None, {taken.name: part})[0] for part in parts])

        return (run if self.windows is None else partial(self.windows.encode, run=run)), self.mirrored


@dataclass(frozen=True, eq=False)
class EncodingJob:
    """What a worker of a cluster needs to encode clips.

    Attributes:
        pictures: The encoder; None if only the track is taken.
        track: What is taken beside the pictures.
        spec: Clip settings.
        mirror: Whether the mirrored frames are encoded too.
    """

    pictures: PackedEncoder | None
    track: TrackSpec | None
    spec: ClipSpec
    mirror: bool


def encode_clip(
    pictures: tuple[EncodeClip, MirrorFeatures] | None,
    frames: Callable[[], NDArray[np.uint8]],
    track: Callable[[], NDArray[np.float32]] | None,
    num_views: int,
    known: Sequence[NDArray[np.float32]] = (),
) -> NDArray[np.float32]:
    """Encodes one clip.

    Args:
        pictures: What encodes its pictures; None: they are not taken.
        frames: Gives them, uint8 (T, H, W, 3).
        track: Gives its track, float32 (T, M); None: it is not taken.
        num_views: 2 if the mirrored clip is encoded too, else 1.
        known: The views that need not be encoded again.

    Returns:
        float32 (num_views, T, F): unchanged, and mirrored.
    """
    views, seen = list(known), cache(frames)
    while len(views) < num_views:
        parts = []
        if pictures is not None:
            encoder, mirrored = pictures
            other = mirrored(views[0]) if views else None
            if other is None:
                other = encoder(np.ascontiguousarray(seen()[:, :, ::-1]) if views else seen())
            parts.append(other)
        if track is not None:  # a mirrored clip sounds the same
            parts.append(track())
        views.append(np.concatenate(parts, axis=-1))
    return np.stack(views[:num_views])


def encode_on_cluster(address: str, job: EncodingJob, videos: Sequence[Path]) -> Iterator[NDArray[np.float32]]:
    """As `encode_clip`, of videos that the workers of a Dask cluster see under these absolute paths.

    The workers decode the videos, also where frames are stored: they are the same, and larger to send.

    Raises:
        ActreelError: No scheduler answers, or a worker differs; see `connected`.
        DatasetError: A clip ended several workers.
    """
    with connected(address, worker_code, videos) as client:
        yield from tracked(
            in_order(client, encode_on_worker, videos, code=worker_code, shared=job), "encode", len(videos)
        )


def encode_on_worker(job: EncodingJob, video: Path) -> NDArray[np.float32]:
    """Encodes one video in a Dask worker."""
    spec, beside = job.spec, job.track
    track = None if beside is None else partial(load_track, video, beside, spec.num_frames)
    return encode_clip(_opened(job), partial(load_clip, video, spec), track, 2 if job.mirror else 1)


@lru_cache(maxsize=1)
def _opened(job: EncodingJob) -> tuple[EncodeClip, MirrorFeatures] | None:
    """Opened once: a worker holds a job as one object. On the CPU, as what is served."""
    packed = job.pictures
    if packed is None:
        return None
    session = onnxruntime.InferenceSession(packed.network, one_thread(), providers=["CPUExecutionProvider"])
    return packed.opened(session)


def worker_code() -> str:
    """Digests the code and libraries that a worker encodes with."""
    return code_digest(*CODE, packages=("av", "numpy", "onnxruntime", "opencv-python-headless"))
