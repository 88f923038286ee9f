"""evaluate: artifacts/model on held-out groups ▸ reports/, and the champion in MLflow's registry."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from actreel.config import Params, load_params
from actreel.console import exit_cleanly
from actreel.dataset.records import TEST, TRAIN, clips_of, read_index
from actreel.dataset.splits import split_unknown
from actreel.dataset.store import StoredClips
from actreel.evaluation import metrics, slices
from actreel.evaluation.model_card import Facts, write_card
from actreel.evaluation.report import Exam, figures_of_merit, judge_rejection, learning_curve, pictures_of, tables_of
from actreel.evaluation.served import check_parity, score
from actreel.inference.classifier import ActionClassifier
from actreel.inference.model_folder import MODEL_CARD_FILE, ModelFolder
from actreel.places import BASELINE, CLIPS, FEATURES, INDEX, METRICS, MODEL, REPORTS, TRAINING, VERDICT, VIDEOS
from actreel.quiet_keras import keras
from actreel.tracking import registry, runs
from actreel.training.features import open_inputs
from actreel.training.train import fitted_part, predict, targets_of


def main() -> None:
    """Scores the model on groups it has never seen, next to chance, its baseline and the champion."""
    params = load_params()
    index = read_index(INDEX)
    exam = examine(params, clips_of(index, TEST))
    rejection, rejected = judge_rejection(exam, split_unknown(index)[1])
    learned = targets_of(clips_of(index, TRAIN), exam.labels)
    scores = figures_of_merit(exam, learned, rejected, views=params.evaluate.views, protocol=params.split.protocol)
    confusions = list(slices.most_confused(exam.probabilities, exam.targets, exam.labels))
    tables = {**tables_of(exam), "rejection": rejection}
    pictures = pictures_of(exam, confusions)
    # Last, as it gives the network the weights of other epochs.
    tables["curve"], pictures["curves"] = learning_curve(exam, TRAINING)
    write_reports(scores, tables, pictures)
    card = exam.classifier.card
    facts = Facts(card, params.model, params.dataset.name, scores, tables["per_class"], tables["slices"], confusions)
    write_card(facts, REPORTS)
    print_reports(scores, tables)
    verdict = log_reports(exam, scores, list(tables), params)
    VERDICT.write_text(json.dumps(verdict, indent=2) + "\n", encoding="utf-8")
    print(f"\n{'new champion' if verdict['promoted'] else 'not champion'}: {verdict['reason']}")


def examine(params: Params, test: pd.DataFrame) -> Exam:
    """Asks the model, in Keras and as it is served, and its order-blind baseline about the test clips.

    Raises:
        ModelError: ONNX does not give what Keras gives.
    """
    store, inputs = StoredClips(CLIPS), open_inputs(CLIPS, FEATURES)
    classifier = ActionClassifier.load(MODEL)

    def ask(model: Any, rows: pd.DataFrame) -> NDArray[np.float32]:
        return predict(model, inputs, rows, params.evaluate.batch_size)

    network = keras.models.load_model(ModelFolder(MODEL).keras)
    baseline = keras.models.load_model(ModelFolder(BASELINE).keras)
    model = fitted_part(network, inputs)
    probabilities = ask(model, test)
    served = score(classifier, store, test, VIDEOS)
    parity = check_parity(
        MODEL, store, test, VIDEOS,
        served=served.probabilities, expected=probabilities, tolerance=params.evaluate.parity_tolerance,
    )  # fmt: skip
    return Exam(
        test=test,
        targets=targets_of(test, list(classifier.card.labels)),
        store=store,
        videos=VIDEOS,
        folder=MODEL,
        classifier=classifier,
        network=network,
        model=model,
        ask=ask,
        probabilities=probabilities,
        blind=ask(fitted_part(baseline, inputs), test),
        served=served,
        parity=parity,
    )


def write_reports(scores: dict[str, Any], tables: dict[str, pd.DataFrame], pictures: dict[str, Figure]) -> None:
    """reports/: the figures of merit as JSON, each table as CSV, each picture as PNG."""
    (REPORTS / "figures").mkdir(parents=True, exist_ok=True)
    METRICS.write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")
    for name, table in tables.items():
        table.to_csv(REPORTS / f"{name}.csv", index=False)
    for name, picture in pictures.items():
        picture.savefig(REPORTS / "figures" / f"{name}.png")


def print_reports(scores: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> None:
    """What is worth seeing at once."""
    print(tables["per_class"].round(3).to_string(index=False))
    print(f"\nlowest slices\n{tables['slices'].head().round(3).to_string(index=False)}\n")
    print("\n".join(f"{name}: {value}" for name, value in scores.items()))


def log_reports(exam: Exam, scores: dict[str, Any], tables: Iterable[str], params: Params) -> dict[str, Any]:
    """Logs figures and reports in the model's MLflow run, and the verdict of `contest`, which is given back."""
    card = exam.classifier.card
    with runs.reopened_run(card.provenance.run_id):
        runs.log_metrics(scores | {"onnx_parity": exam.parity, "temperature": card.temperature})
        for report in (METRICS, *REPORTS.glob("model_card.*"), *(REPORTS / f"{name}.csv" for name in tables)):
            runs.log_file(report, "reports")
        runs.log_folder(REPORTS / "figures", "reports/figures")
        verdict = contest(exam, scores, params)
        runs.log_decision(verdict)
    return verdict


def contest(exam: Exam, scores: dict[str, Any], params: Params) -> dict[str, Any]:
    """Registers the model as a version, and moves the alias `champion` to it if it beats every rival."""
    provenance = exam.classifier.card.provenance
    name = registry.registered_model(provenance.dataset)
    champion = registry.find_champion(name)
    if champion is not None and champion.run_id == provenance.run_id:
        return {"promoted": True, "reason": "it is the champion already.", "champion": champion.version}
    rival, fair = (None, None) if champion is None else fair_accuracies(exam, champion)
    verdict = metrics.judge(
        scores,
        champion is not None,
        rival,
        fair,
        leaky=params.split.leaky,
        may_tie_baseline=params.evaluate.may_tie_baseline,
    )
    # The service tells these to its visitors.
    tags = {key: f"{scores[key]:.6g}" for key in ("accuracy", "chance", "num_test_clips")}
    page = REPORTS / MODEL_CARD_FILE
    version = registry.register(name, MODEL, {**tags, "protocol": scores["protocol"]}, model_card=page)
    if verdict.promoted:
        registry.crown(name, version)
    holder = version if verdict.promoted else champion and champion.version
    return {"promoted": verdict.promoted, "reason": verdict.reason, "version": version, "champion": holder}


def fair_accuracies(exam: Exam, champion: registry.Champion) -> tuple[float | None, float | None]:
    """The champion's accuracy, and the model's, on the test clips that the champion has not learned from, if any."""
    with champion.folder() as folder:
        learned = set(ModelFolder(folder).seen_clips.read_text(encoding="utf-8").split())
        unseen = ~exam.test["sha256"].isin(learned).to_numpy()
        if not unseen.any():
            return None, None
        present = ActionClassifier.load(folder)
        answers = score(present, exam.store, exam.test[unseen], VIDEOS).probabilities.argmax(axis=1)
    actual = exam.test.loc[unseen, "action"].to_numpy()
    rival = float((np.asarray(present.card.labels)[answers] == actual).mean())
    return rival, metrics.accuracy(exam.probabilities[unseen], exam.targets[unseen])


if __name__ == "__main__":
    exit_cleanly(main)
