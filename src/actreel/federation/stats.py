"""From a folder of clips to a site's file."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from actreel.base.atomic import written_aside
from actreel.base.code_digest import code_digest
from actreel.base.faults import reading
from actreel.base.places import CROSSVAL, UNKNOWN
from actreel.config import RIDGE, SUM_PROBES, Params, check_params
from actreel.errors import ConfigError, DatasetError
from actreel.experiments.heldout import prepare
from actreel.federation.noise import with_noise
from actreel.federation.parts import Part, summarise
from actreel.federation.site_file import About, Made, PartAbout, Site, write_site
from actreel.inference.windows import window_length
from actreel.training.features import encoder_key
from actreel.training.fitting import Fitting
from actreel.training.folds import Pooled
from actreel.training.probes import pool
from actreel.training.train import build_sum_head

_CODE = (
    "video", "models", "dataset/store.py", "federation/parts.py", "inference/clip_encoding.py", "training/batches.py",
    "training/encoding.py", "training/features.py", "training/graph_encoder.py", "training/joined_encoder.py",
    "training/onnx_encoder.py", "training/onnx_files", "training/pose", "training/sides.py",
)  # fmt: skip
"""The code between a clip's file and its pooled features."""


@dataclass(frozen=True)
class Privacy:
    """What of its clips a site tells.

    Attributes:
        named: Whether groups keep their names; otherwise they get salted hashes.
        whole: Whether all groups are summed as one.
        salt: The file with the salt, which is made if it is missing.
        noise: Epsilon and delta of the noise, None for none; it sums all groups as one.
        length: What features are cut down to before noise is added.
    """

    named: bool
    whole: bool
    salt: Path
    noise: tuple[float, float] | None = None
    length: float | None = None


def sum_params(params: Params, folder: Path, settings: Sequence[str] = (), head: str | None = None) -> Params:
    """The parameters of a folder's model from sums.

    Args:
        params: All of them.
        folder: The folder of clips, or that of the model.
        settings: What `--set` gave, which is part of `params` already.
        head: The probe, of `SUM_PROBES`; None takes that of `params`, or `ridge_probe` if it has another head.

    Raises:
        ConfigError: The encoder is not frozen, or another value does not fit.
    """
    if not params.model.frozen:
        raise ConfigError(
            "Sums over clips need a frozen encoder, which is the same everywhere. Received: model.encoder "
            f"'{params.model.encoder}' with weights '{params.model.weights}'. Try: "
            "--set model.encoder=efficientnet_lite0 --set model.weights=imagenet --set clip.height=224 "
            "--set clip.width=224 --set clip.fit=center_crop"
        )
    values = params.model_dump(by_alias=True)
    path = str(folder.expanduser().absolute())
    same = values["dataset"]["name"] == "folder" and values["dataset"]["path"] == path
    asked = any(setting.startswith("dataset.group_pattern=") for setting in settings)
    pattern = values["dataset"]["group_pattern"] if same or asked else None
    values["dataset"] |= {"name": "folder", "path": path, "group_pattern": pattern}
    values["model"]["head"] = head or (params.model.head if params.model.head in SUM_PROBES else RIDGE)
    values["train"]["fine_tune"] = 0
    return check_params(values, "params.yaml")


def made_with(params: Params, steps: int) -> Made:
    """What features depend on here."""
    model = params.model
    key = encoder_key(model.encoder, model.weights, params.clip)
    return Made(
        encoder=model.encoder, weights=key["weights"], settings=key.get("settings"), clip=params.clip, steps=steps,
        motion=model.motion, mirror=params.train.mirror, mirror_as=params.train.mirror_as,
        code=code_digest(*_CODE, packages=("keras", "onnx")),
    )  # fmt: skip


def pool_folder(params: Params, work: Path = CROSSVAL) -> tuple[Pooled, pd.DataFrame, list[str], Made]:
    """Reads and encodes a folder's clips and pools them: the pooled clips, their index rows, the labels, the settings.

    Raises:
        ActreelError: The folder or a clip cannot be used.
    """
    index, inputs = prepare(params, work)
    rows = index[(index["error"] == "") & (index["action"] != UNKNOWN)].reset_index(drop=True)
    labels = sorted(rows["action"].unique())
    store = inputs(params.clip)
    model = build_sum_head(params.model, store.input_shape, len(labels))
    clips = pool(model, params.model.head, params.train, Fitting(store, rows, None, labels), few=True)
    return clips, rows, labels, made_with(params, store.input_shape[0])


def write_statistics(
    params: Params, out: Path, privacy: Privacy, work: Path = CROSSVAL, rng: np.random.Generator | None = None
) -> Site:
    """Writes the sums over a folder's clips.

    Args:
        params: As from `sum_params`.
        out: The file.
        privacy: What it tells.
        work: As for `prepare`.
        rng: The source of the noise; None takes a new one from the system's entropy, and only tests give another.

    Raises:
        ActreelError: The folder, a clip or the noise cannot be used.
    """
    clips, rows, labels, made = pool_folder(params, work)
    noise = None
    seen: dict[tuple[str, str], tuple[str, ...]] = {}
    site = f"site-{secrets.token_hex(8)}"
    if privacy.noise is not None:
        if privacy.length is None:
            raise ConfigError("Noise needs the length that features are cut down to. Try: --norm 30")
        epsilon, delta = privacy.noise
        noise, parts = with_noise(
            clips, labels, site, epsilon=epsilon, delta=delta, length=privacy.length,
            rng=np.random.default_rng() if rng is None else rng,
        )  # fmt: skip
    else:
        clips, rows = _with_groups(clips, rows, privacy, site)
        parts = tuple(summarise(clips, labels))
        seen = {
            (str(group), str(action)): tuple(sorted(each["sha256"]))
            for (group, action), each in rows.groupby(["group", "action"])
        }
    about = About(
        made=made, labels=tuple(labels), parts=_described(parts, seen), named=privacy.named and noise is None,
        clip_duration_s=None if noise else window_length(rows["duration_s"].tolist()), noise=noise,
    )  # fmt: skip
    return write_site(about, parts, out)


def _described(parts: Sequence[Part], seen: dict[tuple[str, str], tuple[str, ...]]) -> tuple[PartAbout, ...]:
    return tuple(
        PartAbout(
            group=part.group, action=part.action, mirrored=part.mirrored, clips=part.clips,
            seen=() if part.mirrored else seen.get((part.group, part.action), ()),
        )
        for part in parts
    )  # fmt: skip


def _with_groups(clips: Pooled, rows: pd.DataFrame, privacy: Privacy, site: str) -> tuple[Pooled, pd.DataFrame]:
    """The clips with the names of groups that the file gives them."""
    names = {str(name) for name in clips.group}
    if privacy.whole:
        told = dict.fromkeys(names, site)
    elif privacy.named:
        told = {name: name for name in names}
    else:
        salt = read_salt(privacy.salt, make=True)
        told = {name: hashed(name, salt) for name in names}
    return (
        replace(clips, group=np.array([told[str(name)] for name in clips.group])),
        rows.assign(group=rows["group"].astype(str).map(told)),
    )


def hashed(group: str, salt: bytes) -> str:
    """What stands for a group where its name is not told."""
    return "group-" + hmac.digest(salt, group.encode(), "sha256").hex()[:16]


def read_salt(file: Path, *, make: bool = False) -> bytes:
    """The salt of this place: whoever has it can try names of groups.

    Raises:
        FileError: The file is missing, unless it may be made, or cannot be read.
        DatasetError: It is too short to be a salt.
    """
    if make and not file.exists():
        with written_aside(file) as aside:
            aside.touch(mode=0o600)
            aside.write_text(secrets.token_hex(32) + "\n", encoding="utf-8")
    with reading(file, "It is made by: actreel stats FOLDER --out FILE.npz"):
        salt = file.read_text(encoding="utf-8").strip()
    if len(salt) < 32:
        raise DatasetError(f"A salt must have at least 32 letters. Received: {len(salt)} in '{file}'.")
    return salt.encode()
