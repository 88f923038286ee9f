"""The command on real videos, in a process of its own where it is killed."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.dataset
import pytest

from actreel.cli import main
from actreel.config import ClipSpec
from tests.conftest import ROOT, grey_frames, write_model_folder, write_video_file


@pytest.fixture
def model(tmp_path: Path, spec: ClipSpec) -> str:
    return str(write_model_folder(tmp_path / "model", spec, ("dark", "middle", "bright"), in_parts=True))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    for number in range(12):
        write_video_file(tmp_path / "archive" / f"{number:02d}.avi", grey_frames([number * 20] * 40))
    return tmp_path / "archive"


def rows(out: Path) -> list[dict[str, object]]:
    table = pyarrow.dataset.dataset(out, partitioning="hive").to_table()
    return sorted(table.to_pylist(), key=lambda row: str(row["source"]))


def test_a_folder_to_a_table_and_again(
    archive: Path, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "answers")
    main(["batch", str(archive), out, "--model", model])
    assert capsys.readouterr().out.startswith(f"12 videos: 12 recognised, 0 unchanged, 0 failed. Answers: {out}, ")
    (archive / "12.avi").write_text("no video", encoding="utf-8")
    with pytest.raises(SystemExit) as end:
        main(["batch", str(archive), out, "--model", model, "--json", "--workers", "1"])
    assert end.value.code == 1
    summary = json.loads(capsys.readouterr().out)
    assert (summary["videos"], summary["answered"], summary["unchanged"], summary["failed"]) == (13, 0, 12, 1)
    assert (tmp_path / f"answers/_failed/model={summary['model']}.parquet").is_file()
    assert [row["label"] for row in rows(Path(out))] == ["dark"] * 4 + ["middle"] * 6 + ["bright"] * 2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--workers", "0"], "--workers"),
        (["--workers", "1", "--scheduler", "tcp://localhost:1"], "Leave out --workers"),
        (["--column", "x"], "is a table's"),
    ],
)
def test_wrong_options(
    archive: Path, model: str, more: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["batch", str(archive), "out", "--model", model, *more])
    assert said in f"{end.value.code}{capsys.readouterr().err}"


def test_the_environment_may_name_the_scheduler(archive: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTREEL_SCHEDULER", "tcp://localhost:1")
    with pytest.raises(SystemExit, match="or --scheduler and the variable ACTREEL_SCHEDULER"):
        main(["batch", str(archive), "out", "--model", model, "--workers", "1"])


def test_killed_at_any_moment_it_goes_on_and_ends_the_same(archive: Path, model: str, tmp_path: Path) -> None:
    main(["batch", str(archive), str(tmp_path / "whole"), "--model", model])
    out = tmp_path / "killed"
    # Writes after every row, so that the kill meets a table half done.
    code = "from actreel.batch import run; run.FLUSH_ROWS = 1; from actreel.cli import main; main()"
    command = [sys.executable, "-c", code, "batch", str(archive), str(out), "--model", model, "--workers", "1"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        while not list(out.glob("model=*/part-00002.parquet")) and process.poll() is None:
            time.sleep(0.01)
        process.kill()
    assert 3 <= len(rows(out)) <= 12
    main(["batch", str(archive), str(out), "--model", model])
    assert rows(out) == rows(tmp_path / "whole")
