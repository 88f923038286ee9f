"""The model that the clips of all sites together would have given, from the sums that each site sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actreel.config import Params, is_graph
from actreel.dataset.splits import assign_folds
from actreel.errors import ConfigError, ModelError
from actreel.federation.parts import Part, features_of
from actreel.federation.site_file import Site, differences
from actreel.federation.stats import made_with
from actreel.inference.manifest import ClassifierCard, Provenance
from actreel.inference.model_folder import ModelFolder
from actreel.quiet_keras import keras
from actreel.training.calibration import sharpened
from actreel.training.export import calibrate, export_network
from actreel.training.fitting import Records
from actreel.training.folds import FOLDS, FoldScores, Pooled, hold_out_by_folds, score_folds
from actreel.training.onnx_encoder import read_graph_encoder
from actreel.training.probes import solve_probe, solver_of
from actreel.training.rejection import HeldOut, Rejection, fit_rejection
from actreel.training.targets import class_weights
from actreel.training.train import build_sum_head

EXACT_CLIPS = 2
"""The most clips of a part of which the made-up clips are the clips themselves."""


@dataclass(frozen=True)
class Merged:
    """A model from several sites, and its answers to the clips of groups that were held out.

    Attributes:
        sites: The sites.
        labels: The K actions.
        model: The fitted head.
        rejection: What decides whether a clip shows any of the actions.
        temperature: As fitted on the answers.
        probabilities: float32 (N, K), calibrated, each by the sums over the other folds' groups.
        distances: float32 (N,), from the clips of the other folds.
        answered: One row a clip: `action`, `group`, `site`, `predicted`, and as `by_others` whether the model of the
            other sites is right on it, if there are several sites.
        loss: Squared error of the held-out scores with the penalty chosen: exact, whatever the parts.
        penalty: The penalty.
        exact: Whether answers, temperature and limit are those of the clips themselves: no part has more clips than
            two, and none has noise.
    """

    sites: tuple[Site, ...]
    labels: list[str]
    model: keras.Model
    rejection: Rejection
    temperature: float
    probabilities: NDArray[np.float32]
    distances: NDArray[np.float32]
    answered: pd.DataFrame
    loss: float
    penalty: float
    exact: bool


def check_sites(sites: Sequence[Site], params: Params) -> None:
    """Checks that the sums of all sites can be added, and that this place has the same encoder.

    Raises:
        ModelError: They cannot.
    """
    if not sites:
        raise ConfigError("Name at least one site's file: actreel merge FILE.npz... --into DIR")
    first, *others = sites
    own = made_with(params, first.about.made.steps)
    told = [("the settings here", differences(first.about.made, own))]
    for site in others:
        found = differences(first.about.made, site.about.made)
        if only := sorted(set(first.about.labels) ^ set(site.about.labels)):
            found.append(f"labels, of which only one has {', '.join(map(repr, only[:10]))}")
        if first.features != site.features:
            found.append(f"features, {first.features} and {site.features}")
        if first.sha256 == site.sha256:
            found.append("nothing: it is the same file twice")
        told.append((f"'{site.name}'", found))
    for other, found in told:
        if found:
            raise ModelError(
                f"Sums can be added only where they were made in the same way. Received: '{first.name}' and {other}, "
                f"which differ in {'; '.join(found)}. Use the same params.yaml and version of Actreel everywhere, or "
                "give what differs with --set, and make the files again: actreel stats FOLDER --out FILE.npz"
            )
    if first.features % (3 * _channels(first)):
        raise ModelError(f"'{first.name}' has {first.features} features a clip, which no probe of sums has.")


def pool_sites(sites: Sequence[Site], params: Params) -> tuple[Pooled, NDArray[np.str_]]:
    """The made-up clips of all sites, and str (V,), the site of each; recorded views come first.

    Raises:
        ModelError: There are too few groups or actions to hold out a part.
    """
    labels = list(sites[0].about.labels)
    order: list[tuple[Part, str]] = sorted(
        ((part, site.name) for site in sites for part in site.parts), key=lambda each: each[0].mirrored
    )
    parts = [part for part, _ in order]
    counts = [part.clips for part in parts]
    num_clips = sum(part.clips for part in parts if not part.mirrored)
    groups = np.repeat([part.group for part in parts], counts)
    targets = np.repeat([labels.index(part.action) for part in parts], counts)
    rows = pd.DataFrame({"group": groups[:num_clips], "action": [labels[target] for target in targets[:num_clips]]})
    if rows["group"].nunique() < 2 or rows["action"].nunique() < 2:
        raise ModelError(
            "A model needs clips of at least 2 groups and 2 actions. Received: "
            f"{rows['group'].nunique()} groups and {rows['action'].nunique()} actions in all files together. A file "
            "that was made with --whole or --noise counts as one group. Add files of other sites."
        )
    fold = rows.assign(fold=assign_folds(rows, min(FOLDS, rows["group"].nunique()), params.train.seed))
    fold_of = fold.groupby("group")["fold"].first()
    known = np.isin(groups, fold_of.index)  # nobody but a hostile site has a group in mirrored views only
    pooled = Pooled(
        features=features_of(parts)[known],
        targets=targets[known].astype(np.int64),
        fold=fold_of.loc[groups[known]].to_numpy(),
        group=groups[known],
        num_clips=num_clips,
        weights=(
            class_weights(targets[:num_clips], len(labels))
            if params.train.balance
            else np.ones(len(labels), dtype=np.float32)
        ),
        solver=solver_of(params.model.head),
    )
    return pooled, np.repeat([name for _, name in order], counts)[known]


def merge(sites: Sequence[Site], params: Params) -> Merged:
    """Solves, calibrates and judges the model of all sites.

    Args:
        sites: Checked by `check_sites`.
        params: As from `sum_params`; those of section `train` are this place's.

    Raises:
        ModelError: There are too few groups or actions.
    """
    labels = list(sites[0].about.labels)
    clips, site_of = pool_sites(sites, params)
    size = sites[0].features // (3 * _channels(sites[0]))
    head = build_sum_head(params.model, (sites[0].about.made.steps, size), len(labels))
    fitted, _, scores = solve_probe(head, clips, Records())
    embeddings = clips.features[: clips.num_clips, :size]
    statistics, held_out = hold_out_by_folds(scores, embeddings, clips.targets[: clips.num_clips], params.model.head)
    temperature = calibrate(fitted, held_out)
    rejection = fit_rejection(statistics, held_out, params.train.true_accept_rate)
    return Merged(
        sites=tuple(sites),
        labels=labels,
        model=fitted,
        rejection=rejection,
        temperature=temperature,
        probabilities=sharpened(held_out.probabilities, 1 / temperature),
        distances=held_out.distances,
        answered=_answers(clips, site_of, scores, held_out, labels),
        loss=scores.by_penalty[scores.best]["loss"],
        penalty=clips.solver.PATH[scores.best],
        exact=all(part.clips <= EXACT_CLIPS for site in sites for part in site.parts)
        and not any(site.about.noise for site in sites),
    )


def _answers(
    clips: Pooled, site_of: NDArray[np.str_], scores: FoldScores, held_out: HeldOut, labels: list[str]
) -> pd.DataFrame:
    every = np.concatenate([each for _, each in scores.folds])
    table = pd.DataFrame(
        {
            "action": [labels[target] for target in held_out.targets],
            "group": clips.group[every],
            "site": site_of[every],
            "predicted": [labels[answer] for answer in held_out.probabilities.argmax(axis=1)],
        }
    )
    names, site = np.unique(site_of, return_inverse=True)
    if len(names) < 2:
        return table
    # A site that spoils the others' model, or that the others' model does not fit, shows here.
    by_site = score_folds(replace(clips, fold=site), [clips.solver.PATH[scores.best]])
    right = np.full(clips.num_clips, np.nan)
    of_sites = np.concatenate([each for _, each in by_site.folds])
    right[of_sites] = by_site.probabilities.argmax(axis=1) == clips.targets[of_sites]
    return table.assign(by_others=right[every])


def export_merged(merged: Merged, params: Params, provenance: Provenance, folder: ModelFolder) -> None:
    """Writes the model folder.

    Raises:
        ModelError: An encoder from an ONNX file cannot be used.
    """
    model = params.model
    encoder = read_graph_encoder(model.encoder, model.weights, params.clip) if is_graph(model.encoder) else None
    seen = {digest for site in merged.sites for part in site.about.parts for digest in part.seen}
    _, described = export_network(merged.model, model, params.clip, merged.rejection, seen, folder, encoder)
    told = [site for site in merged.sites if site.about.clip_duration_s]
    total = sum(site.clips for site in told)
    length = sum((site.about.clip_duration_s or 0) * site.clips / total for site in told)
    ClassifierCard(
        labels=tuple(merged.labels),
        clip=params.clip,
        max_distance=merged.rejection.max_distance,
        temperature=merged.temperature,
        network=model,
        encoder=described,
        clip_duration_s=length or None,
        provenance=provenance,
    ).save(folder.path)


def _channels(site: Site) -> int:
    return 2 if site.about.made.motion == "difference" else 1
