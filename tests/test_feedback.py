from __future__ import annotations

import json
from pathlib import Path

import pytest

from actreel.base.marks import Mark
from actreel.cli import main
from actreel.feedback import Feedback, FeedbackStore, Waiting, count_waiting, is_label
from actreel.labelling.visitors import export_dataset
from tests.conftest import grey_frames, write_video_file


def said(name: str, correct: bool, label: str | None = None) -> Feedback:
    return Feedback(name, "YoYo", 0.75, "actreel:1", correct, label)


def exported(target: Path) -> list[str]:
    return sorted(path.relative_to(target).as_posix() for path in target.rglob("feedback_*"))


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
    assert export_dataset(folder, target) == 3
    files = ["Juggling Balls/feedback_wrong.avi", "YoYo/feedback_right.avi", "_unknown/feedback_nameless.avi"]
    assert exported(target) == files
    assert (target / "YoYo" / "feedback_right.avi").read_bytes() == video.read_bytes()
    assert export_dataset(folder, target) == 3, "an export can be completed"
    store.add(said("right", correct=False, label="Diablo"))
    assert export_dataset(folder, target) == 3
    files[1] = "Diablo/feedback_right.avi"
    assert exported(target) == sorted(files), "an earlier export of the same video is not left in another class"


def test_videos_wait_until_the_dataset_contains_them(folder: Path, video: Path, tmp_path: Path) -> None:
    assert count_waiting(folder, None) == Waiting(0, 0, 0)
    assert not folder.exists()
    store = FeedbackStore(folder)
    store.add(said("right", correct=True), video)
    store.add(said("wrong", correct=False, label="Juggling"), video)
    store.add(said("unseen", correct=False))
    dataset = tmp_path / "dataset"
    assert count_waiting(folder, None) == count_waiting(folder, dataset) == Waiting(3, 2, 2)
    export_dataset(folder, dataset)
    store.add(said("later", correct=True), video)
    assert count_waiting(folder, dataset) == Waiting(4, 2, 1)


def test_the_pipeline_finds_exported_clips(folder: Path, tmp_path: Path) -> None:
    records = pytest.importorskip("actreel.dataset.records")
    store = FeedbackStore(folder)
    for number, suffix in enumerate((".avi", ".mp4", ".mkv")):
        codec = "MJPG" if suffix == ".avi" else "mp4v"
        path = write_video_file(tmp_path / f"clip{suffix}", grey_frames([9] * 5), codec=codec)
        store.add(said(str(number), correct=True), path)
    export_dataset(folder, tmp_path / "export")
    assert [clip.suffix for clip in records.find_clips(tmp_path / "export")] == [".avi", ".mp4", ".mkv"]


def test_a_corrected_timeline_is_kept_and_says_what_the_whole_video_shows(folder: Path, video: Path) -> None:
    store = FeedbackStore(folder)
    marks = (Mark(0, 0.5, "YoYo"), Mark(0.5, 0.8, "Juggling"), Mark(0.8, 1.2, "YoYo"))
    store.add(Feedback.of_marks("one", "YoYo", 0.75, "actreel:1", reversed(marks)), video)
    ((found, kept),) = FeedbackStore(folder).all()
    assert (found.marks, found.correct, found.truth, kept is not None) == (marks, True, "YoYo", True)
    store.add(Feedback.of_marks("one", "YoYo", 0.75, "actreel:1", [Mark(0, 1, "Juggling")]))
    ((found, _),) = store.all()
    assert (len(found.marks), found.correct, found.truth) == (1, False, "Juggling")
    assert Feedback.of_marks("one", "YoYo", 0.75, "actreel:1", [Mark(0, 1, "_unknown")]).truth == "_unknown"
    store.add(said("one", correct=True))
    assert store.all()[0][0].marks == (), "the last word counts"


def test_later_feedback_replaces_the_first_and_keeps_the_video(folder: Path, video: Path) -> None:
    store = FeedbackStore(folder)
    store.add(said("one", correct=True), video)
    store.add(said("one", correct=False, label="Juggling"))
    ((feedback, kept),) = FeedbackStore(folder).all()
    assert feedback.truth == "Juggling"
    assert kept is not None
    assert kept.is_file()


@pytest.mark.parametrize("label", ["YoYo", "Öffnen", "walk (fast)", "Push & Pull", "a/b", 'the "wave"', "x" * 200])
def test_labels(label: str) -> None:
    assert is_label(label)


@pytest.mark.parametrize("label", ["", "a\n", "a\0b", "x" * 201, " a", "a ", "a\u202eb"])
def test_a_label_of_a_visitor_is_short_printable_text(label: str) -> None:
    assert not is_label(label)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("Push & Pull", "Push & Pull"),
        ("run, walk", "run, walk"),
        ("on/off", "on%2Foff"),
        ('it\'s "a" <b>', 'it\'s "a" <b>'),
        ("../../outside", "%2E.%2F..%2Foutside"),
        ("..", "%2E."),
        (".hidden", "%2Ehidden"),
        ("a\0b", "a%00b"),
        ("_unknown", "_unknown"),
    ],
)
def test_every_label_has_a_folder_inside_the_export(
    folder: Path, video: Path, tmp_path: Path, label: str, name: str
) -> None:
    FeedbackStore(folder).add(said("x", correct=False, label=label), video)
    export_dataset(folder, tmp_path / "deep" / "export")
    assert [path.parent.name for path in tmp_path.rglob("feedback_*")] == [name]
    records = pytest.importorskip("actreel.dataset.records")
    assert [clip.parts[0] for clip in records.find_clips(tmp_path / "deep" / "export")] == [name]


def test_two_labels_longer_than_a_folders_name_stay_two(folder: Path, video: Path, tmp_path: Path) -> None:
    store = FeedbackStore(folder)
    for number, label in enumerate(["ö" * 150 + "a", "ö" * 150 + "b"]):
        store.add(said(str(number), correct=False, label=label), video)
    export_dataset(folder, tmp_path / "export")
    names = [entry.name for entry in (tmp_path / "export").iterdir() if entry.is_dir()]
    assert len(names) == 2
    assert all(name.startswith("ö" * 100) for name in names)


def test_the_command_exports(
    folder: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ACTREEL_FEEDBACK_DIR", str(folder))
    with pytest.raises(SystemExit, match="There is no feedback to export"):
        main(["feedback", "export", str(tmp_path / "export")])
    FeedbackStore(folder).add(said("right", correct=True), video)
    main(["feedback", "export", str(tmp_path / "export")])
    assert capsys.readouterr().out.startswith("1 clips in")
    main(["feedback", "export", str(tmp_path / "other"), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (told["clips"], told["folder"]) == (1, str(tmp_path / "other"))
    assert told["next"].startswith("dvc exp run -S dataset.name=folder ")
