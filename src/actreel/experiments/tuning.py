"""Search over the settings of clips, head and training, by Optuna, without the test clips.

A sweep is an sqlite file. If it is killed, the next call proposes the interrupted trial again and continues: the
sampler is seeded by the number of finished trials.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
import pandas as pd
from optuna.trial import FrozenTrial, Trial, TrialState

from actreel.base.places import CROSSVAL, SWEEPS
from actreel.config import Params
from actreel.dataset.layout import TRAIN, VAL
from actreel.dataset.lock import exclusive_lock
from actreel.dataset.records import data_version
from actreel.dataset.splits import assign_splits
from actreel.errors import ModelError
from actreel.experiments.heldout import Inputs, Score, digest, prepare, results_folder
from actreel.experiments.nested import Settings, apply, flags, inner_scores, pooled
from actreel.experiments.space import Space, suggest
from actreel.tracking import runs

log = logging.getLogger(__name__)

Sampler = Literal["tpe", "nsga2"]
_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
_STARTUP_TRIALS = 8
"""Random trials before the sampler uses earlier ones; for NSGA-II, the size of a generation."""
_WARMUP_EPOCHS = 5
_DIVERGED_PARAMETERS = 2**31
"""The size that NSGA-II is given for a trial that diverged."""


@dataclass(frozen=True)
class Objective:
    """What a trial is scored on.

    Attributes:
        params: Those that the trials share.
        rows: Index rows of the splits `train` and `val`, and of no other.
        inputs: Stores of the clips.
        folds: Inner folds; None scores the validation clips.
        sampler: With `tpe`, trials can be pruned; with `nsga2`, the number of parameters is an objective too.
    """

    params: Params
    rows: pd.DataFrame
    inputs: Inputs
    folds: int | None
    sampler: Sampler

    def evaluate(self, trial: Trial, settings: Settings) -> tuple[float, ...] | None:
        """Trains and scores settings, in the open MLflow run.

        Returns:
            Balanced accuracy, and with `nsga2` the number of parameters; None if the trial was pruned.
        """
        single = self.sampler == "tpe"
        scores: list[Score] = []

        def report(step: int, value: float) -> None:
            if single:
                trial.report(value, step)
                if trial.should_prune():
                    raise optuna.TrialPruned

        def on_epoch(epoch: int, metrics: Mapping[str, float]) -> None:
            runs.log_epoch(epoch, metrics, prefix="" if self.folds is None else f"inner{len(scores) + 1}_")
            if self.folds is None:
                report(epoch, metrics["val_accuracy"])

        try:
            for score in inner_scores(apply(self.params, settings), self.rows, self.inputs, self.folds, on_epoch):
                scores.append(score)
                if self.folds is not None:
                    report(len(scores), pooled(scores).balanced_accuracy)
        except optuna.TrialPruned:
            return None
        except ModelError as error:  # training diverged, which is a result for these settings
            log.warning(f"trial {trial.number}: {error}")
            return (0.0,) if single else (0.0, _DIVERGED_PARAMETERS)
        inner = pooled(scores)
        trial.set_user_attr("log_loss", inner.log_loss)
        trial.set_user_attr("parameters", scores[0].parameters)
        runs.log_metrics({f"inner_{name}": value for name, value in asdict(inner).items()})
        return (inner.balanced_accuracy,) if single else (inner.balanced_accuracy, scores[0].parameters)


def tune(
    params: Params,
    trials: int,
    space: Space,
    sampler: Sampler = "tpe",
    folds: int | None = None,
    work: Path = CROSSVAL,
    sweeps: Path = SWEEPS,
    fresh: bool = False,
) -> dict[str, Any]:
    """Continues the sweep of these parameters until enough trials are finished, each a child of one MLflow run.

    Test clips are removed before the first trial. A trial is scored by balanced accuracy on the validation clips, or
    over inner folds of training and validation clips together; the median pruner stops trials that fall behind.
    NSGA-II looks for small heads too: it trades accuracy against trained parameters, and prunes nothing.

    Args:
        params: Those that the trials share; `split` says which clips no trial sees.
        trials: Number of finished trials, earlier calls included.
        space: The search space.
        sampler: `tpe`, or the evolutionary `nsga2`.
        folds: Inner folds; None takes the split's validation clips: one model a trial.
        work: As for cross-validation, and shared with it.
        sweeps: Folder for the sweeps.
        fresh: Whether to start a new sweep instead of continuing.

    Returns:
        `best`, the settings; `balanced_accuracy`, `log_loss` and `parameters` of their trial; `trials`, one dictionary
        each; `front`, the numbers of the trials that no other beats both in accuracy and in size; `finished`; `study`,
        the sqlite file; `run_id`.

    Raises:
        ActreelError: The parameters or the clips do not fit, or every trial diverged.
    """
    index, inputs = prepare(params, work, mirror="train.mirror" in space)
    index["split"] = assign_splits(index, params.split)
    # No trial can read the name of a test clip, let alone its frames.
    rows = index[index["split"].isin((TRAIN, VAL))]
    objective = Objective(params, rows, inputs, folds, sampler)
    described = {name: values.model_dump() for name, values in space.items()}
    key = [params.model_dump(by_alias=True), described, sampler, folds, data_version(rows)]
    kept = results_folder(sweeps, *key, fresh=fresh)
    file = kept / "study.db"
    name = f"{params.dataset.label} tune {params.model.encoder}"
    with (
        exclusive_lock(kept / "lock"),
        runs.parent_run(params, name, params.split.protocol, params.split.leaky, kept / "run") as run_id,
    ):
        study = _open_study(file, sampler, folds)
        while (done := len(study.get_trials(states=_FINISHED))) < trials:
            study.sampler = _sampler(sampler, params.train.seed, done)
            trial = study.ask()
            settings = {name: suggest(trial, name, values) for name, values in space.items()}
            with runs.child_run(f"trial {done + 1}", kept / f"trial-{done:03d}-{digest(settings)}.run"):
                runs.log_settings(settings)
                values = objective.evaluate(trial, settings)
                runs.log_metrics({"state": "complete" if values else "pruned"})
            study.tell(trial, values, None if values else TrialState.PRUNED)
            outcome = f"balanced accuracy {values[0]:.3f}" if values else "pruned"
            log.info(f"trial {done + 1} of {trials}: {outcome} with {' '.join(flags(settings))}")
        result = _summary(study)
        runs.log_metrics({key: result[key] for key in ("balanced_accuracy", "log_loss", "parameters")})
        runs.log_metrics({"best": " ".join(flags(result["best"]))})
    return {**result, "study": str(file), "run_id": run_id}


def _open_study(file: Path, sampler: Sampler, folds: int | None) -> optuna.Study:
    """Creates or continues the study; the caller holds the sweep's lock."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=f"sqlite:///{file}",
        study_name="tune",
        directions=["maximize"] if sampler == "tpe" else ["maximize", "minimize"],
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=_WARMUP_EPOCHS if folds is None else 0),
        load_if_exists=True,
    )
    for interrupted in study.get_trials(states=[TrialState.RUNNING]):
        study.tell(interrupted.number, state=TrialState.FAIL)  # its process is dead, since we have the lock
    return study


def _sampler(name: Sampler, seed: int, done: int) -> optuna.samplers.BaseSampler:
    """The sampler of the next trial: it depends on the finished trials only, not on interruptions."""
    state = int(np.random.SeedSequence([seed, done]).generate_state(1)[0])
    if name == "tpe":
        return optuna.samplers.TPESampler(n_startup_trials=_STARTUP_TRIALS, multivariate=True, seed=state)
    return optuna.samplers.NSGAIISampler(population_size=_STARTUP_TRIALS, seed=state)


def _summary(study: optuna.Study) -> dict[str, Any]:
    finished = study.get_trials(states=_FINISHED)
    complete = [trial for trial in finished if trial.state == TrialState.COMPLETE]
    best = max(complete, key=lambda trial: (trial.values[0], -trial.user_attrs.get("log_loss", math.inf)))
    if "log_loss" not in best.user_attrs:
        raise ModelError(f"All {len(complete)} trials diverged. Try a --space with a lower train.learning_rate.")
    numbers = {trial.number: number for number, trial in enumerate(finished, 1)}
    return {
        "best": best.params,
        "balanced_accuracy": best.values[0],
        "log_loss": best.user_attrs["log_loss"],
        "parameters": best.user_attrs["parameters"],
        "trials": [_row(numbers[trial.number], trial) for trial in finished],
        "front": [numbers[trial.number] for trial in study.best_trials],
        "finished": len(finished),
    }


def _row(number: int, trial: FrozenTrial) -> dict[str, Any]:
    return {
        "trial": number,
        "state": trial.state.name.lower(),
        "settings": trial.params,
        "balanced_accuracy": trial.values[0] if trial.state == TrialState.COMPLETE else None,
        "log_loss": trial.user_attrs.get("log_loss"),
        "parameters": trial.user_attrs.get("parameters"),
    }
