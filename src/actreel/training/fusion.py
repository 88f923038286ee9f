"""Several frozen encoders in one model: how much each counts.

A frame's features are those of all encoders, one after the other, each brought to mean 0 and variance 1. An encoder
with ten times as many features would then weigh ten times as much under the penalty, whatever they are worth. So each
encoder's features are scaled to a share of the total variance, and the shares are chosen on held-out groups of the
training clips.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actreel.config import AND, AUTO, ModelParams
from actreel.dataset.store import Store
from actreel.training.folds import FoldScores, clearly_better

FINE = (0.0, 0.25, 0.5, 1.0)
"""Weights that are tried for two encoders."""

COARSE = (0.0, 1.0)
"""Weights that are tried for more."""

_LEAST = 1e-6
"""What stands for 0, as a scale: a variance must be finite."""

log = logging.getLogger(__name__)


def scales_of(network: ModelParams, store: Store) -> NDArray[np.float32] | None:
    """What each feature is multiplied by after it was standardised: float32 (F,); None for a single encoder.

    The weights are shares: they leave the total variance of the features as it is, so an encoder whose weight is the
    only one above 0 counts as if it were alone.
    """
    if len(network.encoders) == 1:
        return None
    sizes = np.array(store.sizes)
    weights = np.ones(len(sizes)) if network.fusion == AUTO else np.array(network.fusion)
    total = sizes[weights > 0].sum()
    scales = weights * np.sqrt(total / sizes / (weights**2).sum())
    return np.repeat(np.maximum(scales, _LEAST), sizes).astype(np.float32)


def repeated(scales: NDArray[np.float32] | None, size: int) -> NDArray[np.float32] | float:
    """The scales of a probe's features, float32 (size,): statistics over time, and motion, repeat those of a frame."""
    return 1.0 if scales is None else np.tile(scales, size // len(scales))


def candidates(network: ModelParams) -> list[tuple[float, ...]]:
    """The weights that are tried: 1 for at least one encoder. All equal come first, single encoders last."""
    levels = FINE if len(network.encoders) == 2 else COARSE
    found = [weights for weights in product(levels, repeat=len(network.encoders)) if max(weights) == 1]
    return sorted(found, key=lambda weights: (weights.count(0.0), -min(weights)))


def best_of(
    network: ModelParams, scores: Mapping[tuple[float, ...], FoldScores], targets: NDArray[np.int64]
) -> ModelParams:
    """The network with the weights that are right on most held-out clips; among equals the lower loss decides.

    The best encoder alone stays where no fusion is clearly better: one that happens to be right once more, of a few
    dozen clips, is worse on others as often as not.

    Args:
        network: With several encoders.
        scores: Of each candidate.
        targets: int64 (N,), the clips' actions.
    """
    ranks = {
        weights: (each.by_penalty[each.best]["accuracy"], -each.by_penalty[each.best]["loss"])
        for weights, each in scores.items()
    }
    alone = max((weights for weights in scores if sum(map(bool, weights)) == 1), key=ranks.__getitem__)
    clear = [weights for weights, each in scores.items() if clearly_better(each, scores[alone], targets)]
    chosen = max(clear, key=ranks.__getitem__, default=alone)
    table = pd.DataFrame(
        [
            (*weights, rank[0], -rank[1])
            for weights, rank in sorted(ranks.items(), key=lambda each: each[1], reverse=True)
        ],
        columns=[*network.encoders, "accuracy", "loss"],
    )
    log.info(
        f"weights of the encoders by their accuracy on {len(scores[alone].held_out)} clips of held-out groups; several "
        "count if they are better than one alone by more than a standard error\n"
        f"{table.round(3).to_string(index=False)}"
    )
    unused = [name for name, weight in zip(network.encoders, chosen, strict=True) if not weight]
    if unused:
        log.warning(
            f"{' and '.join(unused)} adds nothing on held-out clips, and counts 0. Without it, each clip costs less: "
            f"dvc exp run -S model.encoder={AND.join(name for name in network.encoders if name not in unused)}"
        )
    return network.model_copy(update={"fusion": chosen})
