"""What visitors marked and shared, as the operator sees it."""

from __future__ import annotations

from pathlib import Path

from actreel.base.marks import Mark
from actreel.feedback import Feedback, FeedbackStore
from serving.teaching.answers import Marked
from serving.teaching.lessons import marked_actions


def test_only_what_was_shared_counts(tmp_path: Path, video: Path) -> None:
    folder = tmp_path / "feedback"
    assert marked_actions(folder) == []
    assert not folder.exists()
    store = FeedbackStore(folder)
    store.add(Feedback("whole", "dark", 0.9, "actreel:1", False, "Wave"), video)
    store.add(Feedback("confirmed", "dark", 0.9, "actreel:1", True, None), video)
    store.add(Feedback("kept to themselves", "dark", 0.9, "actreel:1", False, "Wave"))
    marks = [Mark(0, 0.2, "Wave"), Mark(0.2, 0.4, "_unknown"), Mark(0.4, 0.6, "Wave")]
    store.add(Feedback.of_marks("timeline", "dark", 0.9, "actreel:1", marks), video)
    store.add(Feedback("lost", "dark", 0.9, "actreel:1", False, "Jump"), video)
    next(folder.glob("videos/lost*")).unlink()
    assert marked_actions(folder) == [
        Marked(label="Wave", clips=3, videos=2),
        Marked(label="_unknown", clips=1, videos=1),
        Marked(label="dark", clips=1, videos=1),
    ]
