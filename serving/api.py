"""The routes: what may be asked, and which part answers."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi import Path as InPath
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from actreel.feedback import Feedback, FeedbackStore, is_label
from actreel.youtube.cache import VideoCache
from actreel.youtube.fetch import FetchedVideo, FetchLimits, YouTubeError, fetch, video_id
from serving.answers import (
    METRICS,
    Job,
    JobCreated,
    Link,
    ModelCard,
    Prediction,
    Refusal,
    RefusalError,
    Sample,
    Served,
    Verdict,
    VerdictStored,
    busy,
)
from serving.docs import docs_page, document_policy
from serving.events import events
from serving.guard import Guard, check_key, refused
from serving.jobs import VIDEO_FILE, JobRunner, JobStore, Ticket
from serving.metrics import STAGE_SECONDS, exposition
from serving.recognition import NUM_THUMBNAILS, Recogniser
from serving.settings import Settings
from serving.uploads import receive_video
from serving.workers.leaving import Leaving
from serving.workers.scratch import Scratch

WEB = Path(__file__).parent / "web"
YOUTUBE_CACHE_BYTES = 200 * 2**20

# The multipart body goes to disk as it comes, so the framework must not read it first; this tells what it holds.
_FORM = {
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "required": ["video"],
            "properties": {"video": {"type": "string", "format": "binary"}},
        }
    }
}
_LINK = {"application/json": {"schema": Link.model_json_schema()}}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Refusal, "description": "Refused; `error` says why and what to do next."}
}

Result = TypeVar("Result")
JobId = Annotated[str, InPath(pattern=r"^[A-Za-z0-9_-]{22}$")]


@dataclass
class Running:
    """What lives as long as the application does."""

    recogniser: Recogniser
    scratch: Scratch
    store: JobStore
    runner: JobRunner
    cache: VideoCache


class Admission:
    """How many are let in at once."""

    def __init__(self, what: str, limit: int, retry_after_s: int) -> None:
        self._what = what
        self._limit = limit
        self._retry_after_s = retry_after_s
        self._inside = 0

    def check(self) -> None:
        """Refuses whom there is no place for.

        Raises:
            RefusalError: 429.
        """
        if self._inside >= self._limit:
            raise busy(self._what, self._limit, self._retry_after_s)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Takes a place for as long as the context is open.

        Raises:
            RefusalError: 429.
        """
        self.check()
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1


def create_app(settings: Settings) -> FastAPI:
    """The web application; what it serves is set before it starts.

    Args:
        settings: The operator's.

    Returns:
        The application; `app.state.served` is a `Served`, and `app.state.ready` tells when it has warmed up.
    """
    videos = Admission("videos", settings.max_requests, 1)
    streams = Admission("event streams", settings.max_streams, 10)
    running: Running  # set as the application starts

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        nonlocal running
        scratch = Scratch(settings.state_dir)
        app.state.leaving = leaving = Leaving(scratch)
        store = JobStore(scratch, settings)
        runner = JobRunner(store, scratch)
        recogniser = Recogniser(app.state.served, settings)
        cache = VideoCache(settings.state_dir / "youtube", YOUTUBE_CACHE_BYTES)
        running = Running(recogniser, scratch, store, runner, cache)
        try:
            async with recogniser.running(scratch):
                runner.start()
                gc.freeze()  # what is here now stays: looking through it again and again took 5 % of a worker's time
                app.state.ready = True
                scratch.tell_ready()
                leaving.listen()
                try:
                    yield
                finally:
                    app.state.ready = False
                    if leaving.begun:
                        await runner.finish(leaving.hurry)
                    await runner.close()
        finally:
            store.close()
            scratch.close()

    app = FastAPI(
        title="Actreel",
        description="Names the action in a video.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/docs.json",
        lifespan=lifespan,
        responses=_REFUSALS,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.ready = False
    app.add_middleware(Guard, settings=settings)
    _refusals(app)

    async def download(
        link: str, folder: Path, stopped: threading.Event, ticket: Ticket | None = None
    ) -> tuple[FetchedVideo, float]:
        since = time.perf_counter()
        clip = running.recogniser.classifier.card.clip

        def tell(fraction: float) -> None:
            if ticket is not None:
                loop.call_soon_threadsafe(ticket.tell, "download", fraction, [])

        loop = asyncio.get_running_loop()
        limits = FetchLimits(settings.max_duration_s, settings.max_upload_bytes, settings.fetch_timeout_s)
        fetching = asyncio.ensure_future(
            asyncio.to_thread(
                fetch, link, folder, limits=limits, min_side=max(clip.height, clip.width),
                on_progress=tell, cancelled=stopped.is_set, cache=running.cache,
            )
        )  # fmt: skip
        try:
            fetched = await asyncio.shield(fetching)
        except asyncio.CancelledError:
            # The folder must outlive the thread that writes to it.
            stopped.set()
            await asyncio.wait([fetching], timeout=10)
            if fetching.done():
                fetching.exception()
            raise
        except YouTubeError as error:
            raise RefusalError(422, error.code, error.message, error.next_step) from error
        took = time.perf_counter() - since
        STAGE_SECONDS.labels("download").observe(took)
        return fetched, took

    @app.post("/predict_file", openapi_extra={"requestBody": {"required": True, "content": _FORM}})
    async def predict_file(request: Request) -> Prediction:
        """Names the action in an uploaded video: multipart field `video`, any container that FFmpeg reads."""
        started = time.perf_counter()
        with videos.place(), running.scratch.private() as folder:
            path = folder / VIDEO_FILE
            title = await receive_video(request, path, settings.max_upload_bytes)
            STAGE_SECONDS.labels("upload").observe(time.perf_counter() - started)
            work = running.recogniser.predict(path, title, settings.decode_timeout_s, started=started)
            prediction = await _unless_gone(request, work)
        running.store.remember(prediction, None)
        return prediction

    @app.post("/predict_url")
    async def predict_url(request: Request, link: Link) -> Prediction:
        """Names the action in a YouTube video, once it is downloaded; a job shows progress meanwhile."""
        started = time.perf_counter()
        with videos.place(), running.scratch.private() as folder:

            async def work() -> Prediction:
                fetched, took = await download(link.url, folder, threading.Event())
                return await running.recogniser.predict(
                    fetched.path, fetched.title, settings.decode_timeout_s, download_s=took, started=started
                )

            prediction = await _unless_gone(request, work())
        running.store.remember(prediction, None)
        return prediction

    @app.post(
        "/jobs",
        status_code=202,
        openapi_extra={"requestBody": {"required": True, "content": _FORM | _LINK}},
    )
    async def create_job(request: Request) -> JobCreated:
        """Takes on a video, as multipart field `video` or as {"url"}, to be answered later."""
        if request.headers.get("content-type", "").startswith("multipart/"):
            name = running.store.create("decode")
            try:
                with videos.place():
                    path = running.store.folder(name) / VIDEO_FILE
                    title = await receive_video(request, path, settings.max_upload_bytes)
            except BaseException:
                running.store.drop(name)
                raise

            async def work(ticket: Ticket) -> Prediction:
                return await watch(ticket, path, title, 0.0, time.perf_counter())
        else:
            link = await _link_of(request)
            try:
                video_id(link)
            except YouTubeError as error:
                raise RefusalError(422, error.code, error.message, error.next_step) from error
            name = running.store.create("download")

            async def work(ticket: Ticket) -> Prediction:
                started = time.perf_counter()
                ticket.tell("download", 0.0, [])
                fetched, took = await download(link, ticket.folder, ticket.stopped, ticket)
                return await watch(ticket, fetched.path, fetched.title, took, started)

        running.runner.submit(name, work)
        return JobCreated(id=name)

    async def watch(ticket: Ticket, path: Path, title: str, download_s: float, started: float) -> Prediction:
        ticket.tell("decode", 0.0, [])
        return await running.recogniser.predict(
            path, title, settings.job_timeout_s, download_s=download_s, started=started,
            on_progress=lambda share, segments: ticket.tell("model", share, segments), thumbnails=ticket.folder,
        )  # fmt: skip

    @app.get("/jobs/{job}")
    async def job_state(job: JobId) -> Job:
        """A job as it is now."""
        return running.store.get(job)

    @app.delete("/jobs/{job}")
    async def cancel_job(job: JobId) -> Job:
        """Asks for a job's end; one that has ended stays as it is."""
        return running.store.cancel(job)

    @app.get(
        "/jobs/{job}/events", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}}
    )
    async def job_events(job: JobId) -> StreamingResponse:
        """A job's progress as server-sent events: `progress`, `segments`, and `done`, `failed` or `cancelled`."""
        running.store.get(job)
        streams.check()  # once the answer has begun, it can no longer be a refusal

        async def stream() -> AsyncIterator[bytes]:
            with streams.place():
                async for event in events(running.store, job):
                    yield event

        return StreamingResponse(stream(), media_type="text/event-stream")

    @app.get(
        "/jobs/{job}/frames/{number}.jpg", response_class=FileResponse, responses={200: {"content": {"image/jpeg": {}}}}
    )
    async def job_frame(job: JobId, number: Annotated[int, InPath(ge=0, lt=NUM_THUMBNAILS)]) -> FileResponse:
        """One of 8 sampled frames of a job's video."""
        running.store.get(job)
        path = running.store.folder(job) / f"{number}.jpg"
        if not path.is_file():
            raise RefusalError(
                404, "no_such_frame", "a frame is there once it was decoded. Received: one that is not.",
                "Ask again when the job is done.",
            )  # fmt: skip
        return FileResponse(path, media_type="image/jpeg")

    @app.get("/key", status_code=204)
    async def key(request: Request) -> None:
        """Whether a call that changes something would be let in with this X-API-Key: 204, or else 401."""
        check_key(settings, request.headers)

    @app.post("/feedback")
    async def feedback(verdict: Verdict) -> VerdictStored:
        """Keeps a verdict on a prediction; the video with it only if `share_video` is true and it is still here."""
        if verdict.label is not None and not is_label(verdict.label):
            raise RefusalError(
                422, "bad_label", "an action's name is letters, digits, spaces and .()'-, at most 64. Received: other.",
                "Name the action in a word or two.",
            )  # fmt: skip
        known = running.store.recall(verdict.prediction_id)
        video = known.video if verdict.share_video else None
        entry = Feedback(
            verdict.prediction_id, known.label, known.confidence, known.bento, verdict.correct, verdict.label
        )
        await asyncio.to_thread(lambda: FeedbackStore(settings.feedback_dir).add(entry, video))
        return VerdictStored(stored=True, video_kept=video is not None)

    @app.get("/model")
    async def model() -> ModelCard:
        """The model that answers here: its labels, clip settings and where it comes from."""
        served: Served = app.state.served
        card = served.classifier.card
        return ModelCard(
            **served.model.model_dump(),
            dataset=card.provenance.dataset,
            trained_at=card.provenance.trained_at,
            metrics={name: float(served.labels[name]) for name in METRICS if name in served.labels},
            protocol=served.labels.get("protocol"),
            labels=list(card.labels),
            clip=card.clip,
            clip_duration_s=card.clip_duration_s,
            card="/model/card" if served.card.is_file() else None,
        )

    # Not HTMLResponse: FastAPI would then announce refusals as HTML too.
    @app.get("/model/card", response_class=Response, responses={200: {"content": {"text/html": {}}}})
    async def model_card() -> HTMLResponse:
        """The model card: what the model is for, how good it is, and where it fails."""
        served: Served = app.state.served
        if not served.card.is_file():
            raise RefusalError(404, "no_model_card", "this model has no card.", "See GET /model.")
        text = served.card.read_text(encoding="utf-8")
        return HTMLResponse(text, headers={"Content-Security-Policy": document_policy(text)})

    @app.get("/samples")
    async def list_samples() -> list[Sample]:
        """Videos to try the service with."""
        return [Sample(name=name, label=path.parent.name) for name, path in app.state.served.samples.items()]

    @app.get("/samples/{name}", response_class=FileResponse)
    async def sample(name: str) -> FileResponse:
        """One of the videos to try the service with."""
        path = app.state.served.samples.get(name)
        if path is None:
            raise RefusalError(404, "no_such_sample", "there is no such sample.", "See GET /samples.")
        return FileResponse(path)

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        content, kind = await asyncio.to_thread(exposition)
        return Response(content, media_type=kind)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(docs_page(app.openapi()))

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(WEB / "index.html", headers={"Cache-Control": "no-cache"})

    app.mount("/static", StaticFiles(directory=WEB, check_dir=False), name="static")

    app.router.routes.append(_Nothing())
    return app


class _Nothing(BaseRoute):
    """Takes what no route does, so that the server around this application shows no pages of its own.

    It matches in part only: a route that has the path, but not the method, comes first and answers 405.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Any request."""
        return Match.PARTIAL, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """There is no such page."""
        raise HTTPException(404)


def _refusals(app: FastAPI) -> None:
    """Every 4xx in the contract's form."""

    @app.exception_handler(RefusalError)
    async def refuse(request: Request, error: RefusalError) -> JSONResponse:
        return refused(error)

    @app.exception_handler(RequestValidationError)
    async def refuse_form(request: Request, error: RequestValidationError) -> JSONResponse:
        problems = "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors())
        return refused(_bad_request(problems))

    @app.exception_handler(HTTPException)
    async def refuse_other(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 404:
            return refused(RefusalError(404, "no_such_page", "there is no such page.", "See GET /docs."))
        headers = dict(error.headers) if error.headers else None
        return refused(RefusalError(error.status_code, "bad_request", f"{error.detail}.", "See GET /docs.", headers))


async def _link_of(request: Request) -> str:
    """The link in a JSON body."""
    try:
        return Link.model_validate_json(await request.body()).url
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, p['loc'])) or 'body'}: {p['msg']}" for p in error.errors())
        raise _bad_request(problems) from error


def _bad_request(problems: str) -> RefusalError:
    return RefusalError(
        422, "bad_request", f"the request must hold what the call asks for. Received: {problems}.", "See GET /docs."
    )


async def _unless_gone(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """Does the work while the client waits; once nobody waits any more, the work is stopped."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    doing = asyncio.create_task(work)
    watching = asyncio.create_task(gone())
    try:
        await asyncio.wait([doing, watching], return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise RefusalError(499, "gone", "the client left before the answer.", "Ask again.")
        return doing.result()
    finally:
        for task in (doing, watching):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(doing, watching, return_exceptions=True)
