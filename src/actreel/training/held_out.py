"""What a model says of known clips that it was not fitted to: calibration and the rejection limit rest on it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from actreel.config import ModelParams, TrainParams
from actreel.dataset.layout import TRAIN, VAL
from actreel.models import embedding_of
from actreel.quiet_keras import keras
from actreel.training.data import TrainingData
from actreel.training.fitting import Fitting
from actreel.training.folds import Scored, hold_out_by_folds
from actreel.training.fusion import scales_of
from actreel.training.group_curve import COLUMNS, group_curve
from actreel.training.probes import pool
from actreel.training.rejection import EmbeddingStatistics, HeldOut, fit_statistics
from actreel.training.targets import targets_of
from actreel.training.train import epoch_models, predict


def hold_out(
    fitted: keras.Model,
    curve: pd.DataFrame,
    network: ModelParams,
    params: TrainParams,
    data: TrainingData,
    epochs: Path,
    scored: Scored,
) -> tuple[EmbeddingStatistics, HeldOut]:
    """Scores the clips that the model was not fitted to.

    For a network these are the validation clips; after `train.refit`, as they were scored before it. A probe was
    solved for all clips, so each is scored by the solution of the folds that hold its group out, with the same penalty.

    Args:
        fitted: As returned by `train`.
        curve: As returned by `train`.
        network: The network.
        params: The run.
        data: The clips.
        epochs: The weights after each epoch, as `train` wrote them.
        scored: As `train` filled it.

    Returns:
        The distribution of the clips that the model was fitted to, and the outputs for the others.
    """
    if network.is_probe and not params.fine_tune:
        every = pd.concat([data.rows[TRAIN], data.rows[VAL]], ignore_index=True)
        # A probe's embedding is its pooled features, whatever it was solved for.
        embeddings = predict(embedding_of(fitted), data.store, every, params.batch_size)
        return hold_out_by_folds(scored[network], embeddings, targets_of(every, data.labels), network.head)
    rows, every = data.rows, pd.concat([data.rows[TRAIN], data.rows[VAL]], ignore_index=True)
    before = fitted
    if params.refit:
        best = int(curve["val_loss"].argmin())
        before = next(model for epoch, model in enumerate(epoch_models(fitted, epochs)) if epoch == best)
    statistics = _statistics(before, rows[TRAIN], params, data)
    held_out = HeldOut(
        predict(before, data.store, rows[VAL], params.batch_size),
        statistics.distances(predict(embedding_of(before), data.store, rows[VAL], params.batch_size)),
        targets_of(rows[VAL], data.labels),
    )
    return (_statistics(fitted, every, params, data) if params.refit else statistics), held_out


def curve_over_groups(
    fitted: keras.Model, curve: pd.DataFrame, network: ModelParams, params: TrainParams, data: TrainingData
) -> pd.DataFrame:
    """How the accuracy grows with the number of groups; see `group_curve`. Empty unless the model is a solved probe."""
    if not network.is_probe or params.fine_tune:
        return pd.DataFrame(columns=COLUMNS)
    rows = pd.concat([data.rows[TRAIN], data.rows[VAL]], ignore_index=True)
    fitting = Fitting(data.store, rows, None, data.labels, scales_of(network, data.store))
    clips = pool(fitted, network.head, params, fitting)
    return group_curve(clips, clips.solver.PATH[int(curve["val_loss"].argmin())], params.seed)


def _statistics(model: keras.Model, rows: pd.DataFrame, params: TrainParams, data: TrainingData) -> EmbeddingStatistics:
    embeddings = predict(embedding_of(model), data.store, rows, params.batch_size)
    return fit_statistics(embeddings, targets_of(rows, data.labels))
