"""learn: a folder of clips ▸ params.yaml with a recipe's settings ▸ the whole pipeline ▸ a Bento to serve.

`make learn FROM=/path/to/clips` runs it. A recipe is a file in `pipelines/recipes`: settings that go together, with
their cost and results. What was interrupted goes on when the same command is run again.
"""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from actreel.base.console import exit_cleanly
from actreel.base.places import PARAMS
from actreel.config import SIGNALS, DatasetParams, Params, SplitParams, check_params, load_params
from actreel.config.commands import learn
from actreel.dataset.fetch.dvc_internals import edit_params
from actreel.dataset.grouping.writing import command_for
from actreel.dataset.groups import groups_of
from actreel.dataset.layout import TEST, action_of, check_actions, find_split, has_action, split_of
from actreel.dataset.splits import assign_splits, learnable_clips
from actreel.dataset.watch import checked_folder
from actreel.errors import ConfigError
from actreel.evaluation.intervals import balanced_interval
from actreel.project.running import refuse_second
from actreel.video.endings import is_signal
from pipelines.repro import run_pipeline

RECIPES = Path(__file__).parent / "recipes"
PICKED = "auto"
"""The recipe where none is named: it learns from few clips, and one pass of its encoder is all that many clips cost."""
WITHOUT_VIDEOS = SIGNALS
"""The recipe where none is named and the clips are signals without videos."""
TEST_SHARES = (0.25, 0.35, 0.45)
"""Values of `split.test` to try: a small folder needs a larger share, or no test could tell a model from chance."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """Settings that go together.

    Attributes:
        name: The file's.
        about: What it is, and what it is for.
        cost: What it costs, where that was measured.
        results: What it gave.
        settings: Values by section and key of params.yaml; all recipes set the same keys.
    """

    name: str
    about: str
    cost: str
    results: str
    settings: Mapping[str, Mapping[str, Any]]


def main(arguments: list[str] | None = None) -> None:
    """Learns from a folder of clips: picks a recipe, writes it into params.yaml, and runs the pipeline."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.learn", description=main.__doc__)
    parser.add_argument("source", nargs="?", default="", help="the folder (default: the dataset in params.yaml)")
    parser.add_argument("--recipe", default="", help=f"one of: {', '.join(recipe_names())} (default: picked)")
    parser.add_argument("--group", default="", metavar="PATTERN", help="as dataset.group_pattern")
    options = parser.parse_args(arguments)
    before = load_params()
    params, changes = settings_for(before, options.source, options.recipe, options.group)
    again = learn(params.dataset.name, params.dataset.path, options.recipe or None)
    refuse_second(again)  # it reads params.yaml
    edit_params(PARAMS, changes)
    run_pipeline(again)


def settings_for(
    before: Params, source: str, recipe_name: str, group: str
) -> tuple[Params, dict[str, Mapping[str, Any]]]:
    """Looks at the clips, and decides what to write into params.yaml.

    Args:
        before: Its present values.
        source: The folder; empty: the dataset in params.yaml.
        recipe_name: Empty picks one.
        group: A pattern for `dataset.group_pattern`; empty keeps that of the same folder.

    Returns:
        The new parameters, and the values by section that differ or belong to the recipe.

    Raises:
        ActreelError: The folder or its clips cannot be learned from, or there is no such recipe.
    """
    recipe = read_recipe(recipe_name) if recipe_name else None
    picked = PICKED
    dataset, split = source_settings(before, source, group)
    changes: dict[str, Mapping[str, Any]] = {"dataset": dataset}
    about = f"the dataset '{before.dataset.label}'"
    if dataset["name"] == "folder":
        index = look(check_params(_merged(before, changes), str(PARAMS)).dataset)
        about = in_words(index)
        split = fitting_split(index, split)
        if is_signal(Path(index["clip"].iloc[0])):  # then all are
            picked = WITHOUT_VIDEOS
    recipe = recipe or read_recipe(picked)
    changes |= {"split": split.model_dump(include={"protocol", "val", "test"}), **recipe.settings}
    log.info(f"learning from {about}, with the recipe '{recipe.name}'. {recipe.about} {recipe.cost}")
    if not recipe_name:
        others = ", ".join(name for name in recipe_names() if name != recipe.name)
        log.info(f"this recipe was picked: it learns from few clips and from many. Another one: RECIPE=NAME ({others})")
    return check_params(_merged(before, changes), str(PARAMS)), changes


def source_settings(before: Params, source: str, group: str) -> tuple[dict[str, Any], SplitParams]:
    """The dataset's settings, and how to hold clips out; what was set for another folder does not count."""
    dataset: dict[str, Any] = {"name": before.dataset.name, "path": before.dataset.path}
    split = before.split
    if source:
        dataset = {"name": "folder", "path": os.path.abspath(Path(source).expanduser())}  # noqa: PTH100 (keeps links)
        if dataset["path"] != before.dataset.path:
            dataset["group_pattern"] = None
            shares = {"protocol": "group_holdout", "val": 0.15, "test": TEST_SHARES[0]}
            split = split.model_copy(update=shares)
    if group:
        dataset["group_pattern"] = group
    return dataset, split


def look(dataset: DatasetParams) -> pd.DataFrame:
    """A folder's clips, without opening them.

    Returns:
        `clip`, `action`, `group` and an empty `error` for each clip of the actions that have enough groups.

    Raises:
        DatasetError: The folder has no clips, or too few groups.
    """
    folder = Path(dataset.path)
    found = checked_folder(folder).clips
    wrapper, folders = find_split(found)
    clips = [clip for clip in (path.relative_to(wrapper) for path in found) if has_action(clip, folders)]
    check_actions(clips, folders, folder / wrapper)
    index = pd.DataFrame(
        {
            "clip": [clip.as_posix() for clip in clips],
            "action": [action_of(clip, folders) for clip in clips],
            "group": groups_of(folder / wrapper, clips, dataset.group_pattern),
            "folder_split": [split_of(clip, folders) for clip in clips],
            "error": "",
        }
    )
    index = learnable_clips(index)
    alone = index["group"] == index["clip"]
    if alone.any():
        log.warning(
            f"the groups of {alone.sum()} clips are guessed: one for each file, so clips of one person or scene may be "
            "on both sides of the test, and flatter it. To have groups proposed from names, files and backgrounds, and "
            f"written to groups.csv: {command_for(dataset.path)}. If the names say who or what they show first, as in "
            f"'anna_1.mp4', this takes the groups from them: {learn('folder', dataset.path)} "
            "GROUP_PATTERN='/(?P<group>[^/_]+)_'"
        )
    return index


def in_words(index: pd.DataFrame) -> str:
    """How many clips, actions and groups there are."""
    counts = index["action"].value_counts()
    return (
        f"{len(index)} clips of {len(counts)} actions ({counts.min()} to {counts.max()} of each) in "
        f"{index['group'].nunique()} groups"
    )


def fitting_split(index: pd.DataFrame, split: SplitParams) -> SplitParams:
    """Holds out more clips for the test if a perfect model could not be told from chance otherwise; see `decide`."""
    if split.protocol != "group_holdout":
        return split
    for share in (split.test, *(share for share in TEST_SHARES if share > split.test)):
        trial = split.model_copy(update={"test": share})
        test = index[assign_splits(index, trial) == TEST]
        low, _ = balanced_interval([1] * len(test), test["action"], test["group"])
        if low > 1 / test["action"].nunique():
            if share > split.test:
                log.info(f"there are few groups, so {share:.0%} of the clips are held out for the test")
            return trial
    log.warning(
        "with so few groups, even a perfect model could not be told from chance on its test clips, and would not be "
        "served by itself. Add clips of other people or scenes."
    )
    return split


def recipe_names() -> list[str]:
    """The recipes there are."""
    return sorted(file.stem for file in RECIPES.glob("*.yaml"))


def read_recipe(name: str) -> Recipe:
    """Reads a recipe.

    Raises:
        ConfigError: There is no recipe of this name.
    """
    if name not in recipe_names():
        raise ConfigError(f"RECIPE must be one of {', '.join(recipe_names())}. Received: '{name}'")
    return Recipe(name, **yaml.safe_load((RECIPES / f"{name}.yaml").read_text(encoding="utf-8")))


def _merged(params: Params, changes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = params.model_dump(by_alias=True)
    for section, new in changes.items():
        values[section] |= new
    return values


if __name__ == "__main__":
    exit_cleanly(main)
