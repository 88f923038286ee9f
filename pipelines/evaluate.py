"""evaluate: artifacts/model on held-out groups ▸ reports/, and the champion in MLflow's registry."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from actreel.base.console import exit_cleanly
from actreel.base.faults import TRAIN_AGAIN, reading
from actreel.base.kept import share
from actreel.base.kept_warnings import kept_warnings
from actreel.base.places import (
    CANDIDATES,
    CHOSEN,
    CLIPS,
    FEATURES,
    GROUP_CURVE,
    INDEX,
    METRICS,
    MODEL,
    PLOTS,
    REPORTS,
    RUNNER_UP,
    TRAINING,
    UNKNOWN,
    VERDICT,
    VIDEOS,
    WARNINGS,
)
from actreel.config import Params, load_params
from actreel.dataset.layout import TEST, TRAIN
from actreel.dataset.records import clips_of, read_index
from actreel.dataset.store import StoredClips
from actreel.evaluation.advice import what_to_try
from actreel.evaluation.model_card import Facts, write_model_card
from actreel.evaluation.moving_skeletons import choose_clips, write_moving_skeletons
from actreel.evaluation.paired import order_sentence
from actreel.evaluation.promotion import contest, models_judged
from actreel.evaluation.report import Evaluation, evaluate_rejection, learning_curve, metrics_of, plots_of, tables_of
from actreel.evaluation.served import check_parity, score
from actreel.evaluation.slices import most_confused
from actreel.inference.classifier import ActionClassifier
from actreel.inference.model_folder import MODEL_CARD_FILE, ModelFolder
from actreel.quiet_keras import keras
from actreel.tracking import runs
from actreel.training.train import curve_folder, fitted_part, load_keras, predict, targets_of
from actreel.training.variants import open_chosen

log = logging.getLogger(__name__)


def main() -> None:
    """Evaluates the model on groups it was not trained on, and compares it with the champion."""
    params = load_params()
    share(CHOSEN)
    index = read_index(INDEX)
    evaluation = evaluate(params, clips_of(index, TEST))

    rejection, rejection_metrics = evaluate_rejection(evaluation, clips_of(index, UNKNOWN))
    train = clips_of(index, TRAIN)
    train_targets = targets_of(train, evaluation.labels)
    metrics = metrics_of(
        evaluation, train_targets, rejection_metrics, views=params.evaluate.views, protocol=params.split.protocol
    )
    confusions = list(most_confused(evaluation.probabilities, evaluation.targets, evaluation.labels))
    tables = {**tables_of(evaluation), "rejection": rejection}
    plots = plots_of(evaluation, confusions)
    network = evaluation.network_params
    tables["curve"], plots["curves"] = learning_curve(evaluation, curve_folder(TRAINING, network))

    write_reports(metrics, tables, plots)
    skeletons = draw_skeletons(evaluation)
    card = evaluation.classifier.card
    facts = Facts(
        card, network, params.dataset.name, metrics, tables["per_class"], tables["slices"], confusions,
        models_judged(evaluation), table_of(CANDIDATES), table_of(GROUP_CURVE), evaluation.store.has_pictures,
        skeletons,
    )  # fmt: skip
    write_model_card(facts, REPORTS, [warning.text for warning in kept_warnings(*WARNINGS)])
    log_results(metrics, tables)

    with runs.reopened_run(card.provenance.run_id):
        runs.log_metrics(metrics | {"onnx_parity": evaluation.parity, "temperature": card.temperature})
        for report in (METRICS, *REPORTS.glob("model_card.*"), *(REPORTS / f"{name}.csv" for name in tables)):
            runs.log_file(report, "reports")
        runs.log_folder(PLOTS, "reports/figures")
        advice = what_to_try(train, evaluation.test, confusions, network, params.dataset)
        decision = contest(evaluation, metrics, params, REPORTS / MODEL_CARD_FILE, advice)
        runs.log_decision(decision | {"order": order_sentence(metrics)})
    VERDICT.write_text(json.dumps(decision, indent=2) + "\n", encoding="utf-8")
    log.info(f"{'new champion' if decision['promoted'] else 'not champion'}: {decision['reason']}")


def evaluate(params: Params, test: pd.DataFrame) -> Evaluation:
    """Scores the test clips with the model, in Keras and as the service runs it, and with the runner-up.

    Raises:
        ModelError: ONNX and Keras give different probabilities, or an early version trained the model.
    """
    inputs = open_chosen(CLIPS, FEATURES, CHOSEN)
    store = StoredClips(CLIPS).sampled_as(inputs.spec)
    classifier = ActionClassifier.load(MODEL)

    def predict_rows(model: keras.Model, rows: pd.DataFrame) -> NDArray[np.float32]:
        return predict(model, inputs, rows, params.evaluate.batch_size)

    network = load_keras(ModelFolder(MODEL).keras)
    model = fitted_part(network, inputs)
    probabilities = predict_rows(model, test)
    other = ModelFolder(RUNNER_UP).keras
    served = score(classifier, inputs, test, VIDEOS)
    parity = check_parity(
        MODEL, store, test, VIDEOS,
        served=served.probabilities, expected=probabilities, tolerance=params.evaluate.parity_tolerance,
    )  # fmt: skip
    return Evaluation(
        test=test,
        targets=targets_of(test, list(classifier.card.labels)),
        store=store,
        inputs=inputs,
        videos=VIDEOS,
        folder=MODEL,
        classifier=classifier,
        network=network,
        model=model,
        predict=predict_rows,
        probabilities=probabilities,
        runner_up=predict_rows(fitted_part(load_keras(other), inputs), test) if other.exists() else None,
        served=served,
        parity=parity,
    )


def table_of(file: Path) -> pd.DataFrame:
    """Reads a table that the stage train wrote.

    Raises:
        FileError: The file is missing or damaged.
    """
    with reading(file, TRAIN_AGAIN):
        return pd.read_csv(file)


def write_reports(metrics: dict[str, Any], tables: dict[str, pd.DataFrame], plots: dict[str, Figure]) -> None:
    """Writes the metrics as JSON, each table as CSV and each plot as PNG."""
    PLOTS.mkdir(parents=True, exist_ok=True)
    METRICS.write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    for name, table in tables.items():
        table.to_csv(REPORTS / f"{name}.csv", index=False)
    for name, plot in plots.items():
        plot.savefig(PLOTS / f"{name}.png")


def draw_skeletons(evaluation: Evaluation) -> list[str]:
    """Draws test clips of a model of landmarks as a picture that moves; the actions in it, none for other models."""
    if not evaluation.network_params.pixels_free:
        return []
    clips = choose_clips(evaluation.test)
    clip_s = evaluation.classifier.card.clip_duration_s or float(evaluation.test["duration_s"].median())
    write_moving_skeletons(evaluation.inputs, list(clips.values()), clip_s, PLOTS / "skeletons.png")
    return list(clips)


def log_results(metrics: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> None:
    """Logs the metrics, the table by action and the lowest slices."""
    log.info(f"by action\n{tables['per_class'].round(3).to_string(index=False)}")
    log.info(f"lowest slices\n{tables['slices'].head().round(3).to_string(index=False)}")
    log.info("\n".join(["metrics", *(f"{name}: {value}" for name, value in metrics.items())]))
    log.info(order_sentence(metrics))


if __name__ == "__main__":
    exit_cleanly(main, __doc__)
