"""The web application: what runs while it does, and the routes of `serving.routes`."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from actreel.statistics import StatisticsLog
from actreel.youtube.cache import VideoCache
from serving.answers import Refusal, Served
from serving.guard import SAFE_METHODS, Guard
from serving.jobs.news import News
from serving.jobs.runner import JobRunner
from serving.jobs.store import JobStore
from serving.on_device import device_files
from serving.recognition import Recogniser
from serving.refusals import handle_refusals
from serving.routes import camera, feedback, jobs, model, on_device, pages, predictions, schema, teach
from serving.running import Admission, Running
from serving.settings import Settings
from serving.teaching.project import Project
from serving.tickets import Tickets
from serving.workers.leaving import Leaving
from serving.workers.scratch import Scratch

YOUTUBE_CACHE_BYTES = 200 * 2**20

_DESCRIPTION = """Recognises the action in a video.

```
curl -F video=@clip.mp4 http://localhost:3000/predict_file
curl -H 'Content-Type: application/json' -d '{"url": "https://youtu.be/..."}' http://localhost:3000/predict_url

# A long video as a job, with its progress
curl -F video=@match.mp4 http://localhost:3000/jobs
curl -N http://localhost:3000/jobs/ID/events
```

Every error is a 4xx with `{"error": {"code", "message", "next_step"}}`; after a 429, wait for as many seconds as
`Retry-After` says. The OpenAPI document is at [docs.json](docs.json).
"""

_REFUSALS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Refusal, "description": "Refused; `error` says why and what to do next."}
}


def create_app(settings: Settings) -> FastAPI:
    """Creates the web application.

    Args:
        settings: The operator's settings.

    Returns:
        The application. Set `app.state.served`, a `Served`, before it starts; `app.state.ready` is true once it has
        warmed up.
    """
    app = FastAPI(
        title="Actreel",
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url="/docs.json",
        # Relative to the document's address, which a proxy may have put under a path.
        servers=[{"url": "."}],
        lifespan=lambda app: _lifespan(app, settings),
        responses=_REFUSALS,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.ready = False
    app.add_middleware(Guard, settings=settings)
    for routes in (predictions, jobs, camera, feedback, teach, model, on_device, pages, schema):
        app.include_router(routes.router)
    app.mount("/static/swagger-ui", StaticFiles(directory=pages.SWAGGER_UI), name="swagger-ui")
    app.mount("/static", StaticFiles(directory=pages.WEB, check_dir=False), name="static")
    handle_refusals(app)
    if settings.api_key is not None:
        _document_the_key(app)
    return app


def _document_the_key(app: FastAPI) -> None:
    """Adds the key to the OpenAPI document. Each call's check is in `serving.guard`, where no route can miss it."""
    document = app.openapi()
    document["components"]["securitySchemes"] = {
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "token": {"type": "http", "scheme": "bearer"},
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method.upper() not in SAFE_METHODS or path in ("/key", teach.LESSONS_PATH):
                operation["security"] = [{"key": []}, {"token": []}]


@asynccontextmanager
async def _lifespan(app: FastAPI, settings: Settings) -> AsyncIterator[None]:
    scratch = Scratch(settings.state_dir)
    app.state.leaving = leaving = Leaving(scratch)
    app.state.running = running = _parts(settings, app.state.served, scratch)
    try:
        async with running.recogniser.running(scratch):
            await running.runner.start()
            gc.freeze()  # these objects stay: scanning them in every collection took 5 % of a worker's time
            app.state.ready = True
            scratch.mark_ready()
            leaving.listen()
            try:
                yield
            finally:
                app.state.ready = False
                if leaving.begun:
                    await running.runner.finish(leaving.hurry)
                await running.runner.close()
    finally:
        running.news.close()
        running.store.close()
        await asyncio.to_thread(scratch.close)


def _parts(settings: Settings, served: Served, scratch: Scratch) -> Running:
    if served.classifier.card.track is not None:  # a camera sends pictures only
        settings = settings.model_copy(update={"max_cameras": 0})
    news = News(scratch.news, scratch.owner)
    store = JobStore(scratch, settings, news.publish)
    statistics = StatisticsLog(settings.statistics_dir, settings.statistics_days, settings.statistics_max_bytes)
    return Running(
        settings=settings,
        served=served,
        recogniser=Recogniser(served, settings),
        scratch=scratch,
        store=store,
        news=news,
        runner=JobRunner(store, news, scratch),
        # Where nothing but landmarks is kept, neither are downloads.
        cache=VideoCache(settings.state_dir / "youtube", 0 if served.classifier.pixels_free else YOUTUBE_CACHE_BYTES),
        statistics=statistics if settings.statistics else None,
        videos=Admission("videos", settings.max_requests, 1),
        streams=Admission("event streams", settings.max_streams, 10),
        cameras=Admission("cameras", settings.max_cameras, 10),
        camera_turn=asyncio.Lock(),
        tickets=Tickets.shared(settings.state_dir),
        device_files=device_files(served),
        project=Project.of(settings, served),
    )
