"""What every worker of a batch needs, and what it does with one video."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
import numpy as np

from actreel.base.code_digest import code_digest
from actreel.batch.items import is_url, is_youtube
from actreel.errors import FetchError, VideoError
from actreel.inference.classifier import ActionClassifier
from actreel.inference.model_folder import ModelFolder

KNOWN_FILE = "known.npy"
JOB_FILE = "job.json"
"""Names the job: its content differs wherever another file of the job does."""

CHUNK = 1 << 20

MAX_BYTES = 20 * 10**9
"""The largest video that is fetched from an address: a live stream would fill the worker's disk."""


@dataclass(frozen=True)
class Outcome:
    """What came of one video.

    Attributes:
        source: The item.
        sha256: Of its content, in hexadecimal; None where it could not be read.
        row: The answer's columns; None if it failed or is known already.
        failure: Why it failed, in a sentence; None if it did not.
        permanent: Whether the same content would fail again.
    """

    source: str
    sha256: str | None = None
    row: dict[str, Any] | None = None
    failure: str | None = None
    permanent: bool = False


def model_version(folder: Path) -> str:
    """Names a model together with the code that runs it: 16 hexadecimal digits."""
    digest = hashlib.sha256(job_code().encode())
    for file in _model_files(folder):
        digest.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def pack_job(folder: Path, known: set[bytes]) -> dict[str, bytes]:
    """The files that a worker needs.

    Args:
        folder: The model folder.
        known: The sha256 of contents that have an outcome from this model, as bytes.
    """
    array = BytesIO()
    np.save(array, _keys(sorted(known)))
    description = {"model": model_version(folder), "known": hashlib.sha256(array.getvalue()).hexdigest()}
    return {
        JOB_FILE: json.dumps(description).encode(),
        KNOWN_FILE: array.getvalue(),
        **{file.name: file.read_bytes() for file in _model_files(folder)},
    }


def unpack_job(files: Mapping[str, bytes], folder: Path) -> None:
    """Writes a packed job's files into a folder."""
    for name, content in files.items():
        (folder / name).write_bytes(content)


def recognise_item(job: Path, source: str, *, again: bool = False) -> Outcome:
    """Recognises one video; runs in a worker.

    Args:
        job: The folder with the job's files.
        source: The item.
        again: Recognises it also if its content is known.
    """
    sha256 = None
    try:
        clip = _classifier(job).card.clip
        with _local_copy(source, max(clip.height, clip.width)) as file:
            sha256 = _sha256(file)
            if not again and _is_known(job, sha256):
                return Outcome(source, sha256)
            return Outcome(source, sha256, _row(_classifier(job), file))
    except VideoError as error:
        return Outcome(source, sha256, failure=str(error), permanent=True)
    except (FetchError, OSError, ValueError, ImportError) as error:
        # ValueError and ImportError: fsspec's, for an address of an unknown kind or without its package.
        return Outcome(source, sha256, failure=str(error) or type(error).__name__)


def _row(classifier: ActionClassifier, file: Path) -> dict[str, Any]:
    seen = classifier.recognise(file)
    video = asdict(seen.info)
    del video["header_frames"]  # a container's claim, no fact
    answer = asdict(replace(classifier.answer(seen), poses=None))  # a table of answers holds none
    return {**answer, **video}


@contextmanager
def _local_copy(source: str, min_side: int) -> Iterator[Path]:
    if not is_url(source) and not is_youtube(source):
        yield Path(source)
        return
    with tempfile.TemporaryDirectory(prefix="actreel-batch-") as folder:
        if is_youtube(source):
            yield _from_youtube(source, Path(folder), min_side)
        else:
            file = Path(folder, f"video{PurePosixPath(source).suffix[:8]}")
            _download(source, file)
            yield file


def _from_youtube(link: str, folder: Path, min_side: int) -> Path:
    # Imported here: only links need it.
    from actreel.youtube.access import YouTubeAccess
    from actreel.youtube.fetch import FetchLimits, fetch

    access = YouTubeAccess.from_environment()
    return fetch(link, folder, limits=FetchLimits(), min_side=min_side, access=access).path


def _download(source: str, file: Path) -> None:
    size = 0
    with fsspec.open(source, "rb") as remote, file.open("wb") as local:
        while chunk := remote.read(CHUNK):
            size += len(chunk)
            if size > MAX_BYTES:
                raise FetchError(f"A video of a batch must have at most {MAX_BYTES / 1e9:g} GB. '{source}' has more.")
            local.write(chunk)


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


@lru_cache(maxsize=1)
def _classifier(job: Path) -> ActionClassifier:
    return ActionClassifier.load(job, threads=1)


@lru_cache(maxsize=1)
def _known(job: Path) -> np.ndarray[Any, Any]:
    return np.asarray(np.load(job / KNOWN_FILE, mmap_mode="r"))


def _is_known(job: Path, sha256: str) -> bool:
    known, key = _known(job), _keys([bytes.fromhex(sha256)])[0]
    place = int(np.searchsorted(known, key))
    return place < len(known) and bool(known[place] == key)


def _keys(digests: list[bytes]) -> np.ndarray[Any, Any]:
    """The first 8 bytes of each digest as a number: 8 MB for a million videos. The whole digest is compared later."""
    return np.array([int.from_bytes(digest[:8], "big") for digest in digests], dtype=np.uint64)


def _model_files(folder: Path) -> list[Path]:
    files = ModelFolder(folder)
    return [files.manifest, *files.network_files()]


def job_code() -> str:
    """Digest of the code and libraries that give the answers."""
    libraries = ("av", "numpy", "onnxruntime", "opencv-python-headless")
    return code_digest("batch/job.py", "inference", "video", packages=libraries)
