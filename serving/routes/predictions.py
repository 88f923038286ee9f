"""Predictions while the client waits."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from fastapi import APIRouter, Request

from serving.answers import Link, Prediction, gone
from serving.downloads import download
from serving.jobs.store import VIDEO_FILE
from serving.metrics import STAGE_SECONDS
from serving.recognition import Answered
from serving.running import Parts
from serving.uploads import FORM, receive_clip

router = APIRouter(tags=["Predictions"])

Result = TypeVar("Result")


@router.post("/predict_file", openapi_extra={"requestBody": {"required": True, "content": FORM}})
async def predict_file(request: Request, parts: Parts) -> Prediction:
    """Predicts the action in an uploaded video: multipart field `video`, any container that FFmpeg reads.

    A model of sensors' signals takes them in the field `signal`; if it takes nothing else, without a video too.
    """
    started = time.perf_counter()
    settings = parts.settings
    with parts.videos.admitted():
        async with parts.scratch.private() as folder:
            sent = await receive_clip(
                request, folder / VIDEO_FILE, settings.max_upload_bytes, signals_alone=parts.takes_signals_alone
            )
            STAGE_SECONDS.labels("upload").observe(time.perf_counter() - started)
            work = parts.recogniser.predict(sent.path, sent.title, settings.decode_timeout_s, started=started)
            answered = await _while_connected(request, work)
    await asyncio.to_thread(parts.store.remember, answered.prediction, None)
    return await parts.count(answered)


@router.post("/predict_url")
async def predict_url(request: Request, link: Link, parts: Parts) -> Prediction:
    """Downloads a YouTube video and predicts its action; send a job instead to see the progress."""
    started = time.perf_counter()
    with parts.videos.admitted():
        async with parts.scratch.private() as folder:

            async def work() -> Answered:
                fetched, took = await download(parts, link.url, folder, threading.Event())
                return await parts.recogniser.predict(
                    fetched.path, fetched.title, parts.settings.decode_timeout_s, download_s=took, started=started
                )

            answered = await _while_connected(request, work())
    await asyncio.to_thread(parts.store.remember, answered.prediction, None)
    return await parts.count(answered)


async def _while_connected(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """Runs the work, and stops it if the client disconnects first.

    Raises:
        RefusalError: 499, as the client has disconnected.
    """

    async def disconnected() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    working = asyncio.create_task(work)
    watching = asyncio.create_task(disconnected())
    try:
        await asyncio.wait([working, watching], return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise gone()
        return working.result()
    finally:
        for task in (working, watching):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(working, watching, return_exceptions=True)
