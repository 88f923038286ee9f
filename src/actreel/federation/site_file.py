"""A site's file: the sums over its clips, and what they were made with; no picture, and by default no name.

An uncompressed `.npz` without Python objects. Whoever sends one may be hostile: sizes, shapes and values are checked
before anything is computed, and each refusal is a sentence.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from actreel.base.atomic import written_aside
from actreel.base.faults import reading
from actreel.config import ClipSpec
from actreel.errors import ModelError
from actreel.federation.parts import Part, rank

MOST_BYTES = 4 * 2**30
MOST_ABOUT = 32 * 2**20
MOST_FEATURES = 100_000
MOST_NUMBERS = 500_000_000
"""Of all clips of a file: a part of few numbers may say that it is of a million clips, which are made up to solve."""
LARGEST = 1e6
"""No encoder gives features anywhere near; sums of larger ones would drown those of the others."""

AGAIN = "Ask the site to make it again: actreel stats FOLDER --out FILE.npz"

_MEMBERS = ("about.npy", "means.npy", "factors.npy")

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Plain(BaseModel):
    """A part of the description."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Made(Plain):
    """What features depend on: sums can be added only if all of this is the same.

    Attributes:
        encoder: As `model.encoder`.
        weights: `imagenet`, or the sha256 of the file.
        settings: Of an encoder from an ONNX file.
        clip: Clip settings.
        steps: Vectors that a clip becomes: one a frame, or one a window of a video encoder.
        motion: As `model.motion`.
        mirror: As `train.mirror`.
        mirror_as: As `train.mirror_as`.
        code: A digest of the code that reads, encodes and pools clips.
    """

    encoder: str
    weights: str
    settings: dict[str, Any] | None
    clip: ClipSpec
    steps: int = Field(ge=1, le=100_000)
    motion: Literal["none", "difference"]
    mirror: bool
    mirror_as: dict[str, str | None]
    code: str


class Noise(Plain):
    """Gaussian noise that was added to a site's sums.

    Attributes:
        epsilon: Of differential privacy, for one group.
        delta: The same.
        norm: What features were cut down to.
        sigma: Standard deviation of the noise, where each group adds at most 2.
    """

    epsilon: float = Field(gt=0)
    delta: float = Field(gt=0, lt=1)
    norm: float = Field(gt=0)
    sigma: float = Field(gt=0)


class PartAbout(Plain):
    """A part without its numbers; see `Part`.

    Attributes:
        seen: The sha256 of each clip; empty with noise, and where views are mirrored.
    """

    group: Name
    action: Name
    mirrored: bool
    clips: int = Field(ge=1, le=1_000_000)
    seen: tuple[Digest, ...] = ()


class About(Plain):
    """All of a site's file but its numbers.

    Attributes:
        format: Of the file.
        made: What the features depend on.
        labels: The actions, sorted.
        parts: The parts, without their numbers.
        named: Whether groups have their own names, instead of salted hashes.
        clip_duration_s: About how long the clips are.
        noise: The noise, if any.
    """

    format: Literal[1] = 1
    made: Made
    labels: tuple[Name, ...] = Field(min_length=2, max_length=10_000)
    parts: tuple[PartAbout, ...] = Field(min_length=1, max_length=1_000_000)
    named: bool
    clip_duration_s: float | None = Field(gt=0, le=1e6)
    noise: Noise | None

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if list(self.labels) != sorted(set(self.labels)):
            raise ValueError("labels must be sorted, each once")
        keys = [(part.group, part.action, part.mirrored) for part in self.parts]
        if len(set(keys)) != len(keys) or not {action for _, action, _ in keys} <= set(self.labels):
            raise ValueError("each part must be there once, and show one of the labels")
        if all(part.mirrored for part in self.parts):
            raise ValueError("some part must be of clips as they were recorded")
        return self


@dataclass(frozen=True)
class Site:
    """A site's file.

    Attributes:
        name: How it is called here.
        sha256: Of the file; empty before it is written.
        about: Its description.
        parts: The sums.
    """

    name: str
    sha256: str
    about: About
    parts: tuple[Part, ...]

    @property
    def clips(self) -> int:
        """How many clips were summed, without mirrored views."""
        return sum(part.clips for part in self.parts if not part.mirrored)

    @property
    def groups(self) -> list[str]:
        """Its groups, as they are named in the file."""
        return sorted({part.group for part in self.parts})

    @property
    def features(self) -> int:
        """D, how many features a clip has."""
        return len(self.parts[0].mean)


def write_site(about: About, parts: tuple[Part, ...], path: Path) -> Site:
    """Writes a site's file completely or not at all."""
    described = np.frombuffer(about.model_dump_json().encode(), np.uint8)
    with written_aside(path) as aside, aside.open("wb") as file:  # given a path, NumPy adds an ending
        np.savez(
            file, about=described, means=np.stack([part.mean for part in parts]),
            factors=np.concatenate([part.factor for part in parts]),
        )  # fmt: skip
    return Site(path.stem, hashlib.sha256(path.read_bytes()).hexdigest(), about, parts)


def read_site(path: Path) -> Site:
    """Reads a site's file, which anybody may have made.

    Raises:
        FileError: The file is missing, or is no such file.
        ModelError: What is in it cannot be sums over clips.
    """
    with reading(path, AGAIN):
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise ModelError(_refusal(path, f"it must have at most {MOST_BYTES >> 30} GB, and has {size:,} bytes"))
        content = path.read_bytes()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            arrays = [_array(archive, member, path) for member in _MEMBERS]
            if sorted(archive.namelist()) != sorted(_MEMBERS):
                raise ModelError(_refusal(path, f"it must hold {', '.join(_MEMBERS)} and nothing else"))
    described, means, factors = arrays
    about = _about(described, path)
    return Site(path.stem, hashlib.sha256(content).hexdigest(), about, _parts(about, means, factors, path))


def _array(archive: zipfile.ZipFile, member: str, path: Path) -> NDArray[Any]:
    """An array whose header says no more than the file holds; no Python object is ever loaded."""
    info = archive.getinfo(member)
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        raise ModelError(_refusal(path, f"{member} must not be compressed"))
    content = archive.read(member)
    file = io.BytesIO(content)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ModelError(_refusal(path, f"{member} must be in NumPy's format 1.0"))
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    wanted, axes = (np.dtype(np.uint8), 1) if member == _MEMBERS[0] else (np.dtype(np.float64), 2)
    if dtype != wanted or fortran or len(shape) != axes:
        raise ModelError(_refusal(path, f"{member} must be {wanted} with {axes} axes, and is {dtype} {shape}"))
    rest = len(content) - file.tell()
    items = 1
    for length in shape:
        items *= length
    if items * wanted.itemsize != rest:
        raise ModelError(_refusal(path, f"{member} says {shape}, and holds {rest:,} bytes"))
    return np.frombuffer(content, wanted, offset=file.tell()).reshape(shape)


def _about(described: NDArray[np.uint8], path: Path) -> About:
    if len(described) > MOST_ABOUT:
        raise ModelError(_refusal(path, f"its description must be at most {MOST_ABOUT >> 20} MB"))
    try:
        return About.model_validate_json(described.tobytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "description"
        raise ModelError(_refusal(path, f"{where}: {first['msg']}")) from error


def _parts(about: About, means: NDArray[np.float64], factors: NDArray[np.float64], path: Path) -> tuple[Part, ...]:
    size = means.shape[1]
    if not 1 <= size <= MOST_FEATURES or len(means) != len(about.parts):
        said = f"{len(about.parts)} parts with 1 to {MOST_FEATURES:,} features each. It holds means of {means.shape}"
        raise ModelError(_refusal(path, f"there must be {said}"))
    if (numbers := size * sum(part.clips for part in about.parts)) > MOST_NUMBERS:
        raise ModelError(_refusal(path, f"its clips must have at most {MOST_NUMBERS:,} features, and have {numbers:,}"))
    ranks = [rank(part.clips, size) for part in about.parts]
    if factors.shape != (sum(ranks), size):
        raise ModelError(_refusal(path, f"its factors must be {(sum(ranks), size)}, and are {factors.shape}"))
    for sums in (means, factors):
        if not (np.isfinite(sums).all() and np.abs(sums).max(initial=0) <= LARGEST):
            raise ModelError(_refusal(path, f"numbers must be finite and at most {LARGEST:.0e}"))
    ends = np.cumsum(ranks)
    return tuple(
        Part(part.group, part.action, part.mirrored, part.clips, mean, factors[end - length : end])
        for part, mean, length, end in zip(about.parts, means, ranks, ends, strict=True)
    )


def _refusal(path: Path, reason: str) -> str:
    return f"'{path}' is no file of a site that can be used: {reason}. {AGAIN}"


def differences(first: Made, second: Made) -> list[str]:
    """What keeps sums from being added: a phrase for each setting that differs."""
    ours, theirs = (json.loads(made.model_dump_json()) for made in (first, second))
    flat = [{**made.pop("clip"), **made} for made in (ours, theirs)]
    return [f"{key} {flat[0][key]!r} and {flat[1][key]!r}" for key in flat[0] if flat[0][key] != flat[1][key]]
