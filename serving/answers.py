"""The HTTP contract's words: what is answered, and every refusal as `{"error": {code, message, next_step}}`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fastapi import HTTPException
from pydantic import BaseModel

from actreel.config import ClipSpec
from actreel.inference.classifier import ActionClassifier, Scored
from actreel.inference.model_folder import ModelFolder
from actreel.inference.segments import Segment as SeenSegment
from actreel.video.info import VideoInfo

METRICS = ("accuracy", "chance", "num_test_clips")

State = Literal["queued", "running", "done", "failed", "cancelled"]
Stage = Literal["download", "decode", "model"]


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
    """Where the time went, in milliseconds; what `total` has more is the service's own."""

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
    """The answer for one video; `prediction_id` is what feedback refers to."""

    prediction_id: str
    known: bool
    top: list[Answer]
    segments: list[Segment]
    video: Video
    timings_ms: Timings
    model: ServedModel


class ModelCard(ServedModel):
    """The model that answers here; `metrics` are those on held-out groups, as far as the registry knows them.

    `card` is the address of the model card for people, where there is one.
    """

    dataset: str
    trained_at: str
    metrics: dict[str, float]
    protocol: str | None
    labels: list[str]
    clip: ClipSpec
    clip_duration_s: float | None
    card: str | None


class Problem(BaseModel):
    """Why a request was refused, in words for people, and what to do next."""

    code: str
    message: str
    next_step: str


class Refusal(BaseModel):
    """The body of every 4xx."""

    error: Problem


class Progress(BaseModel):
    """How far a job's present stage is; `fraction` in [0, 1]."""

    stage: Stage
    fraction: float


class JobCreated(BaseModel):
    """A job was taken on."""

    id: str


class Job(BaseModel):
    """A job as it is now; `segments` grow while it runs."""

    id: str
    state: State
    progress: Progress
    segments: list[Segment]
    result: Prediction | None
    error: Problem | None


class Link(BaseModel):
    """A link to a YouTube video."""

    url: str


class Verdict(BaseModel):
    """Was a prediction right? `label` is the right action; the video is kept only if `share_video` is true."""

    prediction_id: str
    correct: bool
    label: str | None = None
    share_video: bool = False


class VerdictStored(BaseModel):
    """Feedback was kept, and whether the video with it."""

    stored: bool
    video_kept: bool


class Sample(BaseModel):
    """A video to try the service with."""

    name: str
    label: str


class RefusalError(HTTPException):
    """A request that is answered with a 4xx.

    It is an HTTPException because FastAPI turns any other exception raised while a body is read into its own 400.
    """

    def __init__(
        self, status: int, code: str, message: str, next_step: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(status, detail=message, headers=headers)
        self.problem = Problem(code=code, message=message, next_step=next_step)

    def __str__(self) -> str:
        return f"{self.problem.code}: {self.problem.message}"


def busy(what: str, limit: int, retry_after_s: int) -> RefusalError:
    """The 429 for a service that has as much to do as it can take."""
    return RefusalError(
        429,
        "busy",
        f"at most {limit} {what} are taken on at once. Received: one more.",
        f"Ask again in {retry_after_s} s.",
        {"Retry-After": str(retry_after_s)},
    )


def as_answer(scored: Scored) -> Answer:
    """The classifier's score in the words of the contract."""
    return Answer(label=scored.label, confidence=scored.confidence)


def as_segments(segments: list[SeenSegment], labels: tuple[str, ...]) -> list[Segment]:
    """Segments in the words of the contract."""
    return [
        Segment(label=labels[seen.action], confidence=seen.confidence, start_s=seen.start_s, end_s=seen.end_s)
        for seen in segments
    ]


def as_video(title: str, info: VideoInfo) -> Video:
    """What was decoded, in the words of the contract."""
    return Video(title=title, duration_s=info.duration_s, width=info.width, height=info.height, fps=info.fps)


@dataclass(frozen=True)
class Served:
    """What answers here.

    Attributes:
        classifier: The model.
        bento: The Bento's tag, or the model's where it is served from source.
        labels: What the registry said of the model; empty for one that never was in it.
        folder: The model's; besides the model it may hold `model_card.html`, and samples as `samples/<action>/<video>`.
    """

    classifier: ActionClassifier
    bento: str
    labels: Mapping[str, str]
    folder: Path

    @property
    def samples(self) -> dict[str, Path]:
        """Videos to try the service with, by name."""
        return {path.name: path for path in sorted(self.folder.glob("samples/*/*")) if path.is_file()}

    @property
    def card(self) -> Path:
        """The model card, made to be read; may be missing."""
        return ModelFolder(self.folder).model_card

    @property
    def model(self) -> ServedModel:
        """The model's provenance in the words of the contract."""
        provenance = self.classifier.card.provenance
        return ServedModel(
            name=self.labels.get("registered_model", f"actreel-{provenance.dataset}"),
            version=self.labels.get("version", "unregistered"),
            run_id=provenance.run_id,
            git_commit=provenance.git_commit,
            data_version=provenance.data_version,
            bento=self.bento,
        )
