"""Teaching from the page, by the operator's word: each call needs the key, but the one that says if it is offered."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request

from serving.answers import JobCreated, RefusalError
from serving.callers import check_key
from serving.jobs.runner import Ticket
from serving.running import Parts, Running
from serving.teaching.answers import (
    DraftToPromote,
    Lesson,
    Lessons,
    Promoted,
    TaughtDraft,
    Teaching,
)
from serving.teaching.lessons import learn, marked_actions
from serving.teaching.project import CommandError, Project

LESSONS_PATH = "/teach/lessons"
SHORTEST_RECORDING_S, LONGEST_RECORDING_S = 2.0, 10.0

router = APIRouter(tags=["Teaching"])


@router.get("/teach")
async def teaching(parts: Parts) -> Teaching | None:
    """Which model can be taught from the page; null where none can."""
    if parts.project is None:
        return None
    usual = parts.served.classifier.card.clip_duration_s or SHORTEST_RECORDING_S
    return Teaching(model=parts.project.model, record_s=min(LONGEST_RECORDING_S, max(SHORTEST_RECORDING_S, usual)))


@router.get(LESSONS_PATH)
def lessons(request: Request, parts: Parts) -> Lessons:
    """What visitors marked and shared, and the lesson that is being learned; it needs the key."""
    check_key(parts.settings, request.headers)
    project = _project(parts)
    return Lessons(actions=marked_actions(project.feedback_dir), job=parts.store.teaching())


@router.post("/teach", status_code=202)
async def teach(given: Lesson, parts: Parts) -> JobCreated:
    """Has actions learned as a draft beside the champion; a job, whose `result` is the draft."""
    project = _project(parts)
    marked = {each.label for each in await asyncio.to_thread(marked_actions, project.feedback_dir)}
    if missing := [action for action in given.actions if action not in marked]:
        raise RefusalError(
            422, "not_marked", f"No video that visitors shared shows '{missing[0]}'.",
            f"Choose among the actions that GET {LESSONS_PATH} lists.",
        )  # fmt: skip
    name = await asyncio.to_thread(parts.store.create, "lesson")

    async def work(ticket: Ticket) -> TaughtDraft:
        return await learn(project, given.actions, ticket)

    parts.runner.submit(name, work)
    return JobCreated(id=name)


@router.post("/teach/promote")
async def promote(given: DraftToPromote, parts: Parts) -> Promoted:
    """Makes a draft champion by hand; it is served once it is packaged."""
    project = _project(parts)
    draft = (await asyncio.to_thread(parts.store.get, given.job)).result
    if not isinstance(draft, TaughtDraft):
        raise RefusalError(422, "no_draft", "This job has made no draft.", "Name a job of POST /teach that is done.")
    try:
        told, _ = await project.run("models", "promote", f"{draft.name}@{draft.version}", f"--reason={given.reason}")
    except CommandError as error:
        raise RefusalError(
            422, "not_promoted", str(error), "The champion is what it was. Correct this, then promote again."
        ) from error
    return Promoted(
        name=told["name"], version=told["version"], instead_of=told["instead_of"],
        next_step="In the project, make repro && make reload packages it and serves it.",
    )  # fmt: skip


def _project(parts: Running) -> Project:
    if parts.project is None:
        raise RefusalError(
            404, "no_teaching", "Nothing can be taught from this service's page.",
            "Operators teach at the terminal: actreel teach. The documentation says how to offer it here.",
        )  # fmt: skip
    return parts.project
