"""Jobs: videos that are answered later, with their progress as events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi import Path as InPath
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import ValidationError
from starlette.types import Receive, Scope, Send

from serving.answers import Job, JobCreated, Link, Prediction, RefusalError, Stage
from serving.downloads import check_link, download
from serving.jobs.events import events
from serving.jobs.runner import Ticket, Work
from serving.jobs.store import VIDEO_FILE
from serving.recognition import NUM_THUMBNAILS
from serving.refusals import bad_request, summary
from serving.running import Admission, Parts, Running
from serving.teaching.answers import JOB_ID
from serving.uploads import FORM, receive_clip

router = APIRouter(tags=["Jobs"])

JobId = Annotated[str, InPath(pattern=JOB_ID)]

_LINK = {"application/json": {"schema": Link.model_json_schema()}}


@router.post(
    "/jobs",
    status_code=202,
    openapi_extra={"requestBody": {"required": True, "content": FORM | _LINK}},
)
async def create_job(request: Request, parts: Parts) -> JobCreated:
    """Accepts a video, as multipart field `video` or as {"url"}, to be answered later."""
    if request.headers.get("content-type", "").startswith("multipart/"):
        video = None
        name, work = await _uploaded(request, parts)
    else:
        link = await _read_link(request)
        video = check_link(link)
        name, work = await _linked(link, parts)
    parts.runner.submit(name, work)
    return JobCreated(id=name, video_id=video)


@router.get("/jobs/{job}")
def job_state(job: JobId, parts: Parts) -> Job:
    """A job's current state."""
    return parts.store.get(job)


@router.delete("/jobs/{job}")
def cancel_job(job: JobId, parts: Parts) -> Job:
    """Asks for a job to be cancelled; one that has ended stays as it is."""
    return parts.store.cancel(job)


class EventStream(StreamingResponse):
    """Server-sent events, counted as a stream in progress while they are sent."""

    def __init__(self, content: AsyncIterator[bytes], streams: Admission) -> None:
        # nginx would otherwise hold events back until its buffer is full.
        super().__init__(content, headers={"X-Accel-Buffering": "no"}, media_type="text/event-stream")
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises 429 when full: the answer has not begun yet, so it can still be a refusal."""
        with self._streams.admitted():
            await super().__call__(scope, receive, send)


@router.get(
    "/jobs/{job}/events", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}}
)
async def job_events(job: JobId, parts: Parts) -> StreamingResponse:
    """A job's progress as server-sent events: `progress`, `segments`, and `done`, `failed` or `cancelled`."""
    await asyncio.to_thread(parts.store.get, job)
    return EventStream(events(parts.store, parts.news, job), parts.streams)


@router.get(
    "/jobs/{job}/frames/{number}.jpg", response_class=FileResponse, responses={200: {"content": {"image/jpeg": {}}}}
)
def job_frame(job: JobId, number: Annotated[int, InPath(ge=0, lt=NUM_THUMBNAILS)], parts: Parts) -> FileResponse:
    """One of 8 sampled frames of a job's video."""
    parts.store.get(job)
    path = parts.store.folder(job) / f"{number}.jpg"
    if not path.is_file():
        raise RefusalError(404, "no_such_frame", "This frame is not decoded yet.", "Try again when the job is done.")
    return FileResponse(path, media_type="image/jpeg")


async def _created(parts: Running, stage: Stage) -> str:
    """Adds a job; it is dropped again if the client leaves meanwhile."""
    creating = asyncio.ensure_future(asyncio.to_thread(parts.store.create, stage))
    try:
        return await asyncio.shield(creating)
    except asyncio.CancelledError:
        with suppress(RefusalError):
            await asyncio.to_thread(parts.store.drop, await creating)
        raise


async def _uploaded(request: Request, parts: Running) -> tuple[str, Work]:
    """Receives an upload into a new job's folder; returns the job's id and its work."""
    name = await _created(parts, "decode")
    try:
        with parts.videos.admitted():
            sent = await receive_clip(
                request, parts.store.folder(name) / VIDEO_FILE, parts.settings.max_upload_bytes,
                signals_alone=parts.takes_signals_alone,
            )  # fmt: skip
    except BaseException:
        await asyncio.shield(asyncio.to_thread(parts.store.drop, name))
        raise

    async def work(ticket: Ticket) -> Prediction:
        return await _predict(parts, ticket, sent.path, sent.title, 0.0, time.perf_counter())

    return name, work


async def _read_link(request: Request) -> str:
    try:
        return Link.model_validate_json(await request.body()).url
    except ValidationError as error:
        raise bad_request(summary(error.errors(), "body")) from error


async def _linked(link: str, parts: Running) -> tuple[str, Work]:
    """Returns a new job's id and its work."""
    name = await _created(parts, "download")

    async def work(ticket: Ticket) -> Prediction:
        started = time.perf_counter()
        ticket.report("download", 0.0, [])
        fetched, took = await download(
            parts, link, ticket.folder, ticket.stopped, lambda fraction: ticket.report("download", fraction, [])
        )
        return await _predict(parts, ticket, fetched.path, fetched.title, took, started)

    return name, work


async def _predict(
    parts: Running, ticket: Ticket, path: Path, title: str, download_s: float, started: float
) -> Prediction:
    ticket.report("decode", 0.0, [])
    answered = await parts.recogniser.predict(
        path, title, parts.settings.job_timeout_s, download_s=download_s, started=started,
        on_progress=lambda share, segments: ticket.report("model", share, segments), thumbnails=ticket.folder,
    )  # fmt: skip
    return await parts.count(answered)
