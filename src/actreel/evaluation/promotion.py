"""Which model is champion: the rules, and the contest between a new model and the current champion."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actreel.config import Params
from actreel.evaluation.paired import Paired, compare_pair, percent
from actreel.evaluation.served import score
from actreel.inference.classifier import ActionClassifier
from actreel.inference.model_folder import PUBLISHED_METRICS, ModelFolder
from actreel.tracking import registry

if TYPE_CHECKING:
    from actreel.evaluation.report import Evaluation

TEST_CLIPS_TAG = "test_clips"
"""Tag of a registered version: a digest of the clips that it was tested on."""


@dataclass(frozen=True)
class Decision:
    """Whether a candidate becomes champion.

    Attributes:
        promoted: Whether it does.
        reason: The rule that it fails, or what speaks for it.
    """

    promoted: bool
    reason: str


@dataclass(frozen=True)
class Rival:
    """The present champion beside the candidate.

    Attributes:
        version: Its number in the registry.
        pair: The champion (first) and the candidate (second) on the test clips that the champion was not trained on,
            and whose actions both know; None if there is no such clip.
        new_actions: Actions that only the candidate knows.
        lost_actions: Actions that only the champion knows.
        more_clips: How many more clips the candidate was trained on; negative if it was on fewer.
    """

    version: str
    pair: Paired | None
    new_actions: tuple[str, ...] = ()
    lost_actions: tuple[str, ...] = ()
    more_clips: int = 0

    @property
    def comparison(self) -> str:
        """The result of the comparison, with all figures."""
        if self.pair is None:
            return f"it cannot be compared with version {self.version}, which has learned all test clips that it knows"
        pair, share = self.pair, "on the actions that both know, " if self.new_actions or self.lost_actions else ""
        return (
            f"{share}it is right on {percent(pair.second_accuracy)} and version {self.version} on "
            f"{percent(pair.first_accuracy)} of {pair.clips} clips of {pair.groups} groups that neither has learned "
            f"(difference {round(100 * pair.difference):+d} points, 95 %: {round(100 * pair.low)} to "
            f"{round(100 * pair.high)}; only one is right on {pair.only_second_right} and {pair.only_first_right} "
            f"clips, McNemar's p = {pair.p_value:.2g})"
        )


def decide(
    scores: Mapping[str, Any], rival: Rival | None, *, name: str, version: str, leaky: bool, advice: str = ""
) -> Decision:
    """Applies the rules for a champion, in order.

    A model is refused if its protocol is leaky or if it may be guessing. Otherwise it becomes champion, unless the
    present one is better, or as good as far as the test clips can tell while nothing else speaks for the new one.

    Args:
        scores: Metrics on the test clips, as in reports/metrics.json.
        rival: The present champion, if there is one.
        name: Of the registered model, for the message.
        version: The candidate's number in the registry, for the message.
        leaky: Whether clips of one group are on both sides of the split.
        advice: What to try if the model may be guessing.
    """
    if leaky:
        return Decision(False, "a champion's groups must not cross splits. Received: split.protocol 'random'.")
    by_hand = f"make serve MODEL={name}@{version} serves this one all the same"
    if scores["balanced_accuracy_low"] <= scores["balanced_chance"]:
        return Decision(
            False,
            f"a champion must be better than chance. Received: a balanced accuracy of {_balanced(scores)}; {by_hand}. "
            f"{advice}".strip(),
        )
    own = _in_words(scores)
    if rival is None:
        return Decision(True, f"{own}, and there was no champion before.")
    told = f"{own}; {rival.comparison}"
    if rival.pair is None or rival.pair.low > 0:
        return Decision(True, f"{told}.")
    by_hand += (
        f", and this makes it champion for the next make repro: actreel models promote {name}@{version} --reason '...'"
    )
    if rival.pair.high < 0:
        return Decision(False, f"{told}, so version {rival.version} is better and stays; {by_hand}")
    if advantage := _advantage(rival):
        return Decision(True, f"{told}, which is undecided; {advantage}, so it takes over.")
    return Decision(False, f"{told}, which is undecided, so version {rival.version} stays; {by_hand}")


def _in_words(scores: Mapping[str, Any]) -> str:
    return (
        f"{percent(scores['accuracy'])} of {scores['num_test_clips']} test clips of {scores['num_test_groups']} groups "
        f"are right; the balanced accuracy, which decides, is {_balanced(scores)}"
    )


def _balanced(scores: Mapping[str, Any]) -> str:
    """The accuracy that the rules look at, with its interval and what it is compared with."""
    share, low, high = (percent(scores[f"balanced_accuracy{end}"]) for end in ("", "_low", "_high"))
    return f"{share} (95 %: {low} to {high}), where guessing gets {percent(scores['balanced_chance'])}"


def _advantage(rival: Rival) -> str | None:
    """What speaks for the candidate where the test clips are undecided."""
    if rival.new_actions or rival.lost_actions:
        known = [
            f"{sign}{action}"
            for sign, names in (("+", rival.new_actions), ("-", rival.lost_actions))
            for action in names
        ]
        return f"it knows other actions ({', '.join(known)})"
    return f"it was trained on {rival.more_clips} clips more" if rival.more_clips > 0 else None


def contest(
    evaluation: Evaluation, scores: Mapping[str, Any], params: Params, model_card: Path, advice: str = ""
) -> dict[str, Any]:
    """Registers the model, and moves the alias `champion` to the new version if it wins.

    The model's MLflow run must be open. A model that is champion already is not registered again.

    Args:
        evaluation: Of the model on the test clips.
        scores: As in reports/metrics.json.
        params: `split.protocol` matters.
        model_card: The HTML page, registered with the model.
        advice: As for `decide`.

    Returns:
        `promoted` and `reason`, see `Decision`; `version`, the number of the new version, if there is one; `champion`,
        the version that is champion now, or None.
    """
    provenance = evaluation.classifier.card.provenance
    name = registry.registered_model(provenance.dataset)
    champion = registry.find_champion(name)
    if champion is not None and champion.run_id == provenance.run_id:
        reason = f"{_in_words(scores)}, and it is the champion already."
        return {"promoted": True, "reason": reason, "champion": champion.version}
    rival = None if champion is None else meet(evaluation, champion)
    tags = {key: f"{scores[key]:.6g}" for key in PUBLISHED_METRICS if key in scores}
    tags |= {"trained_at": provenance.trained_at}
    tags |= {"protocol": str(scores["protocol"]), TEST_CLIPS_TAG: clips_digest(evaluation.test)}
    version = registry.register(name, evaluation.folder, tags, model_card=model_card)
    decision = decide(scores, rival, name=name, version=version, leaky=params.split.leaky, advice=advice)
    if decision.promoted:
        registry.set_champion(name, version, champion.version if champion else None, reason=decision.reason)
    holder = version if decision.promoted else champion and champion.version
    return {"promoted": decision.promoted, "reason": decision.reason, "version": version, "champion": holder}


def meet(evaluation: Evaluation, champion: registry.ModelVersion) -> Rival:
    """Compares the champion and the model on the test clips that the champion was not trained on.

    Where one knows actions that the other does not, only clips of common actions count, and each answers with the most
    likely of these.
    """
    with champion.folder() as folder:
        seen, own_seen = (_seen_clips(each) for each in (folder, evaluation.folder))
        classifier = ActionClassifier.load(folder)
        theirs, own = classifier.card.labels, evaluation.labels
        common = [label for label in own if label in theirs]
        new, lost = (tuple(label for label in one if label not in common) for one in (own, theirs))
        fair = (~evaluation.test["sha256"].isin(seen) & evaluation.test["action"].isin(common)).to_numpy()
        pair = None
        if fair.any():
            clips = evaluation.test[fair]
            scores = score(classifier, evaluation.inputs, clips, evaluation.videos)
            actual = clips["action"].to_numpy()
            first = _answers(scores.probabilities, theirs, common) == actual
            second = _answers(evaluation.probabilities[fair], own, common) == actual
            pair = compare_pair(first, second, clips["group"])
    return Rival(champion.version, pair, new, lost, len(own_seen) - len(seen))


def _seen_clips(folder: Path) -> set[str]:
    return set(ModelFolder(folder).seen_clips.read_text(encoding="utf-8").split())


def _answers(probabilities: NDArray[np.float32], labels: Sequence[str], among: Sequence[str]) -> NDArray[np.str_]:
    """The most likely of some of the labels, str (N,)."""
    columns = [list(labels).index(label) for label in among]
    return np.array([among[column] for column in probabilities[:, columns].argmax(axis=1)])


def clips_digest(test: pd.DataFrame) -> str:
    """A short name for a set of test clips: 16 hexadecimal digits from their contents and actions."""
    lines = sorted(f"{row.sha256} {row.action}" for row in test.itertuples())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def models_judged(evaluation: Evaluation) -> int:
    """How many models these test clips have judged, this one included."""
    provenance = evaluation.classifier.card.provenance
    tested = registry.runs_with_tag(
        registry.registered_model(provenance.dataset), TEST_CLIPS_TAG, clips_digest(evaluation.test)
    )
    return len(tested | {provenance.run_id})
