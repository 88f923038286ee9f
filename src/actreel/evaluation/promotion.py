"""Which model is champion: the rules, and the contest between a new model and the current champion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from actreel.config import Params
from actreel.evaluation import metrics
from actreel.evaluation.report import Evaluation
from actreel.evaluation.served import score
from actreel.inference.classifier import ActionClassifier
from actreel.inference.model_folder import ModelFolder
from actreel.tracking import registry

PUBLISHED_METRICS = ("accuracy", "accuracy_low", "accuracy_high", "chance", "num_test_clips", "num_test_groups")
"""Metrics that the service shows its visitors: tags of each registered version."""


@dataclass(frozen=True)
class Decision:
    """Whether a candidate becomes champion.

    Attributes:
        promoted: Whether it does.
        reason: The rule that it fails, or what it beats.
    """

    promoted: bool
    reason: str


def decide(
    scores: Mapping[str, Any],
    has_champion: bool,
    champion_accuracy: float | None,
    candidate_accuracy: float | None,
    *,
    leaky: bool = False,
    may_tie_baseline: bool = False,
) -> Decision:
    """Applies the rules for a champion, in order.

    Args:
        scores: `accuracy`, `chance` and `mean_pool_accuracy` on the test clips.
        has_champion: Whether there is a champion now.
        champion_accuracy: Its accuracy on the test clips that it was not trained on; None if there is no such clip.
        candidate_accuracy: The candidate's accuracy on the same clips.
        leaky: Whether clips of one group are on both sides of the split.
        may_tie_baseline: Whether an accuracy equal to the baseline's is enough.
    """
    if leaky:
        return Decision(False, "a champion's groups must not cross splits. Received: split.protocol 'random'.")
    own, chance, baseline = scores["accuracy"], scores["chance"], scores["mean_pool_accuracy"]
    advice = "Try another head, or hold out more groups (split.test), which separates the two better."
    if own <= chance:
        return Decision(False, f"a champion must beat chance. Received: {own:.4f} against {chance:.4f}. {advice}")
    tie = own == baseline
    if own < baseline or (tie and not may_tie_baseline):
        if tie:
            advice += " If your actions do not differ by the order of frames: evaluate.may_tie_baseline=true."
        return Decision(
            False,
            f"a champion must beat the order-blind mean-pool baseline. Received: {own:.4f} against {baseline:.4f}. "
            f"{advice}",
        )
    beaten = f"{own:.4f} beats chance ({chance:.4f}) and {'ties with' if tie else 'beats'} mean-pool ({baseline:.4f})"
    if not has_champion:
        return Decision(True, f"{beaten}; there was no champion before.")
    if champion_accuracy is None or candidate_accuracy is None:
        return Decision(
            False,
            "a champion must beat the present one on clips that neither was trained on. Received: no such clip, "
            "since the current champion was trained on all of these test clips. Use the split it was trained with.",
        )
    if candidate_accuracy <= champion_accuracy:
        return Decision(
            False,
            "a champion must beat the present one on the same test clips. "
            f"Received: {candidate_accuracy:.4f} against {champion_accuracy:.4f}.",
        )
    return Decision(True, f"{beaten}, and the previous champion ({candidate_accuracy:.4f} to {champion_accuracy:.4f}).")


def contest(evaluation: Evaluation, scores: Mapping[str, Any], params: Params, model_card: Path) -> dict[str, Any]:
    """Registers the model, and moves the alias `champion` to the new version if it wins.

    The model's MLflow run must be open. A model that is champion already is not registered again.

    Args:
        evaluation: Of the model on the test clips.
        scores: As in reports/metrics.json.
        params: `split.protocol` and `evaluate.may_tie_baseline` matter.
        model_card: The HTML page, registered with the model.

    Returns:
        `promoted` and `reason`, see `Decision`; `version`, the number of the new version, if there is one; `champion`,
        the version that is champion now, or None.
    """
    provenance = evaluation.classifier.card.provenance
    name = registry.registered_model(provenance.dataset)
    champion = registry.find_champion(name)
    if champion is not None and champion.run_id == provenance.run_id:
        return {"promoted": True, "reason": "it is the champion already.", "champion": champion.version}
    theirs, own = (None, None) if champion is None else fair_accuracies(evaluation, champion)
    decision = decide(
        scores,
        champion is not None,
        theirs,
        own,
        leaky=params.split.leaky,
        may_tie_baseline=params.evaluate.may_tie_baseline,
    )
    tags = {key: f"{scores[key]:.6g}" for key in PUBLISHED_METRICS} | {"protocol": str(scores["protocol"])}
    version = registry.register(name, evaluation.folder, tags, model_card=model_card)
    if decision.promoted:
        registry.set_champion(name, version)
    holder = version if decision.promoted else champion and champion.version
    return {"promoted": decision.promoted, "reason": decision.reason, "version": version, "champion": holder}


def fair_accuracies(evaluation: Evaluation, champion: registry.ModelVersion) -> tuple[float | None, float | None]:
    """The accuracies of the champion and of the model on the test clips that the champion was not trained on.

    Returns:
        Both, the champion's first; None twice if it was trained on all of them.
    """
    with champion.folder() as folder:
        seen = set(ModelFolder(folder).seen_clips.read_text(encoding="utf-8").split())
        unseen = ~evaluation.test["sha256"].isin(seen).to_numpy()
        if not unseen.any():
            return None, None
        classifier = ActionClassifier.load(folder)
        scores = score(classifier, evaluation.inputs, evaluation.test[unseen], evaluation.videos)
    actual = evaluation.test.loc[unseen, "action"].to_numpy()
    theirs = float((np.asarray(classifier.card.labels)[scores.probabilities.argmax(axis=1)] == actual).mean())
    return theirs, metrics.accuracy(evaluation.probabilities[unseen], evaluation.targets[unseen])
