"""The exam: what a model's answers on held-out clips are worth, as figures, tables and pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from actreel.dataset.store import StoredClips
from actreel.evaluation import metrics, plots, slices
from actreel.evaluation.cost import cost_of
from actreel.evaluation.rejection import compare_scores, rejection_scores, scores_of
from actreel.evaluation.saliency import explain_surest
from actreel.evaluation.served import score, score_views
from actreel.inference.classifier import ActionClassifier, Scores
from actreel.inference.model_folder import ModelFolder
from actreel.models import logits_of
from actreel.training.calibration import sharpened
from actreel.training.train import epoch_models


@dataclass(frozen=True)
class Exam:
    """What the model, and its baseline, say of clips from groups that they have never seen.

    Attributes:
        test: Index rows of the N clips, with `clip`, `action`, `group`, `sha256` and what slices are made by.
        targets: int64 (N,), their actions, as places among the K labels.
        store: Their frames.
        videos: The folder that `clip` is relative to.
        folder: The model's.
        classifier: The model as it is served.
        network: The model in Keras, whole.
        model: The part of it that was fitted.
        ask: Takes a part like that and index rows; gives float32 (rows, outputs).
        probabilities: float32 (N, K), the model's in Keras.
        blind: float32 (N, K), the order-blind baseline's.
        served: The classifier's scores.
        parity: The largest difference between an ONNX network's probabilities and Keras's.
    """

    test: pd.DataFrame
    targets: NDArray[np.int64]
    store: StoredClips
    videos: Path
    folder: Path
    classifier: ActionClassifier
    network: Any
    model: Any
    ask: Callable[[Any, pd.DataFrame], NDArray[np.float32]]
    probabilities: NDArray[np.float32]
    blind: NDArray[np.float32]
    served: Scores
    parity: float

    @property
    def labels(self) -> list[str]:
        """The K actions, in the order of the outputs."""
        return list(self.classifier.card.labels)

    @property
    def answers(self) -> NDArray[np.int64]:
        """int64 (N,), the surest actions."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which clips are answered right: bool (N,)."""
        return np.asarray(self.answers == self.targets)

    @property
    def uncalibrated(self) -> NDArray[np.float32]:
        """float32 (N, K): the probabilities without the temperature."""
        return sharpened(self.probabilities, self.classifier.card.temperature)


def judge_rejection(exam: Exam, unknown: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, float | int]]:
    """How well clips of no known action are told from the test clips, by each score, and at the classifier's limit.

    Args:
        exam: The answers.
        unknown: Index rows of such clips, which nothing was set on.

    Returns:
        As `compare_scores` and `rejection_scores` give them; both empty if there are no such clips.
    """
    if unknown.empty:
        return pd.DataFrame(columns=["score", "auroc", "tar_at_5_far"]), {}
    logits = logits_of(exam.model)
    known, strange = exam.served.distances, score(exam.classifier, exam.store, unknown, exam.videos).distances
    table = compare_scores(scores_of(exam.ask(logits, exam.test), known), scores_of(exam.ask(logits, unknown), strange))
    return table, rejection_scores(table, known, strange, exam.classifier.card.max_distance)


def figures_of_merit(
    exam: Exam, learned: NDArray[np.int64], rejected: Mapping[str, float | int], *, views: int, protocol: str
) -> dict[str, Any]:
    """The figures of the report, by the names that reports/metrics.json has for them.

    Args:
        exam: The answers.
        learned: int64, the actions of the training clips, as `Exam.targets`.
        rejected: The figures of rejection.
        views: Samplings of each clip; see `score_views`.
        protocol: As `split.protocol`.
    """
    test, targets, probabilities = exam.test, exam.targets, exam.probabilities
    averaged = score_views(exam.folder, [exam.videos / clip for clip in test["clip"]], views)
    low, high = metrics.interval_over_groups(exam.right, test["group"].to_numpy(str))
    return {
        "accuracy": metrics.accuracy(probabilities, targets),
        "accuracy_low": low,
        "accuracy_high": high,
        "multi_clip_accuracy": metrics.accuracy(averaged, targets),
        "top5_accuracy": metrics.accuracy(probabilities, targets, k=5),
        **metrics.macro_scores(probabilities, targets),
        "chance": metrics.chance(learned, targets),
        "mean_pool_accuracy": metrics.accuracy(exam.blind, targets),
        "calibration_error": metrics.calibration_error(probabilities, targets),
        "uncalibrated_error": metrics.calibration_error(exam.uncalibrated, targets),
        **rejected,
        "parameters": int(exam.network.count_params()),
        **cost_of(ModelFolder(exam.folder).onnx, exam.store.take(test["clip"][:1].tolist())),
        "protocol": protocol,
        "num_test_clips": len(test),
        "num_test_groups": int(test["group"].nunique()),
        "num_classes": len(exam.labels),
    }


def tables_of(exam: Exam) -> dict[str, pd.DataFrame]:
    """The tables of the report by name."""
    answers = exam.test[["clip", "sha256", "group"]].assign(
        actual=exam.test["action"],
        predicted=[exam.labels[place] for place in exam.answers],
        confidence=exam.probabilities.max(axis=1),
    )
    return {
        "per_class": metrics.per_class(exam.probabilities, exam.blind, exam.targets, exam.labels),
        "slices": slices.accuracy_by_slice(exam.test, exam.right),
        "answers": answers,
    }


def pictures_of(exam: Exam, confusions: Sequence[slices.Confusion]) -> dict[str, Figure]:
    """The pictures of the report by name."""
    clips = exam.test["clip"].tolist()
    confused = {heading: exam.store.take([clips[row]])[0] for heading, row in slices.sample_rows(confusions)}
    explained = explain_surest(exam.network, exam.store, clips, exam.labels, exam.probabilities, exam.right)
    return {
        "confusion": plots.confusion(exam.targets, exam.answers, exam.labels),
        "confused": plots.confused(confused),
        "reliability": plots.reliability(
            metrics.reliability(exam.uncalibrated, exam.targets),
            metrics.reliability(exam.probabilities, exam.targets),
        ),
        "saliency": plots.saliency(explained),
    }


def learning_curve(exam: Exam, training: Path) -> tuple[pd.DataFrame, Figure]:
    """How the model learned, and what it was worth on the test clips after each epoch.

    The model is left with the weights of its last epoch.

    Args:
        exam: The answers.
        training: Holds `curve.csv` and the weights of each epoch.
    """
    curve = pd.read_csv(training / "curve.csv")
    curve["test_accuracy"] = [
        metrics.accuracy(exam.ask(then, exam.test), exam.targets)
        for then in epoch_models(exam.model, training / "epochs")
    ]
    return curve, plots.learning_curves(curve, int(curve["epoch"].to_numpy()[curve["val_loss"].argmin()]))
