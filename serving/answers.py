"""The bodies of requests and answers; every 4xx is `{"error": {code, message, next_step}}`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fastapi import HTTPException
from pydantic import BaseModel, ConfigDict, Field

from actreel.config import ClipSpec
from actreel.inference.answers import LabelledSegment
from actreel.inference.classifier import ActionClassifier
from actreel.inference.model_folder import ModelFolder
from actreel.video.info import VideoInfo
from serving.teaching.answers import TaughtDraft

MOST_SEGMENTS = 256
"""Segments that a visitor may mark in a video; with long labels, the limit of a body is reached before."""

State = Literal["queued", "running", "done", "failed", "cancelled"]
Stage = Literal["download", "decode", "model", "lesson", "teach"]


class Answer(BaseModel):
    """An action and its probability."""

    model_config = ConfigDict(from_attributes=True)

    label: str
    confidence: float


class Segment(Answer):
    """The predicted action between two times, in seconds; with `known` false it shows none of the model's actions."""

    known: bool = True
    start_s: float
    end_s: float


class Pose(BaseModel):
    """The largest person in a sampled frame, which is shown from `at_s` on, in seconds.

    `landmarks` are BlazePose's 33: each x and y in pixels of the video, and how likely it is to be visible, in [0, 1].
    The list is empty if no person was found.
    """

    model_config = ConfigDict(from_attributes=True)

    at_s: float
    landmarks: list[tuple[float, float, float]]


class Video(BaseModel):
    """The video that was sent; its size is in pixels, and 0 for signals without a video."""

    title: str
    duration_s: float
    width: int
    height: int
    fps: float


class Timings(BaseModel):
    """Milliseconds per stage; `total` also includes the service's own work."""

    download: float
    decode: float
    model: float
    total: float


class ServedModel(BaseModel):
    """The model that answered, with the data and code it was trained with."""

    name: str
    version: str
    run_id: str
    git_commit: str
    data_version: str
    bento: str


class Prediction(Answer):
    """The prediction for one video; feedback refers to it by `prediction_id`.

    If `known` is false, the video shows none of the model's actions, as far as the model can tell: `label` is only the
    nearest of them, and `confidence` is 0; the same goes for each of the segments. `top` compares the model's actions
    with each other, so one of them can be near 1 all the same.

    `people` and `poses` are null unless the model sees landmarks (`model.encoder: pose`): how many people were seen at
    once, at most, and where the largest one's joints are in each sampled frame.
    """

    prediction_id: str
    known: bool
    top: list[Answer]
    segments: list[Segment]
    people: int | None = None
    poses: list[Pose] | None = None
    video: Video
    timings_ms: Timings
    model: ServedModel


class ModelDescription(ServedModel):
    """The served model; `metrics` are those that the registry has, on held-out groups.

    `precision` is float32, or int8 for a model that was rounded after training: its accuracy was then measured in int8.
    `card` is the model card's address, or null if the model has none. A model with `can_reject` false answers every
    video with one of its actions. `takes` says what can be sent: `video`, `video_and_signal`, or for a model that sees
    no pictures `signal`, with a video or without.
    """

    dataset: str
    trained_at: str
    metrics: dict[str, float]
    protocol: str | None
    labels: list[str]
    clip: ClipSpec
    clip_duration_s: float | None
    can_reject: bool
    precision: Literal["float32", "int8"]
    takes: Literal["video", "video_and_signal", "signal"]
    card: str | None


class Problem(BaseModel):
    """Why a request was refused, and what to do next, in words for people."""

    code: str
    message: str
    next_step: str

    @staticmethod
    def internal() -> Problem:
        """A fault of the service; its details are in the log only."""
        return Problem(code="internal", message="Something went wrong on our side.", next_step="Try again later.")

    @staticmethod
    def interrupted() -> Problem:
        """A job whose worker has ended before it."""
        return Problem(
            code="interrupted",
            message="The service was stopped before this job was done.",
            next_step="Send the video again.",
        )


class Refusal(BaseModel):
    """The body of every 4xx."""

    error: Problem


class Progress(BaseModel):
    """How far a job's current stage is; `fraction` is in [0, 1]."""

    stage: Stage
    fraction: float


class JobCreated(BaseModel):
    """The id of an accepted job, and YouTube's id of its video if it was sent as a link."""

    id: str
    video_id: str | None = None


class Job(BaseModel):
    """A job's current state; `segments` grow while it runs. The `result` of `POST /teach` is a draft."""

    id: str
    state: State
    progress: Progress
    segments: list[Segment]
    result: Prediction | TaughtDraft | None
    error: Problem | None


class Link(BaseModel):
    """A link to a YouTube video."""

    url: str


class PredictionFeedback(BaseModel):
    """Was a prediction correct? The video is kept only if `share_video` is true.

    `label` is the correct action, one of the model's or another. Without one, a prediction that is not correct means
    that the video shows none of the model's actions.
    """

    prediction_id: str
    correct: bool
    label: str | None = None
    share_video: bool = False


class MarkedSegment(BaseModel):
    """What a visitor says is seen between two times, in seconds; without a label none of the model's actions."""

    start_s: float = Field(ge=0, allow_inf_nan=False)
    end_s: float = Field(gt=0, allow_inf_nan=False)
    label: str | None = None


class TimelineFeedback(BaseModel):
    """A prediction's timeline as it should be; the video is kept only if `share_video` is true.

    Segments may leave parts of the video out, and must not overlap. They replace earlier feedback on the prediction.
    """

    prediction_id: str
    segments: list[MarkedSegment] = Field(min_length=1, max_length=MOST_SEGMENTS)
    share_video: bool = False


class FeedbackStored(BaseModel):
    """Whether the feedback was stored, and the video with it."""

    stored: bool
    video_kept: bool


class Sample(BaseModel):
    """A sample video to try the service with."""

    name: str
    label: str


class RefusalError(HTTPException):
    """Ends a request with a 4xx.

    It is an HTTPException because FastAPI answers any other exception raised while a body is read with its own 400.
    """

    def __init__(
        self, status: int, code: str, message: str, next_step: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(status, detail=message, headers=headers)
        self.problem = Problem(code=code, message=message, next_step=next_step)

    def __str__(self) -> str:
        return f"{self.problem.code}: {self.problem.message}"


def busy(what: str, limit: int, retry_after_s: int) -> RefusalError:
    """The 429 of a service that is full."""
    return RefusalError(
        429,
        "busy",
        f"The service is full: it accepts at most {limit} {what} at once.",
        f"Try again in {retry_after_s} s.",
        {"Retry-After": str(retry_after_s)},
    )


def gone() -> RefusalError:
    """The 499 of a client that left before its answer; only the log and the metrics see it."""
    return RefusalError(499, "gone", "The client disconnected before the answer.", "Send the video again.")


def as_segments(segments: Iterable[LabelledSegment]) -> list[Segment]:
    """Segments as an answer."""
    return [Segment.model_validate(segment) for segment in segments]


def as_video(title: str, info: VideoInfo) -> Video:
    """The decoded video as an answer."""
    return Video(title=title, duration_s=info.duration_s, width=info.width, height=info.height, fps=info.fps)


@dataclass(frozen=True)
class Served:
    """The model that this service serves.

    Attributes:
        classifier: The classifier.
        bento: The Bento's tag, or the model's tag if it is served from source.
        labels: What the registry knows about the model; empty if it was never registered.
        folder: The model folder; it may also hold `model_card.html`, and samples as `samples/<action>/<video>`.
    """

    classifier: ActionClassifier
    bento: str
    labels: Mapping[str, str]
    folder: Path

    @property
    def samples(self) -> dict[str, Path]:
        """The sample videos by name."""
        return {path.name: path for path in sorted(self.folder.glob("samples/*/*")) if path.is_file()}

    @property
    def card(self) -> Path:
        """The path of the model card, which may not exist."""
        return ModelFolder(self.folder).model_card

    @property
    def model(self) -> ServedModel:
        """The model's provenance as an answer."""
        provenance = self.classifier.card.provenance
        return ServedModel(
            name=self.labels.get("registered_model", f"actreel-{provenance.dataset}"),
            version=self.labels.get("version", "unregistered"),
            run_id=provenance.run_id,
            git_commit=provenance.git_commit,
            data_version=provenance.data_version,
            bento=self.bento,
        )
