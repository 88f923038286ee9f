"""Where a project stands, and the one command to run next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from actreel.base.places import DVC_LOCK, VIDEOS, check_project
from actreel.config import Params, load_params
from actreel.config.commands import learn
from actreel.dataset.fetch.dvc_internals import Changes, lock_is_whole, pipeline_changes
from actreel.errors import ActreelError, listed_names
from actreel.feedback import Waiting, count_waiting, default_folder
from actreel.project import facts
from actreel.tracking.names import registered_model
from actreel.tracking.peek import find_champion
from actreel.tracking.promotions import BY_HAND

State = Literal[
    "running", "damaged", "no_videos", "never_run", "not_pulled", "interrupted", "stale", "champion_moved",
    "no_champion", "not_served", "served_is_old", "feedback", "served",
]  # fmt: skip

CURRENT_STATES: frozenset[State] = frozenset({"not_served", "feedback", "served"})
"""States in which the pipeline has nothing left to do, and a server, if one runs, has the champion."""
EXIT_TO_DO = 3
EXIT_RUNNING = 4
REPRO = "make repro"
MOST_REASONS = 3


@dataclass(frozen=True)
class Status:
    """Where a project stands.

    Attributes:
        state: In a word.
        said: In a sentence.
        next: The command to run next; None while there is none.
        dataset: Short name of the dataset in params.yaml.
        registered_model: The name of its models in the registry.
        run: The run in progress.
        training: How far a training has come that has not ended.
        changes: What has changed since the stages last ran, by stage.
        champion: The labels of the champion.
        bento: What was packaged last.
        serving: What is served now.
        verdict: What came of the last evaluation.
        feedback: What visitors said.
    """

    state: State
    said: str
    next: str | None
    dataset: str
    registered_model: str
    run: facts.Run | None = None
    training: facts.Training | None = None
    changes: Mapping[str, tuple[str, ...]] | None = None
    champion: Mapping[str, str] | None = None
    bento: facts.Packaged | None = None
    serving: facts.Serving | None = None
    verdict: Mapping[str, Any] | None = None
    feedback: Waiting = field(default_factory=lambda: Waiting(0, 0, 0))

    @property
    def exit_code(self) -> int:
        """0: nothing is left to do; 3: the command in `next` is; 4: a run is in progress."""
        if self.state == "running":
            return EXIT_RUNNING
        return 0 if self.state in CURRENT_STATES else EXIT_TO_DO

    @property
    def serves_champion(self) -> bool | None:
        """Whether what is served now is the champion; None if nothing is served."""
        if self.serving is None:
            return None
        return _is_champion(self.serving.bento, self.champion)


def read_status() -> Status:
    """Reads where the project in the current folder stands; changes nothing.

    Raises:
        ActreelError: This folder is no project's, params.yaml has a mistake, or a file is damaged.
    """
    check_project(Path())
    params = load_params()
    dataset = params.dataset
    name = registered_model(dataset.label)
    known: dict[str, Any] = {
        "dataset": dataset.label,
        "registered_model": name,
        "bento": facts.packaged_bento(),
        "serving": facts.what_is_served(),
        "feedback": count_waiting(default_folder(), dataset.own_folder),
    }
    training = facts.unfinished_training(params.train.epochs)
    if run := facts.run_in_progress():
        training = training if run.stage == "train" else None
        return Status("running", _running(run, training), None, run=run, training=training, **known)
    known |= {
        "champion": find_champion(name, facts.recorded_champion()).champion,
        "verdict": facts.read_verdict(),
    }
    if missing := facts.missing_videos(dataset):
        command = "make ucf50" if dataset.name == "ucf50" else "make learn FROM=/path/to/clips"
        return Status("no_videos", f"There are no videos to learn from: {missing}", command, **known)
    try:
        changes = pipeline_changes()
    except ActreelError:
        if not DVC_LOCK.exists() or lock_is_whole(DVC_LOCK):
            raise
        return Status("damaged", f"{DVC_LOCK} was left half-written by a run that was killed.", REPRO, **known)
    if (changes.stages and not _only_videos_are_missing(changes)) or facts.unwatched_files_have_changed(params):
        return _to_run(changes, training, known)
    return _ready(params, known)


def _only_videos_are_missing(changes: Changes) -> bool:
    """Whether this is a clone that has pulled: the videos are in no remote, and nothing after training needs them."""
    return changes.only_missing and {name for names in changes.stages.values() for name in names} == {
        f"{VIDEOS} is missing"
    }


def _running(run: facts.Run, training: facts.Training | None) -> str:
    who = f"process {', '.join(map(str, run.pids))} ({run.command})" if run.pids else "a DVC process"
    stage = f", in the stage {run.stage}" if run.stage else ""
    epoch = f", after epoch {training.epoch} of at most {training.epochs}" if training else ""
    return f"A run is in progress: {who}{stage}{epoch}."


def _to_run(changes: Changes, training: facts.Training | None, known: Mapping[str, Any]) -> Status:
    """The status of a pipeline that is not as its last run left it."""
    stages = changes.stages or {"source": ("files behind links in dataset.path, or of model.weights",)}
    if not facts.has_run():
        if training and "train" in stages:  # DVC writes its lock file after the first stage
            return Status("interrupted", _interrupted(training), REPRO, training=training, changes=stages, **known)
        return Status("never_run", "The pipeline has not run yet.", REPRO, changes=stages, **known)
    if training and "train" in stages:
        return Status("interrupted", _interrupted(training), REPRO, training=training, changes=stages, **known)
    if changes.only_missing and changes.has_remote:
        said = f"Nothing has changed, but files of {listed_names(list(stages), quote='')} are not here."
        return Status("not_pulled", said, "dvc pull", changes=stages, **known)
    return Status("stale", _stale(stages), REPRO, changes=stages, **known)


def _interrupted(training: facts.Training) -> str:
    return (
        f"A training was interrupted after epoch {training.epoch} of at most {training.epochs}. It goes on from there "
        "if settings, clips and code are as they were then, and starts over otherwise."
    )


def _stale(stages: Mapping[str, tuple[str, ...]]) -> str:
    told = []
    for stage, reasons in stages.items():
        more = f" and {len(reasons) - MOST_REASONS} more" if len(reasons) > MOST_REASONS else ""
        told.append(f"{stage} ({', '.join(reasons[:MOST_REASONS])}{more})")
    return f"What stages depend on has changed since they ran: {listed_names(told, quote='')}."


def _ready(params: Params, known: Mapping[str, Any]) -> Status:
    """The status of a pipeline that is as its last run left it."""
    champion, bento, serving = known["champion"], known["bento"], known["serving"]
    feedback: Waiting = known["feedback"]
    if champion is None and bento is None:
        return _no_champion(params, known)
    if not _is_champion(bento, champion):
        return Status("champion_moved", _moved(champion, bento), REPRO, **known)
    name = bento.in_words
    if serving is None:
        return Status("not_served", f"The champion, {name}, is packaged and not served.", "make serve", **known)
    if serving.bento.tag != bento.tag:
        what = "another build of the champion" if _is_champion(serving.bento, champion) else "not the champion"
        said = f"{serving.address} serves {serving.bento.in_words}, {what}: {name} is packaged."
        return Status("served_is_old", said, "make reload", **known)
    said = f"{serving.address} serves the champion, {name}."
    if feedback.videos:
        said += f" {feedback.videos} videos that visitors shared are not in the dataset."
        return Status("feedback", said, "actreel feedback export DIR", **known)
    return Status("served", said, None, **known)


def _no_champion(params: Params, known: Mapping[str, Any]) -> Status:
    """The status where no version is champion, and nothing is packaged."""
    name, verdict = known["registered_model"], known["verdict"]
    again = learn(params.dataset.name, params.dataset.path)
    if verdict is None:
        return Status("stale", "The model has not been evaluated.", REPRO, **known)
    if verdict["promoted"]:
        said = f"No version of {name} is champion any more: the alias was removed from version {verdict['champion']}."
        command = f"actreel models promote {name}@{verdict['champion']} --reason '...'"
        return Status("no_champion", said, command, **known)
    said = f"No version of {name} is champion: {verdict['reason']}"
    if params.split.leaky:
        again = "dvc exp run -S split.protocol=group_holdout"
    return Status("no_champion", said, again, **known)


def _moved(champion: Mapping[str, str] | None, bento: facts.Packaged | None) -> str:
    packaged = f"{bento.in_words} is packaged" if bento else "nothing is packaged"
    if champion is None:
        return f"No version is champion any more, and {packaged}."
    hand = f", promoted {champion[BY_HAND]}" if BY_HAND in champion else ""
    return f"The champion is {champion['registered_model']} version {champion['version']}{hand}, and {packaged}."


def _is_champion(bento: facts.Packaged | None, champion: Mapping[str, str] | None) -> bool:
    if bento is None or champion is None:
        return bento is None and champion is None
    return (bento.registered_model, bento.version, bento.run_id) == tuple(
        champion[key] for key in ("registered_model", "version", "run_id")
    )
