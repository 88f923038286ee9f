"""From a lesson to a draft: a registered version beside the champion, which nothing serves by itself."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actreel.base.places import CHOSEN, CLIPS, FEATURES, INDEX
from actreel.dataset.records import read_index
from actreel.errors import ModelError, listed_names
from actreel.evaluation.promotion import TEST_CLIPS_TAG, Decision, Rival, clips_digest, decide
from actreel.inference.manifest import Provenance
from actreel.inference.model_folder import PUBLISHED_METRICS, ModelFolder
from actreel.teaching.effect import NO_ANSWER, Effect, measure
from actreel.teaching.exporting import check_export, export_draft
from actreel.teaching.learning import NEVER_HELD_OUT, Learned, deal_folds, learn
from actreel.teaching.lesson import check_names
from actreel.teaching.material import Material, gather
from actreel.teaching.network import Network
from actreel.teaching.report import write_card
from actreel.tracking import registry
from actreel.tracking.champions import LIST, check_registry
from actreel.tracking.lessons import BASE_TAG, TAUGHT_TAG, lesson_run, log_answers
from actreel.tracking.runs import Run, find_run, git_commit, log_metrics
from actreel.training.variants import open_chosen


@dataclass(frozen=True)
class Rejected:
    """Clips of no action in the lesson, and how many of them are rejected.

    Attributes:
        clips: How many there are.
        before: Rejected by the version before.
        after: Rejected by the draft.
    """

    clips: int
    before: int
    after: int


@dataclass(frozen=True)
class Draft:
    """A draft, as it is registered.

    Attributes:
        name: Of the registered model.
        version: Its number.
        base: The version that it was taught on.
        run_id: Its MLflow run.
        effect: What it changes on held-out groups.
        rejected: What it changes on the lesson's clips of no action.
        rules: Whether it would become champion by the rules, and why; it does not become it by itself.
    """

    name: str
    version: str
    base: str
    run_id: str
    effect: Effect
    rejected: Rejected
    rules: Decision


def find_base(asked: str | None, dataset: str) -> registry.ModelVersion:
    """The version to teach: the one that is asked for, or the dataset's champion.

    Raises:
        ModelError: There is no registry, no such version, or no champion.
    """
    check_registry()
    if asked:
        return registry.find_version(asked)
    name = registry.registered_model(dataset)
    champion = registry.find_champion(name)
    if champion is None:
        raise ModelError(
            f"'{name}' has no champion to teach. Train one: make repro. Or choose a version: {LIST} {name}, and add "
            f"--base {name}@VERSION"
        )
    return champion


def make_draft(base: registry.ModelVersion, lesson: pd.DataFrame, command: str) -> Draft:
    """Teaches a version, measures what that changes, and registers the result as the draft of its model.

    Args:
        base: The version to teach.
        lesson: From `read_lesson`.
        command: What was typed, for the records.

    Raises:
        ActreelError: The lesson cannot be learned; see `check_names`, `gather` and `learn`.
    """
    run = find_run(base.run_id)
    with base.folder() as folder:
        network = Network.open(folder)
        labels = (*network.labels, *check_names(lesson, network.labels))
        material = gather(network, run.params, lesson, read_index(INDEX), open_chosen(CLIPS, FEATURES, CHOSEN))
        folds = deal_folds(material.rows, material.known_before)
        accept = float(run.params.get("train.true_accept_rate", "0.95"))
        learned = learn(network, material.rows, material.seen, folds, labels, accept)
        held_out = answers(network, learned, material)
        effect = measure(held_out, material.lesson, network.labels, labels)
        return _register(base, run, network, material, learned, held_out, effect, command)


def answers(network: Network, learned: Learned, material: Material) -> pd.DataFrame:
    """What both versions say of clips whose groups their answers do not know.

    The draft answers a clip whose group is in a lesson by a solution that holds that group out.

    Returns:
        The clips with `before` and `after`; see `measure`.

    Raises:
        ModelError: There are no such clips.
    """
    known, labels = np.array(network.labels, dtype=object), np.array(learned.labels, dtype=object)
    test = material.test.assign(
        before=known[network.tail.last.probabilities(material.test_seen.states).argmax(axis=1)],
        after=labels[_after(learned, material).argmax(axis=1)],
    )
    places = learned.scores.held_out
    taught = material.taught[places]
    places = places[taught]
    before = known[network.tail.last.probabilities(material.seen.states[places]).argmax(axis=1)]
    own = material.rows.iloc[places].assign(
        before=np.where(material.trained_before[places], NO_ANSWER, before),
        after=labels[learned.scores.probabilities[taught].argmax(axis=1)],
    )
    held_out = pd.concat([test, own], ignore_index=True)
    if held_out.empty:
        raise ModelError(
            "Teaching needs clips of groups that it can hold out, to say what it changes. Received: a lesson of one "
            "group, and no test clips in the workspace. Add clips of other people or scenes."
        )
    return held_out


def _after(learned: Learned, material: Material) -> NDArray[np.float32]:
    """float32 (n, K): what the draft says of the test clips; a clip whose group is in a lesson is held out with it."""
    fold_of = dict(zip(material.rows["group"], learned.clips.fold, strict=True))
    folds = material.test["group"].map(fold_of).fillna(NEVER_HELD_OUT).to_numpy(dtype=np.int64)
    after = learned.last.probabilities(material.test_seen.states)
    for fold in np.unique(folds[folds != NEVER_HELD_OUT]):
        inside = folds == fold
        after[inside] = learned.without(fold, material.test_seen.states[inside])
    return after


def _register(
    base: registry.ModelVersion, run: Run, network: Network, material: Material, learned: Learned,
    held_out: pd.DataFrame, effect: Effect, command: str,
) -> Draft:  # fmt: skip
    name, origin = base.registered_model, network.classifier.card.provenance
    tags = {BASE_TAG: base.version, TAUGHT_TAG: in_words(material.lesson)}
    version_of_data = _data_version(origin.data_version, material.lesson)
    of_run = {"dataset": origin.dataset, "data_version": version_of_data, "command": command, **tags}
    title = f"teach {tags[TAUGHT_TAG]} to version {base.version}"
    with (
        tempfile.TemporaryDirectory(prefix="actreel-draft-") as scratch,
        lesson_run(run, title, of_run, material.lesson) as run_id,
    ):
        provenance = Provenance(
            dataset=origin.dataset, data_version=version_of_data, run_id=run_id, git_commit=git_commit(),
            trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )  # fmt: skip
        target = ModelFolder(Path(scratch) / "model")
        export_draft(network, learned, material.lessons, provenance, target)
        taught_last = material.seen.states[len(material.rows) - len(material.lesson) :]
        check_export(target, material.encoded, taught_last[: len(material.encoded)], learned.last)
        rejected = _rejected(network, learned, material)
        card = write_card(name, base.version, tags[TAUGHT_TAG], effect, Path(scratch))
        log_metrics(effect.scores)
        log_answers(held_out)
        published = {key: f"{effect.scores[key]:.6g}" for key in PUBLISHED_METRICS if key in effect.scores}
        published |= {"trained_at": provenance.trained_at, TEST_CLIPS_TAG: clips_digest(material.test)}
        published |= {key: run.tags[key] for key in ("protocol",) if key in run.tags}
        version = registry.register(name, target.path, {**published, **tags}, model_card=card)
        registry.set_draft(name, version)
    rules = _judge(base, run, effect, len(material.lesson), version)
    return Draft(name, version, base.version, run_id, effect, rejected, rules)


def _judge(base: registry.ModelVersion, run: Run, effect: Effect, more_clips: int, version: str) -> Decision:
    """What the rules for a champion say, were the draft a candidate of the pipeline."""
    if effect.unmeasured:
        return Decision(
            False,
            "every action of a champion is tested on clips of groups that it has not learned. Received: none of "
            f"{listed_names(effect.unmeasured)}. Add clips of other people or scenes.",
        )
    new = tuple(each.action for each in effect.actions if each.new)
    rival = Rival(base.version, effect.others, new, (), more_clips)
    leaky = run.tags.get("leaky") == "true"
    return decide(effect.scores, rival, name=base.registered_model, version=version, leaky=leaky)


def in_words(lesson: pd.DataFrame) -> str:
    """What was taught, as in `Wave (10 clips of 4 groups), Jump (2 clips of 1 group)`."""
    parts = []
    for action, clips in lesson.groupby("action", sort=True):
        groups = clips["group"].nunique()
        parts.append(f"{action} ({len(clips)} clip{'s' * (len(clips) > 1)} of {groups} group{'s' * (groups > 1)})")
    return ", ".join(parts)


def _rejected(network: Network, learned: Learned, material: Material) -> Rejected:
    before, after = network.classifier.card.max_distance, learned.rejection.max_distance
    distances = learned.rejection.statistics.distances(material.unknown_seen.embeddings)
    return Rejected(
        len(material.unknown),
        0 if before is None else int((material.unknown_before > before).sum()),
        0 if after is None else int((distances > after).sum()),
    )


def _data_version(before: str, lesson: pd.DataFrame) -> str:
    """A digest of what was known before and what was taught: 12 hexadecimal digits, as `data_version`."""
    rows = lesson.sort_values("sha256")[["sha256", "action", "group"]]
    return hashlib.sha256(f"{before}\n{rows.to_csv(index=False)}".encode()).hexdigest()[:12]
