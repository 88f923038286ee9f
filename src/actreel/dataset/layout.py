"""Folders that come split, as those of Kaggle and torchvision: `train/<action>/<clip>` beside `test/`, maybe `val/`.

Or each action is split by itself: `<action>/train/<clip>` beside `<action>/test/`.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from actreel.base.places import UNKNOWN
from actreel.errors import DatasetError, listed_names

TRAIN, VAL, TEST = SPLITS = ("train", "val", "test")

_NAMES = {
    "train": TRAIN, "training": TRAIN, "trn": TRAIN, "trainval": TRAIN,
    "val": VAL, "valid": VAL, "validation": VAL, "validate": VAL, "dev": VAL, "development": VAL, "eval": VAL,
    "evaluation": VAL,
    "test": TEST, "testing": TEST, "tst": TEST, "holdout": TEST,
}  # fmt: skip
"""The split that a folder's name stands for, in lower case."""
_WORD = re.compile(rf"({'|'.join(_NAMES)})(?:sets?|data)?\d*")
_GENERIC = frozenset({"set", "sets", "data", "dataset", "split", "video", "videos", "clip", "clips"})
"""What may stand beside such a name, as numbers may: `training_set`, `Test Data`, `videos-train`, `01_train`."""


def _split_in(name: str) -> tuple[str, tuple[str, ...]]:
    """The split that a folder's name stands for, empty if it stands for none, and its other words."""
    words = _words(name)
    found = [match for word in words if (match := _WORD.fullmatch(word))]
    splits = {_NAMES[match[1]] for match in found}
    if splits == {TRAIN, VAL}:  # `train+val`, of which some groups are taken to validate on
        splits = {TRAIN}
    if len(splits) != 1:
        return "", ()
    names = {match[0] for match in found}
    others = (word for word in words if word not in names | _GENERIC and not word.isdecimal())
    return splits.pop(), tuple(others)


def named_as_split(name: str) -> bool:
    """Whether a folder has a name that stands for a split, whatever lies beside it."""
    return bool(_split_in(name)[0])


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W_]+", name.lower())


def split_folders(clips: Sequence[Path]) -> dict[str, str]:
    """The folders that are splits.

    Args:
        clips: Paths relative to the folder that may be split.

    Returns:
        `train`, `val` or `test` for each folder at the top, or for the one in it that the actions' folders lie in, if
        all at the top but `_unknown` are called so, maybe with more words that are the same in all, as `seg_train`, and
        one of them is for training. If instead the folders at the top are actions, and all folders in them are called
        so: the split of each of these, as `Wave/train`. Nothing if the folder did not come split.
    """
    tops = {clip.parts[0] for clip in clips} - {UNKNOWN}
    if named := _all_splits(tops):
        return _below_wrappers(named, clips)
    if len(tops) < 2 or any(map(named_as_split, tops)):
        return {}
    inside = {clip.parent.parts[:2] for clip in clips if clip.parts[0] in tops}
    if any(len(folder) < 2 for folder in inside):
        return {}
    named = _all_splits({folder[1] for folder in inside})
    return {"/".join(folder): named[folder[1]] for folder in inside} if named else {}


def _all_splits(names: set[str]) -> dict[str, str]:
    """The splits of these folders, one of them for training; nothing if some are no splits."""
    found = {name: _split_in(name) for name in names}
    named = {name: split for name, (split, _) in found.items()}
    splits, others = set(named.values()), {words for _, words in found.values()}
    return named if len(splits) > 1 and TRAIN in splits and "" not in splits and len(others) == 1 else {}


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
    """The action of a clip: the name of its folder, which in a folder that is split lies deeper.

    Its accents are composed (NFC), as in settings and labels that are typed; macOS decomposes those of files.
    """
    return unicodedata.normalize("NFC", clip.parts[_depth(clip, folders)])


def check_actions(clips: Sequence[Path], folders: dict[str, str], where: Path) -> None:
    """Checks that there are two actions or more.

    Args:
        clips: Paths relative to the folder with the actions' folders or the splits in it.
        folders: Its `split_folders`.
        where: The user's folder, for the message.

    Raises:
        DatasetError: There are fewer; says which folder may be meant instead.
    """
    actions = sorted({action_of(clip, folders) for clip in clips} - {UNKNOWN})
    if len(actions) > 1:
        return
    inside = {clip.parts[1] for clip in clips if len(clip.parts) > 2 and clip.parts[0] != UNKNOWN}
    hint = ""
    if len(actions) == 1 and len(inside) > 1 and not folders:
        hint = f" If the actions are the folders in it, {listed_names(sorted(inside))}, give '{where / actions[0]}'."
    raise DatasetError(
        "a dataset must contain clips of at least 2 actions, in one sub-folder per action. "
        f"Received: {listed_names(actions) if actions else 'none'} in '{where}'.{hint}"
    )


def has_action(clip: Path, folders: dict[str, str]) -> bool:
    """Whether a clip lies in a folder of an action, and not just in one of a split."""
    return len(clip.parts) > _depth(clip, folders) + 1


def _depth(clip: Path, folders: dict[str, str]) -> int:
    """The number of folders above that of a clip's action."""
    above = next((Path(folder).parts for folder in folders if clip.is_relative_to(folder)), ())
    return len(above) if above and named_as_split(above[0]) else 0
