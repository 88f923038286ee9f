from __future__ import annotations

from pathlib import Path

import pytest

from actreel.cli import main
from actreel.errors import DatasetError
from actreel.feedback import Feedback, FeedbackStore, export_dataset, is_label
from tests.conftest import grey_frames, write_video_file


def said(name: str, correct: bool, label: str | None = None) -> Feedback:
    return Feedback(name, "YoYo", 0.75, "actreel:1", correct, label)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "feedback"


def test_an_export_is_a_dataset_folder(folder: Path, video: Path, tmp_path: Path) -> None:
    store = FeedbackStore(folder)
    store.add(said("right", correct=True), video)
    store.add(said("wrong", correct=False, label="Juggling Balls"), video)
    store.add(said("nameless", correct=False), video)
    store.add(said("unseen", correct=True))
    target = tmp_path / "export"
    assert export_dataset(folder, target) == 2
    files = sorted(path.relative_to(target).as_posix() for path in target.rglob("*.*"))
    assert files == ["Juggling Balls/feedback_wrong.avi", "YoYo/feedback_right.avi"]
    assert (target / "YoYo" / "feedback_right.avi").read_bytes() == video.read_bytes()
    assert export_dataset(folder, target) == 2, "an export can be completed"


def test_the_pipeline_finds_exported_clips(folder: Path, tmp_path: Path) -> None:
    records = pytest.importorskip("actreel.dataset.records")
    store = FeedbackStore(folder)
    for number, suffix in enumerate((".avi", ".mp4", ".mkv")):
        codec = "MJPG" if suffix == ".avi" else "mp4v"
        path = write_video_file(tmp_path / f"clip{suffix}", grey_frames([9] * 5), codec=codec)
        store.add(said(str(number), correct=True), path)
    export_dataset(folder, tmp_path / "export")
    assert [clip.suffix for clip in records.find_clips(tmp_path / "export")] == [".avi", ".mp4", ".mkv"]


def test_later_feedback_replaces_the_first_and_keeps_the_video(folder: Path, video: Path) -> None:
    store = FeedbackStore(folder)
    store.add(said("one", correct=True), video)
    store.add(said("one", correct=False, label="Juggling"))
    ((feedback, kept),) = FeedbackStore(folder).all()
    assert feedback.truth == "Juggling"
    assert kept is not None
    assert kept.is_file()


@pytest.mark.parametrize("label", ["YoYo", "Juggling Balls", "Öffnen", "walk (fast)", "2x4"])
def test_labels(label: str) -> None:
    assert is_label(label)


@pytest.mark.parametrize(
    "label", ["", ".", "..", "../x", "a/b", "a\\b", ".hidden", "a\n", "a\0b", "x" * 65, " a", "a "]
)
def test_a_label_must_be_able_to_name_a_folder(label: str) -> None:
    assert not is_label(label)


def test_a_label_with_separators_writes_nothing_outside(folder: Path, video: Path, tmp_path: Path) -> None:
    FeedbackStore(folder).add(said("x", correct=False, label="../../outside"), video)
    with pytest.raises(DatasetError, match="at least 1 video"):
        export_dataset(folder, tmp_path / "deep" / "export")
    assert not (tmp_path / "outside").exists()


def test_the_command_exports(
    folder: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ACTREEL_FEEDBACK_DIR", str(folder))
    with pytest.raises(SystemExit, match="There is no feedback to export"):
        main(["feedback", "export", str(tmp_path / "export")])
    FeedbackStore(folder).add(said("right", correct=True), video)
    main(["feedback", "export", str(tmp_path / "export")])
    assert capsys.readouterr().out.startswith("1 clips in")
