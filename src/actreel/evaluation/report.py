"""The evaluation of a model on held-out clips: its metrics, tables and plots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from actreel.base.faults import TRAIN_AGAIN, reading
from actreel.config import ModelParams
from actreel.dataset.store import Store, StoredClips
from actreel.errors import ModelError
from actreel.evaluation import metrics, plots, slices
from actreel.evaluation.cost import cost_of
from actreel.evaluation.intervals import balanced_interval, interval_over_groups
from actreel.evaluation.paired import compare_pair
from actreel.evaluation.rejection import Scored, accept_rate, compare_scores, scores_of, separation
from actreel.evaluation.saliency import explain_most_confident, has_gradients
from actreel.evaluation.served import MULTI_CLIPS, score, score_views
from actreel.inference.classifier import ActionClassifier, Scores
from actreel.inference.model_folder import ModelFolder
from actreel.inference.skeletons import draw_clip
from actreel.models import logits_of
from actreel.quiet_keras import keras
from actreel.training.calibration import sharpened
from actreel.training.onnx_files import num_parameters
from actreel.training.train import epoch_models


@dataclass(frozen=True)
class Evaluation:
    """A model and its scores on clips from groups that it was not trained on, with and without the order of frames.

    Attributes:
        test: Index rows of the N clips, with `clip`, `action`, `group`, `sha256` and the columns that slices need.
        targets: int64 (N,), their actions, as indices of the K labels.
        store: Their frames.
        inputs: What `model` takes: their features if the encoder is frozen, else their frames.
        videos: The folder that `clip` is relative to.
        folder: The model's.
        classifier: The model as the service runs it.
        network: The whole model in Keras; its head, if the encoder came as an ONNX file or the model takes a track.
        model: The part of it that was fitted.
        predict: From such a part and index rows to float32 (rows, outputs).
        probabilities: float32 (N, K), by the model in Keras.
        runner_up: float32 (N, K), by the other one of the network and its order-blind baseline; None if the network
            itself is order-blind.
        served: Scores by the classifier.
        parity: The largest difference between an ONNX network's probabilities and Keras's.
    """

    test: pd.DataFrame
    targets: NDArray[np.int64]
    store: StoredClips
    inputs: Store
    videos: Path
    folder: Path
    classifier: ActionClassifier
    network: keras.Model
    model: keras.Model
    predict: Callable[[keras.Model, pd.DataFrame], NDArray[np.float32]]
    probabilities: NDArray[np.float32]
    runner_up: NDArray[np.float32] | None
    served: Scores
    parity: float

    @property
    def labels(self) -> list[str]:
        """The K actions, in the order of the outputs."""
        return list(self.classifier.card.labels)

    @property
    def network_params(self) -> ModelParams:
        """What the model's network is.

        Raises:
            ModelError: An early version trained the model, which did not say.
        """
        network = self.classifier.card.network
        if network is None:
            raise ModelError(f"'{self.folder}' does not say which network it is: it is old. {TRAIN_AGAIN}")
        return network

    @property
    def ordered(self) -> NDArray[np.float32] | None:
        """float32 (N, K), by the network that sees the order of frames; None if there is none."""
        return self.probabilities if self.network_params.sees_order else self.runner_up

    @property
    def baseline(self) -> NDArray[np.float32]:
        """float32 (N, K), by the order-blind baseline."""
        if self.runner_up is None or not self.network_params.sees_order:
            return self.probabilities
        return self.runner_up

    @property
    def predicted(self) -> NDArray[np.int64]:
        """int64 (N,), the most likely actions."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def answers(self) -> list[str]:
        """The names of the N most likely actions."""
        return [self.labels[index] for index in self.predicted]

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Bool (N,), which clips are classified correctly."""
        return np.asarray(self.predicted == self.targets)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Bool (N,), which clips the classifier accepts as showing one of its actions."""
        limit = self.classifier.card.max_distance
        return np.asarray(self.served.distances <= (np.inf if limit is None else limit))

    @property
    def uncalibrated(self) -> NDArray[np.float32]:
        """float32 (N, K), the probabilities without the temperature."""
        return sharpened(self.probabilities, self.classifier.card.temperature)


def evaluate_rejection(evaluation: Evaluation, unknown: pd.DataFrame) -> tuple[pd.DataFrame, Mapping[str, float | int]]:
    """How well each score separates unknown clips from the test clips, and how well the classifier's limit does.

    Args:
        evaluation: Of the model on the test clips.
        unknown: Index rows of clips that show none of the actions.

    Returns:
        The table of `compare_scores`, and the metrics of rejection; without unknown clips, the table is empty and there
        is only the share of test clips that are accepted.
    """
    limit = evaluation.classifier.card.max_distance
    known_distances = evaluation.served.distances
    accepted = accept_rate("true_accept_rate", Scored(known_distances, evaluation.test["group"]), limit)
    if unknown.empty:
        return pd.DataFrame(columns=["score", "auroc", "tar_at_5_far"]), accepted
    logits, predict = logits_of(evaluation.model), evaluation.predict
    unknown_distances = score(evaluation.classifier, evaluation.inputs, unknown, evaluation.videos).distances
    table = compare_scores(
        scores_of(predict(logits, evaluation.test), known_distances),
        scores_of(predict(logits, unknown), unknown_distances),
    )
    others = Scored(unknown_distances, unknown["group"])
    return table, separation(table, others) | accepted | accept_rate("false_accept_rate", others, limit)


def metrics_of(
    evaluation: Evaluation,
    train_targets: NDArray[np.int64],
    rejection: Mapping[str, float | int],
    *,
    views: int,
    protocol: str,
) -> dict[str, Any]:
    """The metrics, by their names in reports/metrics.json.

    Args:
        evaluation: Of the model on the test clips.
        train_targets: int64, the actions of the training clips, as `Evaluation.targets`.
        rejection: The metrics of `evaluate_rejection`.
        views: Samplings of each clip; see `score_views`.
        protocol: As `split.protocol`.
    """
    test, targets, probabilities = evaluation.test, evaluation.targets, evaluation.probabilities
    sampled = np.sort(np.random.default_rng(0).permutation(len(test))[:MULTI_CLIPS])
    videos = [evaluation.videos / clip for clip in test["clip"].iloc[sampled]]
    averaged = score_views(evaluation.folder, videos, views, evaluation.served.probabilities[sampled])
    low, high = interval_over_groups(evaluation.correct, test["group"])
    fair_low, fair_high = balanced_interval(evaluation.correct, test["action"], test["group"])
    return {
        "accuracy": metrics.accuracy(probabilities, targets),
        "accuracy_low": low,
        "accuracy_high": high,
        "multi_clip_accuracy": metrics.accuracy(averaged, targets[sampled]),
        "num_multi_clips": len(sampled),
        "top5_accuracy": metrics.accuracy(probabilities, targets, k=5),
        **metrics.macro_scores(probabilities, targets),
        "balanced_accuracy": metrics.balanced_accuracy(test["action"].tolist(), evaluation.answers),
        "balanced_accuracy_low": fair_low,
        "balanced_accuracy_high": fair_high,
        "balanced_chance": 1 / test["action"].nunique(),
        "chance": metrics.chance(train_targets, targets),
        "mean_pool_accuracy": metrics.accuracy(evaluation.baseline, targets),
        **order_gain(evaluation),
        "calibration_error": metrics.calibration_error(probabilities, targets),
        "uncalibrated_error": metrics.calibration_error(evaluation.uncalibrated, targets),
        **rejection,
        "parameters": _parameters(evaluation),
        **cost_of(ModelFolder(evaluation.folder).onnx, *_inputs(evaluation, test["clip"][:1].tolist())),
        "protocol": protocol,
        "num_test_clips": len(test),
        "num_test_groups": int(test["group"].nunique()),
        "num_classes": len(evaluation.labels),
    }


def _parameters(evaluation: Evaluation) -> int:
    """Numbers in the weights of encoder and head."""
    encoder, file = evaluation.classifier.card.encoder, ModelFolder(evaluation.folder).encoder
    own = int(evaluation.network.count_params())
    if encoder is not None:
        return own + encoder.parameters
    return own if has_gradients(evaluation.network) or not file.exists() else own + num_parameters(onnx.load(file))


def _inputs(evaluation: Evaluation, clips: list[str]) -> list[NDArray[Any]]:
    """What `model.onnx` takes for these clips."""
    track = evaluation.classifier.card.track
    frames = [evaluation.store.take(clips)] if evaluation.classifier.sees_pictures else []
    return frames if track is None else [*frames, evaluation.store.tracks(clips, track)]


def order_gain(evaluation: Evaluation) -> dict[str, float]:
    """How much more accurate the network that sees the order of frames is than its order-blind baseline.

    Returns:
        `order_gain` and its 95 % interval for new groups, `order_gain_low` and `order_gain_high`; empty if the network
        was trained to ignore the order.
    """
    if evaluation.ordered is None:
        return {}
    blind, ordered = (
        scores.argmax(axis=1) == evaluation.targets for scores in (evaluation.baseline, evaluation.ordered)
    )
    pair = compare_pair(blind, ordered, evaluation.test["group"])
    return {"order_gain": pair.difference, "order_gain_low": pair.low, "order_gain_high": pair.high}


def tables_of(evaluation: Evaluation) -> dict[str, pd.DataFrame]:
    """The tables of the report, by name."""
    second, best = np.sort(evaluation.probabilities, axis=1)[:, -2:].T
    answers = evaluation.test[["clip", "sha256", "group"]].assign(
        actual=evaluation.test["action"],
        predicted=evaluation.answers,
        confidence=best,
        margin=best - second,
        distance=evaluation.served.distances,
        known=evaluation.known,
    )
    return {
        "per_class": metrics.per_class(
            evaluation.probabilities, evaluation.baseline, evaluation.targets, evaluation.labels
        ),
        "slices": slices.accuracy_by_slice(evaluation.test, evaluation.correct),
        "answers": answers,
    }


def plots_of(evaluation: Evaluation, confusions: Sequence[slices.Confusion]) -> dict[str, Figure]:
    """The plots of the report, by name; no `saliency` without gradients, and no `confused` without pictures."""
    store, clips, labels = evaluation.store, evaluation.test["clip"].tolist(), evaluation.labels
    confused = {}
    if store.has_pictures:
        rows = slices.sample_rows(confusions)
        confused = {"confused": plots.confused({heading: pictures_of(evaluation, clips[row]) for heading, row in rows})}
    explained = {}
    if has_gradients(evaluation.network):
        explained = explain_most_confident(
            evaluation.network, store, clips, labels, evaluation.probabilities, evaluation.correct
        )
    return {
        "confusion": plots.confusion(evaluation.targets, evaluation.predicted, labels),
        **confused,
        "reliability": plots.reliability(
            metrics.reliability(evaluation.uncalibrated, evaluation.targets),
            metrics.reliability(evaluation.probabilities, evaluation.targets),
        ),
        **({"saliency": plots.saliency(explained)} if explained else {}),
    }


def pictures_of(evaluation: Evaluation, clip: str) -> NDArray[np.uint8]:
    """A clip's frames, uint8 (T, h, w, 3); drawn as skeletons where the model sees landmarks only."""
    if evaluation.network_params.pixels_free:
        return draw_clip(evaluation.inputs.take([clip])[0], evaluation.inputs.spec)
    frames: NDArray[np.uint8] = evaluation.store.take([clip])[0]
    return frames


def learning_curve(evaluation: Evaluation, training: Path) -> tuple[pd.DataFrame, Figure]:
    """Loss and accuracy after each epoch, on the test clips too.

    Leaves `evaluation.model` with the weights of its last epoch.

    Args:
        evaluation: Of the model on the test clips.
        training: The folder with `curve.csv` and the weights of each epoch.
    """
    with reading(training / "curve.csv", TRAIN_AGAIN):
        curve = pd.read_csv(training / "curve.csv")
    accuracies = [
        metrics.accuracy(evaluation.predict(model, evaluation.test), evaluation.targets)
        for model in epoch_models(evaluation.model, training / "epochs")
    ]
    with reading(training / "curve.csv", TRAIN_AGAIN):  # a part of a table can be read, but has fewer epochs
        curve["test_accuracy"] = accuracies
    return curve, plots.learning_curves(curve, int(curve["epoch"].to_numpy()[curve["val_loss"].argmin()]))
