"""`model.head: auto`: the probe that is best on held-out groups of the training clips; then, the clips it learns."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import pandas as pd

from actreel.base.progress import tracked
from actreel.config import AUTO, PROBES, SUM_PROBES, ModelParams, TrainParams
from actreel.dataset.layout import TRAIN, VAL
from actreel.dataset.store import Store
from actreel.training.folds import Scored
from actreel.training.fusion import best_of, candidates
from actreel.training.targets import targets_of
from actreel.training.train import score_fusions, score_probe
from actreel.training.variants import OpenVariant, Variant, choose_variant

FEW_CLIPS = 500
"""Clips up to which every penalty is tried, and the winner's scores serve its training too."""

MOST_CLIPS = 1500
"""Clips that the choice is made on: more cost minutes and tell heads apart that differ by less than a point."""

CANDIDATES = tuple(probe for probe in PROBES if probe not in SUM_PROBES)
"""Probes whose losses can be compared: that of `ridge_probe` and `lda_probe` is another one."""

COLUMNS = ("head", "motion", "fit", "colour", "mirror", "accuracy", "loss", "chosen")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """What was chosen on held-out groups of the training clips.

    Attributes:
        network: With its head, motion and fusion.
        variant: The clips that it learns.
        scored: The scores by folds of some networks that learn these clips, for `train`.
        table: One row for each of what was tried, with `COLUMNS`: the heads, the best first, then the variants of the
            clip. Empty if there was nothing to choose.
        encoded: Whether the network learns other features than those of params.yaml.
    """

    network: ModelParams
    variant: Variant
    scored: Scored
    table: pd.DataFrame
    encoded: bool = False


def choose(
    network: ModelParams,
    params: TrainParams,
    store: Store,
    rows: Mapping[str, pd.DataFrame],
    labels: list[str],
    open_variant: OpenVariant | None,
) -> Choice:
    """Chooses the head, then the clips that it learns; see `choose_head` and `choose_variant`.

    Args:
        network: As for `choose_head`.
        params: As for `train`; no variant is tried without `variants`.
        store: As for `train`.
        rows: As for `train`.
        labels: As for `train`.
        open_variant: Gives the features of variants; None tries none.

    Raises:
        ActreelError: As for `choose_head` and `choose_variant`.
    """
    scored: Scored = {}
    network, heads = choose_head(network, params, store, rows, labels, scored)
    plain = Variant(store.spec, params.mirror)
    heads = heads.assign(**plain.settings, chosen=heads.index == 0)
    if open_variant is None or not params.variants:
        return Choice(network, plain, scored, heads[list(COLUMNS)])
    every = pd.concat([rows[TRAIN], rows[VAL]], ignore_index=True)
    variant, tried = choose_variant(network, params, store, every, labels, scored, open_variant)
    if len(tried) > 1:
        tried = tried.assign(head=network.head, motion=network.motion)
        # The first one is a row of the heads already.
        heads = tried if heads.empty else pd.concat([heads.assign(chosen=False), tried[1:]], ignore_index=True)
        heads.loc[0, "chosen"] = bool(tried["chosen"][0])
    return Choice(network, variant, scored, heads[list(COLUMNS)], encoded=not variant.is_part_of(plain))


def choose_head(
    network: ModelParams,
    params: TrainParams,
    store: Store,
    rows: Mapping[str, pd.DataFrame],
    labels: list[str],
    scored: Scored | None = None,
) -> tuple[ModelParams, pd.DataFrame]:
    """Chooses what of a network is to be chosen: its head, and how much each of several encoders counts.

    Solves each probe, without and with motion, for the folds, and takes the one right on most held-out clips; then the
    weights of the encoders in the same way. A network that is no probe gets the weights that suit `statistics_probe`.

    The folds are those of the training and validation groups that `fit_probe` makes; test clips take no part. Among
    equals the lower loss decides. As the best of several, the winner's own figures are too high.

    Args:
        network: With the head `auto`, or with several encoders and `fusion` at `auto`; any other is returned as it is.
        params: As for `train`.
        store: As for `train`.
        rows: As for `train`.
        labels: As for `train`.
        scored: The candidates' scores are put here, for `train`, if the choice is made among few clips.

    Returns:
        The network with the chosen head, motion and fusion, and a table with one row a candidate, the best first:
        `head`, `motion`, `accuracy` and `loss` on held-out clips; empty if no head was chosen.

    Raises:
        ConfigError: As for `score_probe`.
        ModelError: As for `score_probe`.
    """
    columns = ["head", "motion", "accuracy", "loss"]
    every = pd.concat([rows[TRAIN], rows[VAL]], ignore_index=True)
    clips = spread(every, MOST_CLIPS, params.seed)
    if network.head != AUTO:
        return _fused(network, params, store, clips, labels), pd.DataFrame(columns=columns)
    heads = list(product(CANDIDATES, ("none", "difference")))
    results = []
    for head, motion in tracked(heads, "choose", len(heads), unit="head"):
        candidate = network.model_copy(update={"head": head, "motion": motion})
        by_folds = score_probe(candidate, params, store, clips, labels, coarse=len(clips) > FEW_CLIPS)
        scores = by_folds.by_penalty[by_folds.best]
        results.append((head, motion, scores["accuracy"], scores["loss"]))
        if scored is not None and len(every) <= FEW_CLIPS:
            scored[candidate] = by_folds
    table = pd.DataFrame(results, columns=columns)
    table = table.sort_values(["accuracy", "loss"], ascending=[False, True], kind="stable", ignore_index=True)
    log.info(
        f"heads by their accuracy on {len(clips)} clips of held-out groups, the best of which is taken\n"
        f"{table.round(3).to_string()}"
    )
    network = network.model_copy(update={"head": table["head"][0], "motion": table["motion"][0]})
    return _fused(network, params, store, clips, labels), table


def _fused(
    network: ModelParams, params: TrainParams, store: Store, clips: pd.DataFrame, labels: list[str]
) -> ModelParams:
    """The network with the weights of its encoders."""
    if len(network.encoders) == 1 or network.fusion != AUTO:
        return network
    probe = network if network.is_probe else network.model_copy(update={"head": "statistics_probe"})
    tried = candidates(network)
    networks = [probe.model_copy(update={"fusion": weights}) for weights in tried]
    found = score_fusions(networks, params, store, clips, labels, coarse=len(clips) > FEW_CLIPS)
    scores = dict(zip(tried, tracked(found, "fuse", len(tried), unit="weights"), strict=True))
    return best_of(network, scores, targets_of(clips, labels))


def spread(rows: pd.DataFrame, most: int, seed: int) -> pd.DataFrame:
    """At most so many of the clips: of each action and group one, then of each a second one, and so on.

    Args:
        rows: Index rows.
        most: How many to keep.
        seed: Which clips of a group come first.

    Returns:
        The rows kept, in their order.
    """
    if len(rows) <= most:
        return rows
    shuffled = rows.sample(frac=1, random_state=seed)
    turn = shuffled.groupby(["action", "group"]).cumcount()
    return rows.loc[turn.sort_values(kind="stable").index[:most]].sort_index().reset_index(drop=True)
