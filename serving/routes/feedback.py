"""Visitors' feedback on predictions."""

from __future__ import annotations

from fastapi import APIRouter

from actreel.feedback import LONGEST_LABEL, Feedback, FeedbackStore, is_label
from serving.answers import FeedbackStored, PredictionFeedback, RefusalError
from serving.running import Parts

router = APIRouter(tags=["Feedback"])


@router.post("/feedback")
def feedback(given: PredictionFeedback, parts: Parts) -> FeedbackStored:
    """Stores feedback on a prediction; the video too if `share_video` is true and it is still kept."""
    known = parts.served.classifier.card.labels
    if given.label is not None and given.label not in known and not is_label(given.label):
        raise RefusalError(
            422, "bad_label", f"An action's name has 1 to {LONGEST_LABEL} printable letters, and no space at its ends.",
            "Name the action in one or two words.",
        )  # fmt: skip
    prediction = parts.store.recall(given.prediction_id)
    video = prediction.video if given.share_video else None
    entry = Feedback(
        given.prediction_id, prediction.label, prediction.confidence, prediction.bento, given.correct, given.label
    )
    store = FeedbackStore(parts.settings.feedback_dir)
    try:
        store.add(entry, video)
    except FileNotFoundError:  # a sweep has just deleted the video
        video = None
        store.add(entry, video)
    return FeedbackStored(stored=True, video_kept=video is not None)
