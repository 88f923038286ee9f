"""Visitors' feedback on predictions."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter

from actreel.base.marks import Mark, fault_in
from actreel.base.places import UNKNOWN
from actreel.feedback import LONGEST_LABEL, Feedback, FeedbackStore, is_label
from serving.answers import FeedbackStored, PredictionFeedback, RefusalError, TimelineFeedback
from serving.jobs.store import RecentPrediction
from serving.running import Parts, Running

router = APIRouter(tags=["Feedback"])


@router.post("/feedback")
def feedback(given: PredictionFeedback, parts: Parts) -> FeedbackStored:
    """Stores feedback on a prediction; the video too if `share_video` is true and it is still kept."""
    _check_label(given.label, parts)

    def entry(prediction: RecentPrediction) -> Feedback:
        return Feedback(
            given.prediction_id, prediction.label, prediction.confidence, prediction.bento, given.correct, given.label
        )

    return _store(given, parts, entry)


@router.post("/feedback/segments")
def feedback_on_timeline(given: TimelineFeedback, parts: Parts) -> FeedbackStored:
    """Stores a prediction's timeline as it should be; the video too if `share_video` is true and it is still kept."""
    for segment in given.segments:
        _check_label(segment.label, parts)
    marks = [Mark(each.start_s, each.end_s, each.label or UNKNOWN) for each in given.segments]

    def entry(prediction: RecentPrediction) -> Feedback:
        if fault := fault_in(marks, prediction.duration_s):
            raise RefusalError(422, "bad_segments", f"{fault}.", "Correct the segments, and send all of them again.")
        return Feedback.of_marks(given.prediction_id, prediction.label, prediction.confidence, prediction.bento, marks)

    return _store(given, parts, entry)


def _check_label(label: str | None, parts: Running) -> None:
    if label is not None and label not in parts.served.classifier.card.labels and not is_label(label):
        raise RefusalError(
            422, "bad_label", f"An action's name has 1 to {LONGEST_LABEL} printable letters, and no space at its ends.",
            "Name the action in one or two words.",
        )  # fmt: skip


def _store(
    given: PredictionFeedback | TimelineFeedback, parts: Running, entry: Callable[[RecentPrediction], Feedback]
) -> FeedbackStored:
    prediction = parts.store.recall(given.prediction_id)
    video = prediction.video if given.share_video else None
    said = entry(prediction)
    store = FeedbackStore(parts.settings.feedback_dir)
    try:
        store.add(said, video)
    except FileNotFoundError:  # a sweep has just deleted the video
        video = None
        store.add(said, video)
    return FeedbackStored(stored=True, video_kept=video is not None)
