"""Search over the settings of the head and its training, by Optuna, on clips that are not to be tested on.

A sweep lives in an sqlite file. Killed at any point and started again, it proposes again the trial that it was at and
goes on: the sampler is seeded by the number of trials that are finished.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
from optuna.trial import FrozenTrial, Trial, TrialState
from pydantic import Field, TypeAdapter, ValidationError

from actreel.config import CLIP_HEADS, FRAME_HEADS, Params, Section
from actreel.dataset.lock import exclusive_lock
from actreel.dataset.records import TRAIN, VAL, data_version
from actreel.dataset.splits import assign_splits
from actreel.errors import ConfigError, ModelError
from actreel.experiments.heldout import Score, digest, prepare
from actreel.experiments.nested import Settings, apply, flags, inner_scores, pooled, read_yaml
from actreel.places import CROSSVAL, SWEEPS
from actreel.tracking import runs

log = logging.getLogger(__name__)

Sampler = Literal["tpe", "nsga2"]
_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
_STARTUP_TRIALS = 8
"""Drawn at random before the sampler learns from them; for NSGA-II, a generation."""
_WARMUP_EPOCHS = 5
_MOST_PARAMETERS = 2**31
"""Stands for the size of what diverged."""


class Choices(Section):
    """One of these values."""

    choices: tuple[bool | int | float | str, ...] = Field(min_length=1)


class Range(Section):
    """A number between `low` and `high`, both included: whole if both are; `log` searches over its logarithm."""

    low: int | float
    high: int | float
    log: bool = False


Space = Mapping[str, Choices | Range]
"""What is searched, by `section.key`."""


def default_space(params: Params) -> Space:
    """The heads that fit the encoder, and what their training depends on."""
    heads = CLIP_HEADS if params.model.encoder == "pixels" else FRAME_HEADS
    return {
        "model.head": Choices(choices=heads),
        "model.motion": Choices(choices=("none", "difference")),
        "model.units": Choices(choices=(16, 32, 64, 128)),
        "model.dropout": Range(low=0.0, high=0.6),
        "train.learning_rate": Range(low=3e-4, high=1e-2, log=True),
        "train.batch_size": Choices(choices=(4, 8, 16, 32)),
        "train.mirror": Choices(choices=(False, True)),
        "train.balance": Choices(choices=(False, True)),
    }


def read_space(file: Path, params: Params) -> Space:
    """Reads a space from YAML: `section.key: {choices: […]}` or `section.key: {low: …, high: …, log: true}`.

    Raises:
        ConfigError: The file cannot be read, or a setting is unknown, out of range or nothing to choose.
    """
    try:
        space = TypeAdapter(dict[str, Choices | Range]).validate_python(read_yaml(file))
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"][:1])) or "no mapping"
        raise ConfigError(
            f"{file} must map each section.key to {{choices: [...]}} or {{low: ..., high: ..., log: true}}. "
            f"Received: {where}: {error.errors()[0]['msg']}"
        ) from error
    for name, values in space.items():
        if isinstance(values, Range) and not (values.low < values.high and (values.low > 0 or not values.log)):
            raise ConfigError(
                f"{file}: '{name}' must have low below high, and both above 0 with log. Received: {values}"
            )
        for value in values.choices if isinstance(values, Choices) else (values.low, values.high):
            apply(params, {name: value})
    if not space:
        raise ConfigError(
            f"{file} must name a setting at least. Received: none. Try: model.units: {{choices: [16, 32]}}"
        )
    return space


def tune(
    params: Params,
    trials: int,
    space: Space,
    sampler: Sampler = "tpe",
    folds: int | None = None,
    work: Path = CROSSVAL,
    sweeps: Path = SWEEPS,
) -> dict[str, Any]:
    """Goes on with the sweep of these parameters until so many trials are finished, each a child of one MLflow run.

    The clips that the split tests are taken away before the first trial. A trial is worth its balanced accuracy on the
    validation clips, or over inner folds of training and validation clips together; the median pruner stops what falls
    behind. NSGA-II looks for small heads too: it weighs accuracy against trained parameters, and prunes nothing.

    Args:
        params: What trials share; `split` says which clips no trial may see.
        trials: Finished ones, of this call and earlier ones.
        space: What is searched.
        sampler: `tpe`, or the evolutionary `nsga2`.
        folds: Inner folds; None takes the split's validation clips: one model a trial.
        work: As for cross-validation, and shared with it.
        sweeps: Folder for the sweeps.

    Returns:
        `best`, the settings; `balanced_accuracy`, `log_loss` and `parameters` of the trial that they are from;
        `trials`, one dictionary each; `front`, numbers of the trials that none beats both in accuracy and in size;
        `finished`; `study`, the sqlite file; `run_id`.

    Raises:
        ActreelError: The parameters or the clips do not fit.
    """
    mirror = "train.mirror" in space
    index, inputs = prepare(params, work, mirror=mirror)
    index["split"] = assign_splits(index, params.split)
    # No trial can read, or so much as name, a clip outside these two splits.
    rows = index[index["split"].isin((TRAIN, VAL))]
    described = {name: values.model_dump() for name, values in space.items()}
    kept = sweeps / digest(params.model_dump(by_alias=True), described, sampler, folds, data_version(rows))
    file = kept / "study.db"

    def judge(trial: Trial, settings: Settings) -> tuple[float, ...] | None:
        """What the settings are worth, in the study's directions; None if they fall behind the others."""
        scores: list[Score] = []

        def report(step: int, value: float) -> None:
            if sampler == "tpe":
                trial.report(value, step)
                if trial.should_prune():
                    raise optuna.TrialPruned

        def on_epoch(epoch: int, metrics: Mapping[str, float]) -> None:
            runs.log_epoch(epoch, metrics, prefix="" if folds is None else f"inner{len(scores) + 1}_")
            if folds is None:
                report(epoch, metrics["val_accuracy"])

        try:
            for score in inner_scores(apply(params, settings), rows, inputs, folds, on_epoch):
                scores.append(score)
                if folds is not None:
                    report(len(scores), pooled(scores).balanced_accuracy)
        except optuna.TrialPruned:
            return None
        except ModelError as error:  # it diverged, which says enough about these settings
            log.warning(f"trial {trial.number}: {error}")
            return (0.0,) if sampler == "tpe" else (0.0, _MOST_PARAMETERS)
        inner = pooled(scores)
        trial.set_user_attr("log_loss", inner.log_loss)
        trial.set_user_attr("parameters", scores[0].parameters)
        runs.log_metrics({f"inner_{name}": value for name, value in asdict(inner).items()})
        return (inner.balanced_accuracy,) if sampler == "tpe" else (inner.balanced_accuracy, scores[0].parameters)

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    name = f"{params.dataset.label} tune {params.model.encoder}"
    with (
        exclusive_lock(kept / "lock"),
        runs.parent_run(params, name, params.split.protocol, params.split.leaky, kept / "run") as run_id,
    ):
        study = optuna.create_study(
            storage=f"sqlite:///{file}",
            study_name="tune",
            directions=["maximize"] if sampler == "tpe" else ["maximize", "minimize"],
            pruner=optuna.pruners.MedianPruner(
                n_startup_trials=5, n_warmup_steps=_WARMUP_EPOCHS if folds is None else 0
            ),
            load_if_exists=True,
        )
        for left in study.get_trials(states=[TrialState.RUNNING]):
            study.tell(left.number, state=TrialState.FAIL)  # we hold the lock: whoever ran it is dead
        while (done := len(study.get_trials(states=_FINISHED))) < trials:
            study.sampler = _sampler(sampler, params.train.seed, done)
            trial = study.ask()
            settings = {name: _suggest(trial, name, values) for name, values in space.items()}
            with runs.child_run(f"trial {done + 1}", kept / f"trial-{done:03d}-{digest(settings)}.run"):
                runs.log_settings(settings)
                worth = judge(trial, settings)
                runs.log_metrics({"state": "complete" if worth else "pruned"})
            study.tell(trial, worth, None if worth else TrialState.PRUNED)
            told = f"balanced accuracy {worth[0]:.3f}" if worth else "pruned"
            log.warning(f"trial {done + 1} of {trials}: {told} with {' '.join(flags(settings))}")
        result = _summary(study)
        runs.log_metrics({key: result[key] for key in ("balanced_accuracy", "log_loss", "parameters")})
        runs.log_metrics({"best": " ".join(flags(result["best"]))})
    return {**result, "study": str(file), "run_id": run_id}


def _suggest(trial: Trial, name: str, values: Choices | Range) -> Any:
    if isinstance(values, Choices):
        return trial.suggest_categorical(name, values.choices)
    if isinstance(values.low, int) and isinstance(values.high, int):
        return trial.suggest_int(name, values.low, values.high, log=values.log)
    return trial.suggest_float(name, values.low, values.high, log=values.log)


def _sampler(name: Sampler, seed: int, done: int) -> optuna.samplers.BaseSampler:
    """The sampler of the next trial: the same for the same trials before it, whether or not a kill lies between."""
    state = int(np.random.SeedSequence([seed, done]).generate_state(1)[0])
    if name == "tpe":
        return optuna.samplers.TPESampler(n_startup_trials=_STARTUP_TRIALS, multivariate=True, seed=state)
    return optuna.samplers.NSGAIISampler(population_size=_STARTUP_TRIALS, seed=state)


def _summary(study: optuna.Study) -> dict[str, Any]:
    finished = study.get_trials(states=_FINISHED)
    complete = [trial for trial in finished if trial.state == TrialState.COMPLETE]
    best = max(complete, key=lambda trial: (trial.values[0], -trial.user_attrs.get("log_loss", math.inf)))
    if "log_loss" not in best.user_attrs:
        raise ModelError(
            f"a trial at least must train to its end. Received: {len(complete)} that diverged. "
            "Try a --space with a lower train.learning_rate."
        )
    places = {trial.number: place for place, trial in enumerate(finished, 1)}
    return {
        "best": best.params,
        "balanced_accuracy": best.values[0],
        "log_loss": best.user_attrs["log_loss"],
        "parameters": best.user_attrs["parameters"],
        "trials": [_row(places[trial.number], trial) for trial in finished],
        "front": [places[trial.number] for trial in study.best_trials],
        "finished": len(finished),
    }


def _row(place: int, trial: FrozenTrial) -> dict[str, Any]:
    return {
        "trial": place,
        "state": trial.state.name.lower(),
        "settings": trial.params,
        "balanced_accuracy": trial.values[0] if trial.state == TrialState.COMPLETE else None,
        "log_loss": trial.user_attrs.get("log_loss"),
        "parameters": trial.user_attrs.get("parameters"),
    }
