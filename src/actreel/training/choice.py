"""`model.head: auto`: the probe that is best on held-out groups of the training clips."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import pandas as pd

from actreel.config import AUTO, PROBES, ModelParams, TrainParams
from actreel.dataset.store import Store
from actreel.training.train import train

log = logging.getLogger(__name__)


def choose_head(
    network: ModelParams, params: TrainParams, store: Store, rows: Mapping[str, pd.DataFrame], labels: list[str]
) -> tuple[ModelParams, pd.DataFrame]:
    """Solves each probe, without and with motion, and takes the one that is right on most held-out clips.

    Each is solved for the folds of the training and validation groups, as `fit_probe` does it; test clips take no part.
    Among equals the lower loss decides. As the best of several, the winner's own figures are too high.

    Args:
        network: With the head `auto`; any other is returned as it is.
        params: As for `train`.
        store: As for `train`.
        rows: As for `train`.
        labels: As for `train`.

    Returns:
        The network with the chosen head and motion, and a table with one row a candidate, the best first: `head`,
        `motion`, `accuracy` and `loss` on held-out clips; empty if there was no choice.
    """
    if network.head != AUTO:
        return network, pd.DataFrame(columns=["head", "motion", "accuracy", "loss"])
    params = params.model_copy(update={"fine_tune": 0})  # a head is chosen on the features of the frozen encoder
    candidates = []
    for head in PROBES:
        for motion in ("none", "difference"):
            _, curve = train(network.model_copy(update={"head": head, "motion": motion}), params, store, rows, labels)
            best = int(curve["val_loss"].argmin())
            accuracy, loss = (float(curve[name].to_numpy()[best]) for name in ("val_accuracy", "val_loss"))
            candidates.append((head, motion, accuracy, loss))
    table = pd.DataFrame(candidates, columns=["head", "motion", "accuracy", "loss"])
    table = table.sort_values(["accuracy", "loss"], ascending=[False, True], kind="stable", ignore_index=True)
    log.info(f"heads by their accuracy on held-out groups, the best of which is taken\n{table.round(3).to_string()}")
    return network.model_copy(update={"head": table["head"][0], "motion": table["motion"][0]}), table
