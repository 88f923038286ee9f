"""What visitors said becomes a dataset: whole videos, and timelines that they corrected."""

from __future__ import annotations

from pathlib import Path

import pytest

from actreel.base.marks import Mark
from actreel.cli import main
from actreel.dataset.groups import groups_of
from actreel.errors import DatasetError
from actreel.feedback import Feedback, FeedbackStore, Waiting, count_waiting
from actreel.labelling.visitors import export_dataset
from actreel.video.decode import probe
from tests.conftest import grey_frames, write_video_file


def marked(name: str, *marks: Mark) -> Feedback:
    return Feedback.of_marks(name, "YoYo", 0.75, "actreel:1", marks)


def exported(target: Path) -> list[Path]:
    return sorted(path.relative_to(target) for path in target.glob("*/feedback_*"))


@pytest.fixture
def store(tmp_path: Path) -> FeedbackStore:
    return FeedbackStore(tmp_path / "feedback")


def test_a_corrected_timeline_becomes_clips_of_one_group(store: FeedbackStore, video: Path, tmp_path: Path) -> None:
    target = tmp_path / "export"
    other = write_video_file(tmp_path / "other.avi", grey_frames([9] * 5))
    store.add(marked("one", Mark(0, 0.4, "YoYo"), Mark(0.4, 1.2, "_unknown")), video)
    store.add(Feedback("two", "YoYo", 0.75, "actreel:1", True, None), video)  # another visitor, the same film
    store.add(Feedback("three", "YoYo", 0.75, "actreel:1", True, None), other)
    assert export_dataset(tmp_path / "feedback", target) == 4
    clips = exported(target)
    assert [clip.as_posix() for clip in clips] == [
        "YoYo/feedback_one_000000_000400.mp4", "YoYo/feedback_three.avi", "YoYo/feedback_two.avi",
        "_unknown/feedback_one_000400_001200.mp4",
    ]  # fmt: skip
    assert [probe(target / clip).num_frames for clip in clips] == [10, 5, 30, 20]
    groups = groups_of(target, clips)
    assert groups[0] == groups[2] == groups[3] != groups[1]
    assert count_waiting(tmp_path / "feedback", target) == Waiting(3, 1, 0)


def test_an_export_is_completed_and_follows_what_visitors_say_last(
    store: FeedbackStore, video: Path, tmp_path: Path
) -> None:
    target = tmp_path / "export"
    store.add(marked("one", Mark(0, 0.4, "YoYo"), Mark(0.4, 1.2, "Diablo")), video)
    export_dataset(tmp_path / "feedback", target)
    before = (target / "YoYo/feedback_one_000000_000400.mp4").stat()
    export_dataset(tmp_path / "feedback", target)
    assert (target / "YoYo/feedback_one_000000_000400.mp4").stat().st_mtime_ns == before.st_mtime_ns, "not cut again"
    store.add(marked("one", Mark(0, 0.6, "YoYo")))
    export_dataset(tmp_path / "feedback", target)
    assert [clip.as_posix() for clip in exported(target)] == ["YoYo/feedback_one_000000_000600.mp4"]
    store.add(Feedback("one", "YoYo", 0.75, "actreel:1", False, "Diablo"))
    export_dataset(tmp_path / "feedback", target)
    assert [clip.as_posix() for clip in exported(target)] == ["Diablo/feedback_one.avi"]
    store.add(marked("one", Mark(0, 0.6, "YoYo")))
    export_dataset(tmp_path / "feedback", target)
    assert [clip.as_posix() for clip in exported(target)] == ["YoYo/feedback_one_000000_000600.mp4"]
    assert "Diablo" not in (target / "groups.csv").read_text(encoding="utf-8")


def test_of_some_actions_only_these_are_exported(
    store: FeedbackStore, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTREEL_FEEDBACK_DIR", str(tmp_path / "feedback"))
    other = write_video_file(tmp_path / "other.avi", grey_frames([9] * 5))
    store.add(marked("one", Mark(0, 0.4, "YoYo"), Mark(0.4, 0.8, "Diablo"), Mark(0.8, 1.2, "_unknown")), video)
    store.add(Feedback("two", "YoYo", 0.75, "actreel:1", True, None), other)
    store.add(Feedback("three", "YoYo", 0.75, "actreel:1", False, "Diablo"), other)
    assert export_dataset(tmp_path / "feedback", tmp_path / "export", ["Diablo", "_unknown"]) == 3
    assert [clip.as_posix() for clip in exported(tmp_path / "export")] == [
        "Diablo/feedback_one_000400_000800.mp4", "Diablo/feedback_three.avi", "_unknown/feedback_one_000800_001200.mp4",
    ]  # fmt: skip
    main(["feedback", "export", str(tmp_path / "typed"), "--action", "YoYo"])
    assert {clip.parent.name for clip in exported(tmp_path / "typed")} == {"YoYo"}
    with pytest.raises(DatasetError, match="no video that a visitor shared of these actions"):
        export_dataset(tmp_path / "feedback", tmp_path / "none", ["Juggling"])


def test_one_bad_video_or_name_does_not_stop_the_others(
    store: FeedbackStore, video: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = tmp_path / "broken.avi"
    broken.write_bytes(b"RIFF, and no video")
    store.add(marked("broken", Mark(0, 1, "YoYo")), broken)
    store.add(marked("beyond", Mark(0, 90, "YoYo")), video)
    store.add(Feedback("named", "YoYo", 0.75, "actreel:1", False, "groups.csv"), video)
    store.add(marked("good", Mark(0, 0.6, "YoYo")), video)
    assert export_dataset(tmp_path / "feedback", tmp_path / "export") == 1
    assert len(caplog.messages) == 3
    assert {clip.parent.name for clip in exported(tmp_path / "export")} == {"YoYo"}
