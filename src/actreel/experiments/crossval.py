"""Cross-validation: every clip is tested once, by a model that has seen no clip of its group.

Works from the source on, in a folder of its own beside the pipeline's, so that `dvc repro` and its outputs are left
alone. Killed at any point, it goes on with the fold that it was at.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from actreel.config import Params
from actreel.dataset.records import TRAIN, VAL, data_version
from actreel.dataset.splits import assign_folds, hold_out_fold, learnable_clips, shuffle_within_actions
from actreel.errors import ConfigError
from actreel.experiments.heldout import Score, digest, fit_and_score, prepare, write_aside
from actreel.experiments.nested import INNER_FOLDS, Settings, apply, choose
from actreel.places import CROSSVAL
from actreel.tracking import runs

log = logging.getLogger(__name__)


def cross_validate(
    params: Params,
    folds: int | None,
    work: Path = CROSSVAL,
    candidates: Sequence[Settings] = (),
    inner_folds: int = INNER_FOLDS,
) -> dict[str, Any]:
    """Trains and tests a model for each fold, as children of one MLflow run.

    Each fold's validation clips, which decide when training stops, come from its training groups. With
    `split.protocol` `random`, the same folds are shuffled within each action: leaky, to compare with papers.

    Args:
        params: Dataset, clip, model and training; `split.val` and `split.seed`.
        folds: How many; None leaves one group out at a time.
        work: Where clips, features and finished folds are kept.
        candidates: Settings of which each fold's training groups choose their own (nested cross-validation); none
            takes the parameters as they are.
        inner_folds: Parts of a fold's training groups that the candidates are compared on.

    Returns:
        `protocol`, `leaky`, `folds` (a dictionary each, with its `choice` if there were candidates), `mean_accuracy`,
        `std_accuracy` (over the folds), `pooled_accuracy` and `balanced_accuracy` (over all clips, each tested once),
        `num_clips`, `run_id`.

    Raises:
        ActreelError: The parameters, the clips or the folds do not fit.
    """
    leaky = params.split.leaky
    if leaky and folds is None:
        raise ConfigError("split.protocol 'random' needs a number of folds. Received: --folds logo. Try: --folds 5")
    index, inputs = prepare(params, work, mirror=any(settings.get("train.mirror") for settings in candidates))
    clips = learnable_clips(index, params.split.unknown)
    fold_of = assign_folds(clips, folds, params.split.seed)
    if leaky:
        fold_of = shuffle_within_actions(clips, fold_of, params.split.seed)
    protocol = "logo" if folds is None else f"{'random' if leaky else 'group'}_{folds}fold"
    nested = [list(candidates), inner_folds] if candidates else []
    version = data_version(index.assign(split=""))
    kept = work / "folds" / digest(params.model_dump(by_alias=True), protocol, version, *nested)
    kept.mkdir(parents=True, exist_ok=True)

    scores, choices = [], []
    with runs.parent_run(params, f"{params.dataset.label} {protocol}", protocol, leaky, kept / "run") as run_id:
        for fold in range(int(fold_of.max()) + 1):
            file = kept / f"fold-{fold:03d}.json"
            if file.exists():
                log.warning(f"fold {fold + 1} is done already, see {file}")
                done = json.loads(file.read_text(encoding="utf-8"))
                choices.append(done.pop("choice"))
                scores.append(Score(**done))
                continue
            index["split"] = hold_out_fold(clips, fold_of, fold, params.split).reindex(index.index, fill_value="")
            with runs.child_run(f"fold {fold + 1}", kept / f"fold-{fold:03d}.run"):
                fold_params, choice = params, None
                if candidates:
                    # All that the choice is given of the clips to be tested is nothing.
                    inside = index[index["split"].isin((TRAIN, VAL))]
                    best, inner = choose(params, candidates, inside, inputs, inner_folds, kept / f"fold-{fold:03d}")
                    fold_params = apply(params, candidates[best])
                    choice = {"settings": candidates[best], "candidates": [asdict(score) for score in inner]}
                    runs.log_settings({"chosen": best + 1, **candidates[best]})
                score = fit_and_score(fold_params, index, inputs(fold_params.clip))
                runs.log_metrics({"accuracy": score.accuracy, "balanced_accuracy": score.balanced_accuracy})
            write_aside(file, {**asdict(score), "choice": choice})
            scores.append(score)
            choices.append(choice)
            log.warning(f"fold {fold + 1} of {int(fold_of.max()) + 1}: accuracy {score.accuracy:.3f}")
        answers = pd.DataFrame(
            [answer for score in scores for answer in score.answers],
            columns=["clip", "action", "answer", "probability"],
        )
        right = answers["action"] == answers["answer"]
        accuracies = np.array([score.accuracy for score in scores])
        summary = {
            "mean_accuracy": float(accuracies.mean()),
            "std_accuracy": float(accuracies.std()),
            "pooled_accuracy": float(right.mean()),
            "balanced_accuracy": float(right.groupby(answers["action"]).mean().mean()),
        }
        runs.log_metrics(summary)
    return {
        "protocol": protocol,
        "leaky": leaky,
        "folds": [
            {"fold": fold + 1}
            | {name: value for name, value in asdict(score).items() if name != "answers"}
            | ({"choice": choice} if choice else {})
            for fold, (score, choice) in enumerate(zip(scores, choices, strict=True))
        ],
        **summary,
        "num_clips": len(answers),
        "run_id": run_id,
    }
