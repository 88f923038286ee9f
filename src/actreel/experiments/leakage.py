"""Leakage: how much a random split of clips adds to the accuracy, for the same model and the same sizes.

Papers on UCF50 often split clips at random, so clips of one person in one scene are on both sides. To measure
the effect, the same model is trained on a group hold-out, and on the same split with the clips of each action shuffled:
as many clips of each action are in train, val and test, and only the groups leak.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from actreel.base.places import CROSSVAL
from actreel.config import Params
from actreel.dataset.splits import assign_splits
from actreel.experiments.heldout import fit_and_score, prepare
from actreel.tracking import runs


def measure_leakage(params: Params, repeats: int, work: Path = CROSSVAL) -> dict[str, Any]:
    """Trains the model under both splits, several times with different groups held out.

    Args:
        params: Dataset, clip, model and training; shares and first seed of the split.
        repeats: Number of pairs of models.
        work: As for cross-validation, and shared with it.

    Returns:
        `group_accuracy`, `random_accuracy` and `difference`, means over the repeats; `std_difference`; `repeats`, with
        both accuracies of each; `num_test_clips` of one repeat.

    Raises:
        ActreelError: The parameters or the clips do not fit.
    """
    index, inputs = prepare(params, work)
    store = inputs(params.clip)
    pairs = []
    clips = 0
    with runs.parent_run(params, f"{params.dataset.label} leakage", "leakage", True, None):
        for repeat in range(repeats):
            pair = {}
            for protocol in ("group_holdout", "random"):
                split = params.split.model_copy(update={"protocol": protocol, "seed": params.split.seed + repeat})
                index["split"] = assign_splits(index, split)
                with runs.child_run(f"{protocol} {repeat + 1}", None):
                    score = fit_and_score(params, index, store, variants=inputs)
                    runs.log_metrics({"accuracy": score.accuracy, "protocol": protocol})
                pair[protocol] = score.accuracy
                clips = score.num_test_clips
            pairs.append(pair)
        group, random = (np.array([pair[name] for pair in pairs]) for name in ("group_holdout", "random"))
        summary = {
            "group_accuracy": float(group.mean()),
            "random_accuracy": float(random.mean()),
            "difference": float((random - group).mean()),
            "std_difference": float((random - group).std()),
        }
        runs.log_metrics(summary)
    return {**summary, "repeats": pairs, "num_test_clips": clips}
