"""evaluate: artifacts/model on held-out groups ▸ reports/, and the champion in MLflow's registry."""

import json
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from actreel import evaluation, figures, slices, tracking
from actreel.backend import keras
from actreel.card import Facts, write_card
from actreel.classifier import MODEL_CARD_FILE, ONNX_FILE, ActionClassifier
from actreel.config import load_params
from actreel.cost import cost_of
from actreel.dataset.records import TEST, TRAIN, clips_of, read_index
from actreel.dataset.store import StoredClips
from actreel.errors import ModelError, exit_cleanly
from actreel.features import open_inputs
from actreel.models import logits_of
from actreel.rejection import compare_scores, rejection_scores, scores_of, unknown_halves
from actreel.saliency import explain_surest
from actreel.scoring import score, score_views
from actreel.training import epoch_models, fitted_part, predict, targets_of
from pipelines.places import BASELINE, CLIPS, FEATURES, INDEX, METRICS, MODEL, REPORTS, TRAINING, VERDICT, VIDEOS


def main() -> None:
    """Scores the model on groups it has never seen, next to chance, its baseline and the champion."""
    params = load_params()
    index = read_index(INDEX)
    store = StoredClips(CLIPS)
    inputs = open_inputs(CLIPS, FEATURES)
    test = clips_of(index, TEST)
    classifier = ActionClassifier.load(MODEL)
    labels = list(classifier.card.labels)
    targets = targets_of(test, labels)

    def probabilities_of(model: Any) -> NDArray[np.float32]:
        return predict(model, inputs, test, params.evaluate.batch_size)

    network = keras.models.load_model(MODEL / "model.keras")
    model = fitted_part(network, inputs)
    probabilities = probabilities_of(model)
    blind = probabilities_of(fitted_part(keras.models.load_model(BASELINE / "model.keras"), inputs))
    onnx = score(classifier, store, test, VIDEOS)
    parity = float(np.abs(onnx.probabilities - probabilities).max())
    if parity > params.evaluate.parity_tolerance:
        raise ModelError(
            f"ONNX must give Keras's probabilities to {params.evaluate.parity_tolerance:g}. "
            f"Received: a difference of {parity:.2g}."
        )

    _, unknown = unknown_halves(index)
    rejection, rejected = pd.DataFrame(columns=["score", "auroc", "tar_at_5_far"]), {}
    if len(unknown):
        logits = logits_of(model)
        strange = score(classifier, store, unknown, VIDEOS)
        rejection = compare_scores(
            scores_of(predict(logits, inputs, test, params.evaluate.batch_size), onnx.distances),
            scores_of(predict(logits, inputs, unknown, params.evaluate.batch_size), strange.distances),
        )
        rejected = rejection_scores(rejection, onnx.distances, strange.distances, classifier.card.max_distance)
    averaged = score_views(MODEL, [VIDEOS / clip for clip in test["clip"]], params.evaluate.views)
    right = probabilities.argmax(axis=1) == targets
    low, high = evaluation.interval_over_groups(right, test["group"].to_numpy(str))
    uncalibrated = evaluation.sharpened(probabilities, classifier.card.temperature)
    scores = {
        "accuracy": evaluation.accuracy(probabilities, targets),
        "accuracy_low": low,
        "accuracy_high": high,
        "multi_clip_accuracy": evaluation.accuracy(averaged, targets),
        "top5_accuracy": evaluation.accuracy(probabilities, targets, k=5),
        **evaluation.macro_scores(probabilities, targets),
        "chance": evaluation.chance(targets_of(clips_of(index, TRAIN), labels), targets),
        "mean_pool_accuracy": evaluation.accuracy(blind, targets),
        "calibration_error": evaluation.calibration_error(probabilities, targets),
        "uncalibrated_error": evaluation.calibration_error(uncalibrated, targets),
        **rejected,
        "parameters": int(network.count_params()),
        **cost_of(MODEL / ONNX_FILE, store.take(test["clip"][:1].tolist())),
        "protocol": params.split.protocol,
        "num_test_clips": len(test),
        "num_test_groups": int(test["group"].nunique()),
        "num_classes": len(labels),
    }
    # Before the network gets the weights of other epochs.
    explained = explain_surest(network, store, test["clip"].tolist(), labels, probabilities, right)
    curve = pd.read_csv(TRAINING / "curve.csv")
    curve["test_accuracy"] = [
        evaluation.accuracy(probabilities_of(then), targets) for then in epoch_models(model, TRAINING / "epochs")
    ]
    tables = {
        "per_class": evaluation.per_class(probabilities, blind, targets, labels),
        "slices": slices.accuracy_by_slice(test, right),
        "curve": curve,
        "rejection": rejection,
        "answers": pd.DataFrame(
            {
                "clip": test["clip"],
                "sha256": test["sha256"],
                "group": test["group"],
                "actual": test["action"],
                "predicted": [labels[place] for place in probabilities.argmax(axis=1)],
                "confidence": probabilities.max(axis=1),
            }
        ),
    }
    confusions = list(slices.most_confused(probabilities, targets, labels))
    confused = {heading: store.take([test["clip"][row]])[0] for heading, row in slices.sample_rows(confusions)}
    pictures = {
        "curves": figures.learning_curves(curve, int(curve["epoch"].to_numpy()[curve["val_loss"].argmin()])),
        "confusion": figures.confusion(targets, probabilities.argmax(axis=1), labels),
        "confused": figures.confused(confused),
        "reliability": figures.reliability(
            evaluation.reliability(uncalibrated, targets), evaluation.reliability(probabilities, targets)
        ),
        "saliency": figures.saliency(explained),
    }
    write_reports(scores, tables, pictures)
    facts = Facts(
        classifier.card, params.model, params.dataset.name, scores, tables["per_class"], tables["slices"], confusions
    )
    write_card(facts, REPORTS)
    print(tables["per_class"].round(3).to_string(index=False))
    print(f"\nlowest slices\n{tables['slices'].head().round(3).to_string(index=False)}\n")
    print("\n".join(f"{name}: {value}" for name, value in scores.items()))

    with tracking.reopened_run(classifier.card.provenance.run_id):
        tracking.log_metrics(scores | {"onnx_parity": parity, "temperature": classifier.card.temperature})
        for report in (METRICS, *REPORTS.glob("model_card.*"), *(REPORTS / f"{name}.csv" for name in tables)):
            tracking.log_file(report, "reports")
        tracking.log_folder(REPORTS / "figures", "reports/figures")
        verdict = contest(classifier, store, test, targets, probabilities, scores, params.split.leaky)
        tracking.log_verdict(verdict)
    VERDICT.write_text(json.dumps(verdict, indent=2) + "\n", encoding="utf-8")
    print(f"\n{'new champion' if verdict['promoted'] else 'not champion'}: {verdict['reason']}")


def write_reports(scores: dict[str, Any], tables: dict[str, pd.DataFrame], pictures: dict[str, Figure]) -> None:
    """reports/: the figures of merit as JSON, each table as CSV, each picture as PNG."""
    (REPORTS / "figures").mkdir(parents=True, exist_ok=True)
    METRICS.write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")
    for name, table in tables.items():
        table.to_csv(REPORTS / f"{name}.csv", index=False)
    for name, picture in pictures.items():
        picture.savefig(REPORTS / "figures" / f"{name}.png")


def contest(
    classifier: ActionClassifier,
    store: StoredClips,
    test: pd.DataFrame,
    targets: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    scores: dict[str, Any],
    leaky: bool,
) -> dict[str, Any]:
    """Registers the model as a version, and moves the alias `champion` to it if it beats every rival."""
    provenance = classifier.card.provenance
    name = tracking.registered_model(provenance.dataset)
    champion = tracking.find_champion(name)
    if champion is not None and champion.run_id == provenance.run_id:
        return {"promoted": True, "reason": "it is the champion already.", "champion": champion.version}
    rival = fair = None
    if champion is not None:
        with champion.folder() as folder:
            learned = set((folder / tracking.SEEN_FILE).read_text(encoding="utf-8").split())
            unseen = ~test["sha256"].isin(learned).to_numpy()
            if unseen.any():
                present = ActionClassifier.load(folder)
                answers = score(present, store, test[unseen], VIDEOS).probabilities.argmax(axis=1)
                actual = test.loc[unseen, "action"].to_numpy()
                rival = float((np.asarray(present.card.labels)[answers] == actual).mean())
                fair = evaluation.accuracy(probabilities[unseen], targets[unseen])
    verdict = evaluation.judge(scores, champion is not None, rival, fair, leaky=leaky)
    # The service tells these to its visitors.
    tags = {key: f"{scores[key]:.6g}" for key in ("accuracy", "chance", "num_test_clips")}
    page = REPORTS / MODEL_CARD_FILE
    version = tracking.register(name, MODEL, {**tags, "protocol": scores["protocol"]}, model_card=page)
    if verdict.promoted:
        tracking.crown(name, version)
    holder = version if verdict.promoted else champion and champion.version
    return {"promoted": verdict.promoted, "reason": verdict.reason, "version": version, "champion": holder}


if __name__ == "__main__":
    exit_cleanly(main)
