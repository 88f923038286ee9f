"""The HTTP contract: what is asked, what is answered, and every refusal as `{"error": {code, message, next_step}}`."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, File, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from actreel.classifier import ActionClassifier, Scored
from actreel.clips import load_clip_and_info
from actreel.errors import VideoError
from actreel.video import VideoInfo

MAX_UPLOAD_BYTES = 200 * 2**20


class Answer(BaseModel):
    """One action and how sure the model is of it."""

    label: str
    confidence: float


class Segment(Answer):
    """What the model sees between two moments, in seconds."""

    start_s: float
    end_s: float


class Video(BaseModel):
    """The video that was asked about; size in pixels."""

    title: str
    duration_s: float
    width: int
    height: int
    fps: float


class Timings(BaseModel):
    """Where the time went, in milliseconds."""

    download: float
    decode: float
    model: float
    total: float


class ServedModel(BaseModel):
    """The model that answered, down to the data and code it was made from."""

    name: str
    version: str
    run_id: str
    git_commit: str
    data_version: str
    bento: str


class Prediction(Answer):
    """The answer to both predict calls."""

    known: bool
    top: list[Answer]
    segments: list[Segment]
    video: Video
    timings_ms: Timings
    model: ServedModel


class RefusalError(Exception):
    """A request that is answered with a 4xx."""

    def __init__(self, status: int, code: str, message: str, next_step: str) -> None:
        super().__init__(message)
        self.status = status
        self.content = {"error": {"code": code, "message": message, "next_step": next_step}}


def create_app() -> FastAPI:
    """The web application; `app.state.classifier` and `app.state.bento` are set before the first request."""
    app = FastAPI(title="Actreel", docs_url=None, redoc_url=None)

    @app.exception_handler(RefusalError)
    def refuse(request: Request, error: RefusalError) -> JSONResponse:
        return JSONResponse(error.content, error.status)

    @app.exception_handler(RequestValidationError)
    def refuse_form(request: Request, error: RequestValidationError) -> JSONResponse:
        problems = "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors())
        refusal = RefusalError(
            422,
            "bad_request",
            f"the request must hold what the call asks for. Received: {problems}",
            "Send the video as multipart field 'video', as curl -F video=@clip.avi does.",
        )
        return JSONResponse(refusal.content, refusal.status)

    @app.post("/predict_file")
    def predict_file(video: Annotated[UploadFile, File()]) -> Prediction:
        """Names the action in an uploaded video."""
        if (video.size or 0) > MAX_UPLOAD_BYTES:
            raise RefusalError(
                413,
                "too_large",
                f"a video must be at most {MAX_UPLOAD_BYTES >> 20} MB. Received: {(video.size or 0) >> 20} MB.",
                "Cut or shrink the video.",
            )
        with tempfile.TemporaryDirectory(prefix="actreel-") as private:
            path = Path(private) / "video"  # never the name that the client sent
            with path.open("wb") as file:
                shutil.copyfileobj(video.file, file)
            return predict(app.state.classifier, app.state.bento, path, video.filename or "")

    @app.get("/model")
    def model() -> dict[str, Any]:
        """The model that answers here: its labels, clip settings and where it comes from."""
        classifier: ActionClassifier = app.state.classifier
        return {
            **served_model(classifier, app.state.bento).model_dump(),
            "labels": classifier.card.labels,
            "clip": classifier.card.clip.model_dump(),
        }

    return app


def predict(classifier: ActionClassifier, bento: str, path: Path, title: str) -> Prediction:
    """Answers for one video file.

    Raises:
        RefusalError: The file is no video that can be decoded.
    """
    start = time.perf_counter()
    try:
        clip, info = load_clip_and_info(path, classifier.card.clip)
    except VideoError as error:
        raise RefusalError(
            422,
            "not_a_video",
            "an upload must be a video that can be decoded. Received: a file that is damaged, empty or no video.",
            "Send an .mp4, .avi, .mov, .mkv or .webm file that plays on your machine.",
        ) from error
    decoded = time.perf_counter()
    top = classifier.ranked(classifier.probabilities(clip[None])[0])
    done = time.perf_counter()
    return Prediction(
        **as_answer(top[0]).model_dump(),
        known=True,
        top=[as_answer(scored) for scored in top],
        segments=[Segment(**as_answer(top[0]).model_dump(), start_s=0, end_s=info.duration_s)],
        video=as_video(title, info),
        timings_ms=Timings(
            download=0,
            decode=(decoded - start) * 1000,
            model=(done - decoded) * 1000,
            total=(done - start) * 1000,
        ),
        model=served_model(classifier, bento),
    )


def as_answer(scored: Scored) -> Answer:
    """The classifier's score in the words of the contract."""
    return Answer(label=scored.label, confidence=scored.confidence)


def as_video(title: str, info: VideoInfo) -> Video:
    """What was decoded, in the words of the contract."""
    return Video(title=title, duration_s=info.duration_s, width=info.width, height=info.height, fps=info.fps)


def served_model(classifier: ActionClassifier, bento: str) -> ServedModel:
    """The model's provenance in the words of the contract."""
    provenance = classifier.card.provenance
    return ServedModel(
        name=f"actreel-{provenance.dataset}",
        version=bento.partition(":")[2],
        run_id=provenance.run_id,
        git_commit=provenance.git_commit,
        data_version=provenance.data_version,
        bento=bento,
    )
