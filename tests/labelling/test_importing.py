"""From files of other programs to a folder that can be learned from, and back from Actreel's own exports."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from actreel.cli.program import main
from actreel.config import load_params
from actreel.errors import DatasetError
from actreel.inference.answers import LabelledSegment, Scored
from actreel.inference.classifier import Provenance
from actreel.inference.exports import FORMATS
from actreel.inference.recogniser import Prediction
from actreel.labelling.importing import import_segments, read_marks
from actreel.video.decode import probe, sample_frames
from actreel.video.info import VideoInfo
from tests.conftest import ROOT, grey_frames, write_video_file
from tests.labelling.conftest import eaf, region, sidecar, task, write


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Two seconds of each of two films, 25 frames a second."""
    for name in ("lesson.mp4", "deep/talk.avi"):
        write_video_file(tmp_path / "films" / name, grey_frames(range(0, 200, 4), 32, 32), codec="mp4v")
    return tmp_path / "films"


def files_of_all(folder: Path) -> list[Path]:
    """The same two segments of a film as each program has them, and others of the second film."""
    return [
        write(folder / "lesson.eaf", eaf([(0, 1000, "Wave"), (1000, 2000, "Kick")])),
        write(folder / "lesson.json", sidecar([(0, 1000, "Wave"), (1000, 2000, "Kick")])),
        write(folder / "project.json", [task(region(1, 25, "Wave"), region(26, 50, "Kick"), fps=25)]),
    ]


def test_each_program_gives_the_same_clips(films: Path, tmp_path: Path) -> None:
    whole = sample_frames(films / "lesson.mp4", lambda count: np.arange(count), lambda frame: frame)[0]
    for number, file in enumerate(files_of_all(tmp_path)):
        target = tmp_path / f"clips{number}"
        found = import_segments([file], films, target)
        assert (found.videos, found.clips) == (1, {"Kick": 1, "Wave": 1})
        for path, frames in (
            ("Wave/lesson_000000_001000.mp4", whole[:25]),
            ("Kick/lesson_001000_002000.mp4", whole[25:]),
        ):
            clip = sample_frames(target / path, lambda count: np.arange(count), lambda frame: frame)[0]
            np.testing.assert_array_equal(clip, frames)


def exported(segments: list[LabelledSegment], source: str) -> Prediction:
    info = VideoInfo(25.0, 50, 50, 32, 32, 2.0, "mp4v")
    model = Provenance(dataset="demo", data_version="1", run_id="run", git_commit="abc", trained_at="2026-01-01")
    return Prediction("Wave", 0.7, True, (Scored("Wave", 0.7),), tuple(segments), source, info, model)


@pytest.mark.parametrize("program", ["elan", "labelstudio"])
def test_actreels_own_exports_come_back_as_they_went(films: Path, tmp_path: Path, program: str) -> None:
    segments = [
        LabelledSegment(0.0, 0.48, "Wave", 0.9, True),
        LabelledSegment(0.48, 1.24, "Kick & <Turn>", 0.6, False),
        LabelledSegment(1.24, 2.0, "Ein \u201eSprung\u201c", 0.8, True),
    ]
    form = FORMATS[program]
    answer = form.render(exported(segments, str(films / "deep" / "talk.avi")))
    file = write(tmp_path / f"answer{form.ending}", form.before + answer + form.after)
    (found,) = read_marks(file)
    labels = ["Wave", "_unknown", "Ein \u201eSprung\u201c"]
    assert [mark.label for mark in found.marks] == labels
    for mark, segment in zip(found.marks, segments, strict=True):
        assert (mark.start_s, mark.end_s) == pytest.approx((segment.start_s, segment.end_s), abs=1e-9)
    assert found.by_people is (program == "elan")
    import_segments([file], films, tmp_path / "clips")
    counts = [
        probe(path).num_frames for path in sorted((tmp_path / "clips").rglob("*.mp4"), key=lambda path: path.name)
    ]
    assert counts == [12, 19, 19]


def test_everything_is_checked_before_a_clip_is_written(films: Path, tmp_path: Path) -> None:
    good = write(tmp_path / "good.json", sidecar([(0, 1000, "Wave")], video="talk.avi"))
    target = tmp_path / "clips"
    for spans, fault in (
        ([(0, 1000, "Wave"), (500, 1500, "Kick")], "must not overlap"),
        ([(-5, 1000, "Wave")], "from 0 on"),
        ([(float("nan"), 1000, "Wave")], "from 0 on"),
        ([(1000, 1000, "Wave")], "end after it starts"),
    ):
        bad = write(tmp_path / "bad.json", sidecar(spans))
        with pytest.raises(DatasetError, match=f"{fault}.*lesson.mp4"):
            import_segments([good, bad], films, target)
        assert not target.exists()
    with pytest.raises(DatasetError, match="which lasts 2 s"):
        import_segments([write(tmp_path / "bad.json", sidecar([(0, 60_000, "Wave")]))], films, target)
    with pytest.raises(DatasetError, match="must hold segments"):
        import_segments([write(tmp_path / "bad.json", sidecar([]))], films, target)


def test_two_files_may_mark_one_video(films: Path, tmp_path: Path) -> None:
    first = write(tmp_path / "a.json", sidecar([(0, 1000, "Wave")]))
    second = write(tmp_path / "b.json", sidecar([(1000, 2000, "Kick")]))
    assert import_segments([first, second], films, tmp_path / "clips").videos == 1
    with pytest.raises(DatasetError, match="must not overlap"):
        import_segments([first, first], films, tmp_path / "clips")


def test_the_command_says_how_to_train_on_the_clips(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    predicted = {**task(), "annotations": [], "predictions": [{"result": [region(1, 24, "Wave")]}]}
    file = write(tmp_path / "project.json", [predicted])
    arguments = f"segments import {file} --videos {films} --into {tmp_path / 'clips'} --fps 25".split()
    main(arguments)
    told = capsys.readouterr()
    assert told.out.startswith(f"1 clips of 1 actions from 1 videos in '{tmp_path / 'clips'}'\n     1  Wave\n")
    assert f"make learn FROM={tmp_path / 'clips'}" in told.out
    assert "no annotations of people" in caplog.text
    main([*arguments, "--json"])
    fields = json.loads(capsys.readouterr().out)
    assert (fields["videos"], fields["clips"]) == (1, {"Wave": 1})
    file.write_text("[]", encoding="utf-8")
    with pytest.raises(SystemExit, match="must hold segments"):
        main(arguments)
    with pytest.raises(SystemExit):
        main(["segments", "import", str(file)])
    assert "--videos" in capsys.readouterr().err


def test_make_learn_takes_an_import_with_a_group_for_each_video(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    learn = pytest.importorskip("pipelines.learn")
    for number in range(9):
        write_video_file(tmp_path / f"films/{number}.mp4", grey_frames([number] * 10, 16, 16), codec="mp4v")
    tasks = [task(region(1, 5, "Wave"), region(6, 10, "Kick"), video=f"{number}.mp4", fps=25) for number in range(9)]
    import_segments([write(tmp_path / "project.json", tasks)], tmp_path / "films", tmp_path / "clips")
    with caplog.at_level("INFO"):
        learn.settings_for(load_params(ROOT / "params.yaml"), str(tmp_path / "clips"), "", "")
    assert "18 clips of 2 actions (9 to 9 of each) in 9 groups" in caplog.text
