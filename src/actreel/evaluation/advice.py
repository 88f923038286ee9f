"""Why a model does not beat chance, from the data at hand, and what to try next."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from actreel.base.places import SAMPLES
from actreel.config import SIGNALS, DatasetParams, ModelParams
from actreel.config.commands import learn
from actreel.evaluation.intervals import balanced_interval
from actreel.evaluation.slices import Confusion

FEW_CLIPS = 30
"""Training clips of an action; a network trained from scratch learns little from fewer."""
FEW_FOR_A_PROBE = 12
"""Training clips of an action; from fewer, not even a linear head on a frozen encoder learns much."""
FEW_TRAIN_GROUPS = 4
"""Training groups of an action; from fewer, a model learns these people and scenes rather than the action."""
_SAMPLES = f"in {SAMPLES} "


def what_to_try(
    train: pd.DataFrame,
    test: pd.DataFrame,
    confusions: Sequence[Confusion],
    network: ModelParams,
    dataset: DatasetParams,
) -> str:
    """Says what keeps a model from beating chance, most likely, and names a command to try.

    Args:
        train: Index rows of the training clips, with `action` and `group`.
        test: Index rows of the test clips, the same.
        confusions: The most confused actions on the test clips.
        network: The model's network.
        dataset: Where the clips come from.
    """
    actions = test["action"].nunique()
    if balanced_interval([1] * len(test), test["action"], test["group"])[0] <= 1 / actions:
        return (
            f"The test is too small: even with all of its {len(test)} clips of {test['group'].nunique()} groups right, "
            "chance could not be ruled out. Add clips of other people or scenes, or hold out more of them: "
            "dvc exp run -S split.test=0.4"
        )
    by_action = train.groupby("action")
    clips, groups = by_action.size(), by_action["group"].nunique()
    if clips.min() < FEW_CLIPS and not network.frozen:
        return (
            f"There are few clips: '{clips.idxmin()}' has {clips.min()} to train on, too few for {network.encoder}, "
            f"which is trained from scratch. Try a pretrained encoder: {learn(dataset.name, dataset.path, 'auto')}"
        )
    again = learn(dataset.name, dataset.path)
    if clips.min() < FEW_FOR_A_PROBE:
        return f"There are few clips: '{clips.idxmin()}' has {clips.min()} to train on. Add some, then: {again}"
    if groups.min() < FEW_TRAIN_GROUPS:
        return (
            f"There are few groups: '{groups.idxmin()}' was trained on {groups.min()} people or scenes. Add clips of "
            f"others, then: {again}"
        )
    pictured = network.encoder != SIGNALS  # those of signals may have no frames to look at
    mistakes = sum(pair.count for pair in confusions)
    if confusions and 2 * (alike := _between(confusions, confusions[0])) > mistakes and actions > 2:
        first = confusions[0]
        return (
            f"Two actions look alike: {alike} of the {mistakes} most frequent mistakes confuse '{first.actual}' and "
            f"'{first.predicted}'. {'reports/figures/confused.png shows them. ' if pictured else ''}If they are one "
            f"action, put their clips into one folder, then: {again}"
        )
    checked = (
        f"Nothing in the numbers of clips and groups explains it. Check {_SAMPLES if pictured else ''}that the folders "
        "hold what their names say"
    )
    if not pictured:
        return f"{checked}, and try another head: dvc exp run -S model.head=lstm"
    if network.frozen and clips.min() < FEW_CLIPS:
        return f"{checked}, then: {again}"
    other = "lrcn" if network.frozen else "auto"
    return f"{checked}, and try another recipe: {learn(dataset.name, dataset.path, other)}"


def _between(confusions: Sequence[Confusion], pair: Confusion) -> int:
    both = {pair.actual, pair.predicted}
    return sum(each.count for each in confusions if {each.actual, each.predicted} == both)
