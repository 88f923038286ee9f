"""Folders that come split, as those of Kaggle and torchvision: `train/<action>/<clip>` beside `test/`, maybe `val/`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from actreel.base.places import UNKNOWN

TRAIN, VAL, TEST = SPLITS = ("train", "val", "test")

_NAMES = {
    "train": TRAIN, "training": TRAIN,
    "val": VAL, "valid": VAL, "validation": VAL, "validate": VAL, "dev": VAL,
    "test": TEST, "testing": TEST,
}  # fmt: skip
"""The split that a folder's name stands for, in lower case."""


def split_folders(clips: Iterable[Path]) -> dict[str, str]:
    """The folders at the top that are splits.

    Args:
        clips: Paths relative to the folder that may be split.

    Returns:
        `train`, `val` or `test` for each folder at the top, if all of them but `_unknown` are called so, and one of
        them is for training; otherwise nothing: then they are actions.
    """
    named = {top: _NAMES.get(top.strip().lower(), "") for top in {clip.parts[0] for clip in clips} - {UNKNOWN}}
    is_split = len(set(named.values())) > 1 and TRAIN in named.values() and "" not in named.values()
    return named if is_split else {}


def find_split(clips: Sequence[Path]) -> tuple[Path, dict[str, str]]:
    """The folder that is split: the top, or the only folder in it, or the only one in that, and so on.

    Args:
        clips: Paths relative to the top, at least one.

    Returns:
        That folder, relative to the top, and its `split_folders`; the top and nothing if no folder is split.
    """
    below = Path(os.path.commonpath([clip.parent for clip in clips]))
    for depth in range(len(below.parts) + 1):
        if folders := split_folders(Path(*clip.parts[depth:]) for clip in clips):
            return Path(*below.parts[:depth]), folders
    return Path(), {}


def action_of(clip: Path, folders: dict[str, str]) -> str:
    """The action of a clip: the name of its folder, which in a folder that is split lies one deeper."""
    return clip.parts[1 if clip.parts[0] in folders else 0]


def has_action(clip: Path, folders: dict[str, str]) -> bool:
    """Whether a clip lies in a folder of an action, and not just in one of a split."""
    return len(clip.parts) > 2 or clip.parts[0] not in folders
