"""What the service was asked, kept as one line a video in one file a day."""

import json
import logging
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest

from actreel.statistics import Asked, StatisticsLog, hour_of, read_statistics, statistics_files

NOW = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
ASKED = Asked(
    hour=hour_of(NOW), duration_s=12.345, fps=29.97, width=1920, height=1080, num_frames=371, brightness=0.4321,
    label="jump", confidence=0.98765, known=True, distance=3.14159, margin=0.0, model="actreel-demo@3", run_id="3f2a",
)  # fmt: skip
YESTERDAY = NOW - timedelta(days=1)


def today(folder: Path) -> Path:
    (file,) = statistics_files(folder)
    return file


def write_day(folder: Path, day: datetime, size: int = 1) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / f"{day:%Y-%m-%d}.jsonl"
    file.write_bytes(b"x" * size)
    return file


def test_a_line_has_two_digits_and_does_not_tell_which_video_it_was(tmp_path: Path) -> None:
    StatisticsLog(tmp_path / "new", 3, 10_000).add(ASKED)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    file = today(tmp_path / "new")
    assert file.stat().st_mode & 0o777 == 0o600
    (line,) = file.read_text(encoding="utf-8").splitlines()
    assert json.loads(line) == {
        "hour": ASKED.hour, "duration_s": 12, "fps": 30, "width": 1900, "height": 1100, "num_frames": 370,
        "brightness": 0.43, "label": "jump", "confidence": 0.99, "known": True, "distance": 3.1, "margin": 0,
        "model": "actreel-demo@3", "run_id": "3f2a",
    }  # fmt: skip
    ((read,), damaged) = read_statistics(tmp_path / "new", YESTERDAY)
    assert read.line == line
    assert damaged == 0


def _add_many(folder: Path) -> None:
    writer = StatisticsLog(folder, 3, 10_000_000)
    for number in range(300):
        writer.add(replace(ASKED, label="a" * (number % 50)))


def test_lines_of_several_workers_do_not_mix(tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("forkserver")) as pool:
        list(pool.map(_add_many, [tmp_path] * 2))
    asked, damaged = read_statistics(tmp_path, YESTERDAY)
    assert (len(asked), damaged) == (600, 0)


def test_old_files_are_deleted_and_others_are_left_alone(tmp_path: Path) -> None:
    old = [write_day(tmp_path, NOW - timedelta(days=days)) for days in (3, 40)]
    kept = [write_day(tmp_path, NOW - timedelta(days=days)) for days in (1, 2)]
    other = [tmp_path / "notes.jsonl", tmp_path / f"{NOW - timedelta(days=50):%Y-%m-%d}.txt"]
    for file in other:
        file.touch()
    StatisticsLog(tmp_path, 3, 10_000).add(ASKED)
    assert not any(file.exists() for file in old)
    assert all(file.exists() for file in [*kept, *other])
    assert len(statistics_files(tmp_path)) == 3


def test_the_oldest_files_go_when_there_are_too_many_bytes(tmp_path: Path) -> None:
    oldest, middle, newest = (write_day(tmp_path, NOW - timedelta(days=days), 400) for days in (3, 2, 1))
    StatisticsLog(tmp_path, 90, 1000).add(ASKED)
    assert [file.exists() for file in (oldest, middle, newest)] == [False, True, True]


def test_a_day_of_too_many_bytes_is_not_continued(tmp_path: Path) -> None:
    log = StatisticsLog(tmp_path, 90, 1000)
    for _ in range(300):
        log.add(ASKED)
    assert 1000 <= today(tmp_path).stat().st_size < 1000 + len(ASKED.line) + 1
    assert read_statistics(tmp_path, YESTERDAY)[1] == 0


def full_disk(folder: Path) -> None:
    (folder / f"{NOW:%Y-%m-%d}.jsonl").symlink_to("/dev/full")


def no_folder(folder: Path) -> None:
    folder.rmdir()
    folder.touch()


@pytest.mark.parametrize(
    ("fault", "said"), [(full_disk, "No space left on device"), (no_folder, "could not be written")]
)
def test_a_fault_is_logged_once_and_raises_nothing(
    fault: object, said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert callable(fault)
    (folder := tmp_path / "statistics").mkdir()
    fault(folder)
    log = StatisticsLog(folder, 90, 1000)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            log.add(ASKED)
    (record,) = caplog.records
    assert "answers are not affected" in record.message
    assert said in caplog.text


def test_damaged_lines_are_counted_and_later_fields_passed_over(tmp_path: Path) -> None:
    later = json.loads(ASKED.line) | {"new": 1}
    wrong = json.loads(ASKED.line) | {"known": "yes"}
    lines = [ASKED.line, ASKED.line[:40], json.dumps(later), json.dumps(wrong), "[]"]
    (tmp_path / f"{NOW:%Y-%m-%d}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    asked, damaged = read_statistics(tmp_path, YESTERDAY)
    assert (len(asked), damaged) == (2, 3)


def test_only_the_asked_time_is_read(tmp_path: Path) -> None:
    for days in (0, 2, 40):
        day = NOW - timedelta(days=days)
        text = replace(ASKED, hour=hour_of(day)).line
        (tmp_path / f"{day:%Y-%m-%d}.jsonl").write_text(text + "\n", encoding="utf-8")
    for since, expected in ((1, 1), (2, 2), (41, 3)):
        asked, _ = read_statistics(tmp_path, NOW - timedelta(days=since))
        assert len(asked) == expected
        assert [each.hour for each in asked] == sorted(each.hour for each in asked)
    assert read_statistics(tmp_path / "none", NOW) == ([], 0)
