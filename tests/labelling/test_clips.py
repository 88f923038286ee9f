"""Clips of marked videos in a folder that the pipeline reads, also when marks change."""

from __future__ import annotations

from pathlib import Path

import pytest

from actreel.base.marks import Mark
from actreel.dataset.groups import groups_of
from actreel.errors import DatasetError
from actreel.labelling.clips import ClipFolder
from actreel.video.decode import probe
from tests.conftest import grey_frames, write_video_file


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Two seconds."""
    return write_video_file(tmp_path / "film.avi", grey_frames(range(50), 32, 32))


def clips_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.mp4"))


def test_the_video_is_the_clips_group(film: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    added = ClipFolder(folder).add(
        film, [Mark(1, 2, "Kick"), Mark(0, 0.4, "Wave")], name="film", group="films/film.avi"
    )
    assert [path.as_posix() for path in added] == ["Wave/film_000000_000400.mp4", "Kick/film_001000_002000.mp4"]
    assert [probe(folder / path).num_frames for path in added] == [10, 25]
    ClipFolder(folder).add(film, [Mark(0, 1, "Wave")], name="other", group="films/other.avi")
    clips = [Path(clip) for clip in clips_in(folder)]
    assert groups_of(folder, clips) == ["films/film.avi", "films/film.avi", "films/other.avi"]
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_marks_that_changed_replace_the_clips_of_before(film: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    ClipFolder(folder).add(film, [Mark(0, 1, "Wave"), Mark(1, 2, "Kick")], name="film", group="film")
    own = folder / "Wave" / "film_own.mp4"
    own.write_bytes(b"mine")
    ClipFolder(folder).add(film, [Mark(0, 1, "Wave"), Mark(1, 1.6, "Jump")], name="film", group="film")
    names = ["Jump/film_001000_001600.mp4", "Wave/film_000000_001000.mp4", "Wave/film_own.mp4"]
    assert clips_in(folder) == names
    assert "Kick" not in (folder / "groups.csv").read_text(encoding="utf-8")
    ClipFolder(folder).drop("film")
    assert clips_in(folder) == ["Wave/film_own.mp4"]


def test_lines_of_groups_csv_stay(film: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    (folder / "Wave").mkdir(parents=True)
    (folder / "groups.csv").write_text("clip,group\nWave/anna.mp4,anna\n", encoding="utf-8")
    ClipFolder(folder).add(film, [Mark(0, 1, "Wave")], name="film", group="film")
    assert (folder / "groups.csv").read_text(encoding="utf-8").splitlines()[1] == "Wave/anna.mp4,anna"
    (folder / "groups.csv").write_text("clip,group,camera\n", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"no others to be extended. Received: clip,group,camera"):
        ClipFolder(folder)


@pytest.mark.parametrize(
    ("mark", "fault"),
    [
        (Mark(2.5, 3, "Wave"), "which lasts 2 s"),
        (Mark(0.001, 0.002, "Wave"), "must last a frame, 0.04 s"),
        (Mark(0, float("nan"), "Wave"), "from 0 on"),
        (Mark(0, 1, "groups.csv"), "one that a folder of clips may have"),
        (Mark(0, 1, "Thumbs.db"), "one that a folder of clips may have"),
    ],
)
def test_a_fault_writes_nothing(film: Path, tmp_path: Path, mark: Mark, fault: str) -> None:
    folder = tmp_path / "clips"
    with pytest.raises(DatasetError, match=fault):
        ClipFolder(folder).add(film, [Mark(1, 1.5, "Kick"), mark], name="film", group="film")
    assert not folder.exists() or list(folder.iterdir()) == []


def test_no_label_leaves_the_folder(film: Path, tmp_path: Path) -> None:
    ClipFolder(tmp_path / "deep" / "clips").add(film, [Mark(0, 1, "../../out")], name="film", group="film")
    assert [path.parent.name for path in tmp_path.rglob("film_*")] == ["%2E.%2F..%2Fout"]


def test_two_videos_of_one_name_are_refused(film: Path, tmp_path: Path) -> None:
    ClipFolder(tmp_path / "clips").add(film, [Mark(0, 1, "Wave")], name="film", group="film.avi")
    with pytest.raises(DatasetError, match="names of their own"):
        ClipFolder(tmp_path / "clips").add(film, [Mark(0, 1, "Wave")], name="film", group="film.mp4")
