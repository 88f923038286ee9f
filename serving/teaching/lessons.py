"""Lessons: what visitors marked and shared, and how it becomes a draft."""

from __future__ import annotations

import asyncio
import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from actreel.feedback import DATABASE, FeedbackStore
from serving.answers import RefusalError
from serving.jobs.runner import Ticket
from serving.teaching.answers import Marked, TaughtDraft
from serving.teaching.project import CommandError, Project


def marked_actions(feedback_dir: Path) -> list[Marked]:
    """The actions in the videos that visitors shared, by name."""
    if not (feedback_dir / DATABASE).is_file():
        return []
    clips: dict[str, list[str]] = defaultdict(list)
    for feedback, video in FeedbackStore(feedback_dir).all():
        if video is None or not video.is_file():
            continue
        for label in [mark.label for mark in feedback.marks] or [feedback.truth]:
            clips[label].append(feedback.prediction_id)
    return [Marked(label=label, clips=len(of), videos=len(set(of))) for label, of in sorted(clips.items())]


async def learn(project: Project, actions: Sequence[str], ticket: Ticket) -> TaughtDraft:
    """Has the champion learn what visitors marked, as a job: `actreel feedback export`, then `actreel teach`.

    Args:
        project: Where.
        actions: Which of the marked actions.
        ticket: The job's.

    Returns:
        The draft, registered.

    Raises:
        RefusalError: 422, as the lesson cannot be learned.
    """
    lesson = ticket.folder.absolute() / "lesson"
    try:
        ticket.report("lesson", 0.0, [])
        _, left_out = await project.run("feedback", "export", str(lesson), *(f"--action={each}" for each in actions))
        ticket.report("teach", 0.0, [])
        told, warnings = await project.run("teach", str(lesson), f"--base={project.model}")
    except CommandError as error:
        raise RefusalError(422, "not_taught", str(error), "Mark or record more, then teach again.") from error
    finally:
        await asyncio.to_thread(shutil.rmtree, lesson, ignore_errors=True)
    return TaughtDraft(
        **{name: told[name] for name in ("name", "version", "base", "run_id", "table")},
        notes=[*told["notes"], *left_out, *warnings], to_try=told["try"],
    )  # fmt: skip
