"""One run over a batch: asks the crew for what has no answer yet, and keeps the table up to date."""

from __future__ import annotations

import fcntl
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from actreel.batch.crews import Crew
from actreel.batch.items import is_youtube
from actreel.batch.job import Outcome, model_version, pack_job
from actreel.batch.table import Answers, Failures, Place
from actreel.errors import ActreelError
from actreel.inference.classifier import ActionClassifier, ClassifierCard

log = logging.getLogger(__name__)

FLUSH_ROWS = 500
FLUSH_S = 30.0
"""Answers are written after so many, or so many seconds: what a run that is killed loses at most."""


@dataclass(frozen=True)
class Summary:
    """What a run did.

    Attributes:
        model: The model version, the name of the partition.
        videos: Videos in the batch.
        answered: Videos that were recognised in this run.
        unchanged: Videos that had an answer of this model for the same content already.
        failed: Videos of this batch that have none.
    """

    model: str
    videos: int
    answered: int
    unchanged: int
    failed: int


def run_batch(items: Sequence[str], out: str, folder: Path, crew: Crew) -> Summary:
    """Recognises the videos of a batch that the table has no answer for. It can be stopped and run again.

    A video is done if the table has an answer of the same model version for the same content; a YouTube link, if it has
    one for the link. What has failed is tried again, unless the same content would fail again.

    Args:
        items: As `read_items` gives them.
        out: The table's folder, or an address for fsspec.
        folder: The model folder.
        crew: Who does the work.

    Raises:
        ActreelError: The model cannot be used, the table is damaged, or another run writes to it.
    """
    card = ActionClassifier.load(folder).card
    place = Place(out)
    with _only_run(place):
        version = model_version(folder)
        answers, failures = Answers(place, version, _about(card)), Failures(place, version)
        run = _Run(answers, failures)
        waiting = [item for item in items if not (is_youtube(item) and answers.sha256_of(item))]
        run.unchanged = len(items) - len(waiting)
        try:
            again = waiting
            for repeat in (False, True):
                job = pack_job(folder, {*answers.contents, *failures.contents})
                # Closed at once if this run is stopped, so that no worker outlives it.
                with closing(crew(job, again, repeat)) as outcomes:
                    again = [outcome.source for outcome in outcomes if not run.take(outcome)]
                if not again:
                    break
        finally:
            run.flush()
        return Summary(version, len(items), run.answered, run.unchanged, run.failed)


class _Run:
    """Enters outcomes in the table and counts them."""

    def __init__(self, answers: Answers, failures: Failures) -> None:
        self.answered = self.unchanged = self.failed = 0
        self._answers, self._failures = answers, failures
        self._flushed = time.monotonic()

    def take(self, outcome: Outcome) -> bool:
        """Enters an outcome; False if the video must be recognised again, since no row has its content after all."""
        if outcome.failure is not None:
            self._fail(outcome)
        elif outcome.row is not None and outcome.sha256 is not None:
            self._answers.add(outcome.source, outcome.sha256, outcome.row)
            self._failures.discard(outcome.source)
            self.answered += 1
        elif outcome.sha256 is None or not self._take_known(outcome.source, outcome.sha256):
            return False
        if self._answers.num_held >= FLUSH_ROWS or time.monotonic() - self._flushed >= FLUSH_S:
            self.flush()
        return True

    def flush(self) -> None:
        """Writes what is held."""
        self._answers.flush()
        self._failures.flush()
        self._flushed = time.monotonic()

    def _take_known(self, source: str, sha256: str) -> bool:
        if self._answers.copy(source, sha256):
            self._failures.discard(source)
            self.unchanged += 1
            return True
        reason = self._failures.reason_of(sha256)
        if reason is not None:
            self._fail(Outcome(source, sha256, failure=reason, permanent=True))
        return reason is not None

    def _fail(self, outcome: Outcome) -> None:
        log.warning(f"{outcome.source}: {outcome.failure}")
        self._failures.add(outcome)
        if outcome.permanent:  # else the answer for its last content stays: the network may be down
            self._answers.discard(outcome.source)
        self.failed += 1


@contextmanager
def _only_run(place: Place) -> Iterator[None]:
    """Holds a lock on a local table; the system releases it when this process dies."""
    if place.local is None:
        yield
        return
    place.local.mkdir(parents=True, exist_ok=True)
    with (place.local / "_lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ActreelError(
                f"Another batch writes to '{place.local}'. Wait until it has ended, or choose another folder."
            ) from error
        yield


def _about(card: ClassifierCard) -> dict[str, str]:
    return {f"actreel.{name}": str(value) for name, value in card.provenance.model_dump().items()}
