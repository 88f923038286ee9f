"""Folders that come split, as those of Kaggle and torchvision: `train/<action>/<clip>` beside `test/`, maybe `val/`."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from actreel.base.places import UNKNOWN
from actreel.errors import DatasetError, listed_names

TRAIN, VAL, TEST = SPLITS = ("train", "val", "test")

_NAMES = {
    "train": TRAIN, "training": TRAIN,
    "val": VAL, "valid": VAL, "validation": VAL, "validate": VAL, "dev": VAL, "eval": VAL, "evaluation": VAL,
    "test": TEST, "testing": TEST,
}  # fmt: skip
"""The split that a folder's name stands for, in lower case."""
_WORD = re.compile(rf"({'|'.join(_NAMES)})(?:sets?|data)?")
_GENERIC = frozenset({"set", "sets", "data", "dataset", "split", "video", "videos", "clip", "clips"})
"""What may stand beside such a name: `training_set`, `Test Data`, `videos-train`."""


def _split_in(name: str) -> tuple[str, tuple[str, ...]]:
    """The split that a folder's name stands for, empty if it stands for none, and its other words."""
    words = _words(name)
    found = [match for word in words if (match := _WORD.fullmatch(word))]
    if len(found) != 1:
        return "", ()
    return _NAMES[found[0][1]], tuple(word for word in words if word != found[0][0] and word not in _GENERIC)


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W_]+", name.lower())


def split_folders(clips: Sequence[Path]) -> dict[str, str]:
    """The folders that are splits.

    Args:
        clips: Paths relative to the folder that may be split.

    Returns:
        `train`, `val` or `test` for each folder at the top, or for the one in it that the actions' folders lie in, if
        all at the top but `_unknown` are called so, maybe with more words that are the same in all, as `seg_train`, and
        one of them is for training; otherwise nothing: then they are actions.
    """
    found = {top: _split_in(top) for top in {clip.parts[0] for clip in clips} - {UNKNOWN}}
    named = {top: split for top, (split, _) in found.items()}
    splits, others = set(named.values()), {words for _, words in found.values()}
    if len(splits) < 2 or TRAIN not in splits or "" in splits or len(others) > 1:
        return {}
    return _below_wrappers(named, clips)


def _below_wrappers(named: dict[str, str], clips: Sequence[Path]) -> dict[str, str]:
    """The same splits by the folders with the actions in them, as in `seg_train/seg_train/Wave`."""
    # The folders that all clips to train on lie in; none is an action, as one action is no data to learn from.
    above = [clip.parent for clip in clips if named.get(clip.parts[0]) == TRAIN]
    shared = Path(os.path.commonpath(above)).parts
    depth = 1
    while depth < len(shared) and (_split_in(shared[depth])[0] or _GENERIC.issuperset(_words(shared[depth]) or [""])):
        depth += 1
    folders = {top: {clip.parent.parts[:depth] for clip in clips if clip.parts[0] == top} for top in named}
    if any(len(found) > 1 for found in folders.values()):
        return named
    return {"/".join(*found): named[top] for top, found in folders.items()}


def find_split(clips: Sequence[Path]) -> tuple[Path, dict[str, str]]:
    """The folder that is split: the top, or the only folder in it, or the only one in that, and so on.

    Args:
        clips: Paths relative to the top, at least one.

    Returns:
        That folder, relative to the top, and its `split_folders`; the top and nothing if no folder is split.

    Raises:
        DatasetError: A folder is split, and holds other folders beside: they would all be learned as actions.
    """
    below = Path(os.path.commonpath([clip.parent for clip in clips]))
    for depth in range(len(below.parts) + 1):
        inner = [Path(*clip.parts[depth:]) for clip in clips]
        if folders := split_folders(inner):
            return Path(*below.parts[:depth]), folders
        _refuse_others_beside(Path(*below.parts[:depth]), inner)
    return Path(), {}


def _refuse_others_beside(folder: Path, clips: Sequence[Path]) -> None:
    tops = {clip.parts[0] for clip in clips} - {UNKNOWN}
    inside = {top: {clip.parts[1] for clip in clips if clip.parts[0] == top and len(clip.parts) > 2} for top in tops}
    named = {top: split for top in sorted(tops) if (split := _split_in(top)[0])}
    others = sorted(tops - set(named))
    for train, test in product(named, named):
        if others and named[train] == TRAIN != named[test] and inside[train] & inside[test]:
            raise DatasetError(
                f"a folder that is split must hold no clips but those in its splits and in {UNKNOWN}. Received: "
                f"'{train}' and '{test}' with the same actions in them, and beside them in '{folder}': "
                f"{listed_names(others)}. Move these elsewhere; if '{train}' and '{test}' are actions themselves, "
                "rename one of them."
            )


def split_of(clip: Path, folders: dict[str, str]) -> str:
    """The split whose folder a clip lies in; empty if it lies in none."""
    return next((split for folder, split in folders.items() if clip.is_relative_to(folder)), "")


def action_of(clip: Path, folders: dict[str, str]) -> str:
    """The action of a clip: the name of its folder, which in a folder that is split lies deeper."""
    return clip.parts[_depth(clip, folders)]


def has_action(clip: Path, folders: dict[str, str]) -> bool:
    """Whether a clip lies in a folder of an action, and not just in one of a split."""
    return len(clip.parts) > _depth(clip, folders) + 1


def _depth(clip: Path, folders: dict[str, str]) -> int:
    """The number of folders above that of a clip's action."""
    return next((len(Path(folder).parts) for folder in folders if clip.is_relative_to(folder)), 0)
