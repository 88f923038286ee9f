"""From a fitted network to a model folder: calibration, rejection limit, Keras and ONNX files, classifier.json."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actreel.config import ModelParams, TrainParams
from actreel.dataset.layout import TRAIN, VAL
from actreel.dataset.records import usable
from actreel.dataset.splits import split_unknown
from actreel.dataset.store import Store
from actreel.inference.classifier import ClassifierCard, Provenance
from actreel.inference.model_folder import ModelFolder
from actreel.inference.windows import window_length
from actreel.models import embedding_of, export_onnx, export_parts, with_distance
from actreel.quiet_keras import keras
from actreel.training.calibration import fit_temperature
from actreel.training.rejection import EmbeddingStatistics, distance_limit, fit_statistics
from actreel.training.train import apply_temperature, complete, predict, targets_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingData:
    """What a model is trained on.

    Attributes:
        index: The whole index, with splits.
        rows: Index rows of the splits `train` and `val`.
        labels: The K actions, in the order of the model's outputs.
        store: The clips' frames, or their features if the encoder is frozen.
    """

    index: pd.DataFrame
    rows: Mapping[str, pd.DataFrame]
    labels: list[str]
    store: Store


@dataclass(frozen=True)
class Rejection:
    """What decides whether a clip shows any of the actions.

    Attributes:
        statistics: The distribution of the training clips' embeddings.
        max_distance: The largest distance that counts as known; None accepts every clip.
    """

    statistics: EmbeddingStatistics
    max_distance: float | None


def calibrate(fitted: keras.Model, params: TrainParams, data: TrainingData) -> float:
    """Fits a temperature on the validation clips and divides the model's logits by it.

    A refitted model was trained on those clips, so it stays as it is.

    Returns:
        The temperature; 1 for a refitted model.
    """
    if params.refit:
        return 1.0
    val = data.rows[VAL]
    temperature = fit_temperature(predict(fitted, data.store, val, params.batch_size), targets_of(val, data.labels))
    apply_temperature(fitted, temperature)
    return temperature


def fit_rejection(fitted: keras.Model, params: TrainParams, data: TrainingData) -> Rejection:
    """Fits the statistics of the training clips, and sets the rejection limit with clips of none of the actions."""
    embedding = embedding_of(fitted)

    def embed(rows: pd.DataFrame) -> NDArray[np.float32]:
        return predict(embedding, data.store, rows, params.batch_size)

    statistics = fit_statistics(embed(data.rows[TRAIN]), targets_of(data.rows[TRAIN], data.labels))
    unknown, _ = split_unknown(data.index)
    if unknown.empty:
        log.info(
            "There are no clips of other actions, so this model cannot reject any: every video gets one of its "
            "actions. Add a folder _unknown of other videos, or name actions to leave out in split.unknown."
        )
        return Rejection(statistics, None)
    limit = distance_limit(statistics.distances(embed(unknown)), params.false_accept_rate)
    if not params.refit:
        accepted = (statistics.distances(embed(data.rows[VAL])) <= limit).mean()
        log.info(
            f"The rejection limit, set on {len(unknown)} unknown clips, accepts {accepted:.0%} of the validation "
            "clips. If that is too few, add unknown clips or raise train.false_accept_rate."
        )
    return Rejection(statistics, limit)


def export_model(
    fitted: keras.Model, model_params: ModelParams, rejection: Rejection, data: TrainingData, folder: ModelFolder
) -> keras.Model:
    """Writes the network, for Keras and as ONNX, and the clips that it was trained or tuned on.

    Returns:
        The whole network, from frames to probabilities.
    """
    folder.path.mkdir(parents=True, exist_ok=True)
    model = complete(model_params, data.store.spec, fitted)
    model.save(folder.keras)
    statistics = rejection.statistics
    with_distances = with_distance(model, statistics.whitening, statistics.offset, statistics.centres)
    export_onnx(with_distances, folder.onnx)
    export_parts(with_distances, folder.encoder, folder.head)
    # A later candidate is compared with this model on clips that neither was trained on.
    seen = sorted({digest for rows in data.rows.values() for digest in rows["sha256"]})
    folder.seen_clips.write_text("\n".join(seen) + "\n", encoding="utf-8")
    return model


def write_manifest(
    data: TrainingData,
    rejection: Rejection,
    temperature: float,
    network: ModelParams,
    provenance: Provenance,
    folder: ModelFolder,
) -> None:
    """Writes classifier.json, with all that a prediction needs apart from the weights."""
    ClassifierCard(
        labels=tuple(data.labels),
        clip=data.store.spec,
        max_distance=rejection.max_distance,
        temperature=temperature,
        network=network,
        clip_duration_s=window_length(usable(data.index)["duration_s"].tolist()),
        provenance=provenance,
    ).save(folder.path)
