"""The served model, its model card and its sample videos."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse, HTMLResponse

from actreel.inference.manifest import ClassifierCard
from actreel.inference.model_folder import PUBLISHED_METRICS
from serving.answers import ModelDescription, RefusalError, Sample
from serving.card_policy import card_policy
from serving.running import Parts

router = APIRouter(tags=["Model"])


@router.get("/model")
def model(parts: Parts) -> ModelDescription:
    """The served model: its labels, its clip settings, and how it was trained."""
    served = parts.served
    card = served.classifier.card
    return ModelDescription(
        **served.model.model_dump(),
        dataset=card.provenance.dataset,
        trained_at=card.provenance.trained_at,
        metrics={name: float(served.labels[name]) for name in PUBLISHED_METRICS if name in served.labels},
        protocol=served.labels.get("protocol"),
        labels=list(card.labels),
        clip=card.clip,
        clip_duration_s=card.clip_duration_s,
        can_reject=card.max_distance is not None,
        precision="float32" if card.int8 is None else "int8",
        takes=_takes(card),
        card="/model/card" if served.card.is_file() else None,
    )


def _takes(card: ClassifierCard) -> Literal["video", "video_and_signal", "signal"]:
    if card.track is None or card.track.signals is None:
        return "video"
    return "signal" if card.takes_signals_alone else "video_and_signal"


# Not HTMLResponse: FastAPI would then document refusals as HTML too.
@router.get("/model/card", response_class=Response, responses={200: {"content": {"text/html": {}}}})
def model_card(parts: Parts) -> HTMLResponse:
    """The model card: what the model is for, how accurate it is, and where it fails."""
    if not parts.served.card.is_file():
        raise RefusalError(404, "no_model_card", "This model has no model card.", "See GET /model.")
    text = parts.served.card.read_text(encoding="utf-8")
    return HTMLResponse(text, headers={"Content-Security-Policy": card_policy(text)})


@router.get("/samples")
def list_samples(parts: Parts) -> list[Sample]:
    """Sample videos to try the service with."""
    return [Sample(name=name, label=path.parent.name) for name, path in parts.served.samples.items()]


@router.get("/samples/{name}", response_class=FileResponse)
def sample(name: str, parts: Parts) -> FileResponse:
    """One of the sample videos."""
    path = parts.served.samples.get(name)
    if path is None:
        raise RefusalError(404, "no_such_sample", "There is no such sample.", "See GET /samples.")
    return FileResponse(path)
