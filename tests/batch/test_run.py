"""Runs over a batch with real videos and real worker processes."""

import fcntl
import os
import shutil
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow.dataset
import pytest

from actreel.batch.crews import local_crew
from actreel.batch.items import read_items
from actreel.batch.job import Outcome
from actreel.batch.run import Summary, run_batch
from actreel.config import ClipSpec
from actreel.errors import ActreelError
from tests.conftest import grey_frames, write_model_folder, write_video_file

LABELS = ("dark", "middle", "bright")


@pytest.fixture
def model(tmp_path: Path, spec: ClipSpec) -> Path:
    return write_model_folder(tmp_path / "model", spec, LABELS, in_parts=True)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Four videos of rising brightness, two of them equal, and two files that only look like videos."""
    folder = tmp_path / "archive"
    for number, level in enumerate((0, 120, 250)):
        write_video_file(folder / f"{number}.avi", grey_frames([level] * 12))
    shutil.copy(folder / "2.avi", folder / "copy.avi")
    (folder / "text.avi").write_text("no video", encoding="utf-8")
    (folder / "empty.avi").touch()
    return folder


class Counting:
    """The crew of this machine; notes what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.recognised: list[str] = []

    def __call__(self, job: Mapping[str, bytes], items: Sequence[str], again: bool) -> Generator[Outcome, None, None]:
        self.asked += items
        for outcome in local_crew()(job, items, again):
            if outcome.row is not None:
                self.recognised.append(Path(outcome.source).name)
            yield outcome


def run(archive: Path, out: Path, model: Path) -> tuple[Summary, list[str]]:
    crew = Counting()
    summary = run_batch(read_items(str(archive)), str(out), model, crew)
    return summary, sorted(crew.recognised)


def labels(out: Path) -> dict[str, str]:
    table = pyarrow.dataset.dataset(out, partitioning="hive").to_table()
    assert len(table) == len(set(zip(table["source"].to_pylist(), table["model"].to_pylist(), strict=True)))
    return {Path(row["source"]).name: row["label"] for row in table.to_pylist()}


def test_each_video_is_recognised_once_for_each_content_and_model(
    archive: Path, model: Path, tmp_path: Path, spec: ClipSpec
) -> None:
    out = tmp_path / "out"
    summary, recognised = run(archive, out, model)
    assert (summary.videos, summary.answered, summary.unchanged, summary.failed) == (6, 4, 0, 2)
    assert recognised == ["0.avi", "1.avi", "2.avi", "copy.avi"]
    expected = {"0.avi": "dark", "1.avi": "middle", "2.avi": "bright", "copy.avi": "bright"}
    assert labels(out) == expected
    failed = pyarrow.dataset.dataset(next((out / "_failed").iterdir())).to_table().to_pylist()
    assert [(Path(row["source"]).name, row["permanent"]) for row in failed] == [("empty.avi", True), ("text.avi", True)]
    assert all(row["reason"] for row in failed)

    assert run(archive, out, model) == (replace(summary, answered=0, unchanged=4), [])

    (archive / "0.avi").rename(archive / "renamed.avi")
    shutil.copy(archive / "1.avi", archive / "2.avi")
    write_video_file(archive / "text.avi", grey_frames([10] * 12))
    summary, recognised = run(archive, out, model)
    assert (summary.answered, summary.unchanged, summary.failed) == (1, 4, 1)
    assert recognised == ["text.avi"]
    assert labels(out) == expected | {"renamed.avi": "dark", "2.avi": "middle", "text.avi": "dark"}

    other = write_model_folder(tmp_path / "other", spec, ("night", "dusk", "day"), in_parts=True)
    newer, recognised = run(archive, out, other)
    assert (newer.answered, newer.unchanged) == (5, 0)
    assert newer.model != summary.model
    assert {path.name for path in out.glob("model=*")} == {f"model={summary.model}", f"model={newer.model}"}


def test_a_run_that_is_stopped_keeps_its_answers_and_the_next_goes_on(
    archive: Path, model: Path, tmp_path: Path
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    run(archive, whole, model)

    def stopped(job: Mapping[str, bytes], items: Sequence[str], again: bool) -> Generator[Outcome, None, None]:
        for number, outcome in enumerate(local_crew(1)(job, items, again)):
            if number == 2:
                raise KeyboardInterrupt
            yield outcome

    with pytest.raises(KeyboardInterrupt):
        run_batch(read_items(str(archive)), str(out), model, stopped)
    assert set(labels(out)) == {"0.avi", "1.avi"}
    summary, recognised = run(archive, out, model)
    assert (summary.answered, summary.unchanged) == (2, 2)
    assert recognised == ["2.avi", "copy.avi"]
    assert labels(out) == labels(whole)


def test_a_video_that_ends_its_process_is_set_aside_and_tried_again_next_time(
    archive: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # The forked workers have this function too.
    monkeypatch.setattr("actreel.batch.crews.recognise_item", _die_on_1)
    summary, _ = run(archive, tmp_path / "out", model)
    assert (summary.answered, summary.failed) == (3, 3)
    assert "1.avi: The process that decodes it ended" in caplog.text
    monkeypatch.undo()
    summary, recognised = run(archive, tmp_path / "out", model)
    assert (summary.answered, summary.unchanged, summary.failed, recognised) == (1, 3, 2, ["1.avi"])


def _die_on_1(job: Path, source: str, *, again: bool = False) -> Outcome:
    from actreel.batch.job import recognise_item

    if source.endswith("1.avi"):
        os._exit(9)
    return recognise_item(job, source, again=again)


def test_an_answer_stays_while_its_video_cannot_be_read_and_goes_when_it_is_broken(
    archive: Path, model: Path, tmp_path: Path
) -> None:
    items = read_items(str(archive))
    out = tmp_path / "out"
    run_batch(items, str(out), model, local_crew())
    (archive / "0.avi").unlink()
    (archive / "1.avi").write_text("broken now", encoding="utf-8")
    summary = run_batch(items, str(out), model, local_crew())
    assert (summary.unchanged, summary.failed) == (2, 4)
    assert set(labels(out)) == {"0.avi", "2.avi", "copy.avi"}


def test_a_second_run_on_the_same_table_is_refused(archive: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with (out / "_lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ActreelError, match="Another batch writes to"):
            run(archive, out, model)
    run(archive, out, model)


def test_a_table_in_a_store_of_objects(archive: Path, model: Path) -> None:
    out = "memory://results/table"
    first = run_batch(read_items(str(archive)), out, model, local_crew())
    assert run_batch(read_items(str(archive)), out, model, local_crew()) == replace(first, answered=0, unchanged=4)


def test_a_link_that_has_an_answer_is_not_downloaded_again(model: Path, video: Path, tmp_path: Path) -> None:
    link, asked = "https://youtu.be/dQw4w9WgXcQ", []

    def crew(job: Mapping[str, bytes], items: Sequence[str], again: bool) -> Generator[Outcome, None, None]:
        asked.append(list(items))
        for outcome in local_crew(1)(job, [str(video) for _ in items], again):
            yield replace(outcome, source=link)

    first = run_batch([link], str(tmp_path / "out"), model, crew)
    assert (first.answered, first.unchanged) == (1, 0)
    again = run_batch([link], str(tmp_path / "out"), model, crew)
    assert (again.answered, again.unchanged) == (0, 1)
    assert asked == [[link], []]
