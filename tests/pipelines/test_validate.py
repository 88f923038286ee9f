"""The gate as a stage, on an index written by hand."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from actreel.dataset.fingerprints import FRAMES
from actreel.errors import DatasetError
from pipelines import validate
from tests.conftest import ROOT


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """A sound index; the stage runs in a folder of its own."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "artifacts").mkdir()
    monkeypatch.chdir(tmp_path)
    rows = [
        {"clip": f"{action}/{group}.avi", "action": action, "group": group, "split": split, "sha256": action + group}
        for action in ("jump", "wave")
        for group, split in (("g1", "train"), ("g2", "val"), ("g3", "test"))
    ]
    hashes = [f"{row:02x}" * 8 * FRAMES for row in (0, 255, 15, 240, 51, 204)]
    measured = {"fps": 25.0, "num_frames": 50, "width": 320, "height": 240, "duration_s": 2.0, "error": ""}
    return pd.DataFrame([row | measured | {"fingerprint": text} for row, text in zip(rows, hashes, strict=True)])


def run_on(index: pd.DataFrame) -> str:
    """Runs the stage; gives its summary."""
    index.to_parquet("artifacts/index.parquet")
    try:
        validate.main()
    finally:
        summary = Path("reports/validation/summary.md").read_text(encoding="utf-8")
    return summary


def test_a_sound_index_passes_and_leaves_its_reports(index: pd.DataFrame) -> None:
    summary = run_on(index)
    assert "FAILED" not in summary
    assert pd.read_csv("reports/validation/near_duplicates.csv").empty
    assert Path("reports/validation/index.html").is_file()


def test_a_failure_stops_the_pipeline_after_the_reports_are_written(index: pd.DataFrame) -> None:
    index.loc[0, "duration_s"] = 3600.0
    with pytest.raises(DatasetError, match=r"(?s)1 .*failed.*src/actreel/dataset/demo"):
        run_on(index)
    assert "jump/g1.avi" in Path("reports/validation/summary.md").read_text(encoding="utf-8")


def test_near_duplicates_are_listed_and_stop_nothing(index: pd.DataFrame) -> None:
    index.loc[2, "fingerprint"] = index.loc[0, "fingerprint"]
    summary = run_on(index)
    assert "jump/g3.avi" in summary
    (pair,) = pd.read_csv("reports/validation/near_duplicates.csv").itertuples()
    assert (pair.clip, pair.other) == ("jump/g1.avi", "jump/g3.avi")
