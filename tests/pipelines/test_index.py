"""The stage index on real clips, one of them broken."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.image import imread

from actreel.base.kept_warnings import KeptWarning, kept_warnings
from actreel.dataset.records import read_index
from pipelines import index
from tests.conftest import ROOT

BROKEN = "Darken/v_Darken_g03_c01.avi"
TWICE, COPY = "Brighten/v_Brighten_g05_c02.avi", "Brighten/v_Brighten_g05_c02 - Copy.avi"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, fading_dataset: Path) -> Path:
    """A folder in which the stage ran."""
    root = tmp_path_factory.mktemp("index")
    shutil.copy(ROOT / "params.yaml", root)
    shutil.copytree(fading_dataset, root / "artifacts/videos")
    (root / "artifacts/videos" / BROKEN).write_bytes(b"no video")
    shutil.copy(root / "artifacts/videos" / TWICE, root / "artifacts/videos" / COPY)
    (root / "artifacts/ingest_warnings.json").write_text('[{"stage": "ingest", "text": "a file was left out"}]')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        index.main()
    return root


def test_every_clip_has_a_row_with_its_group_and_split(project: Path) -> None:
    rows = read_index(project / "artifacts/index.parquet").set_index("clip")
    assert len(rows) == 32
    assert rows.index.tolist() == sorted(rows.index)
    assert rows.loc["Brighten/v_Brighten_g05_c02.avi", "group"] == "g05"
    assert rows.loc[BROKEN, "split"] == "unreadable"
    splits = rows.drop(BROKEN).groupby("group")["split"].nunique()
    assert (splits == 1).all()
    assert set(rows["split"]) == {"train", "val", "test", "unreadable"}


def test_warnings_of_both_stages_are_kept(project: Path) -> None:
    first, *others = kept_warnings(project / "reports/dataset/warnings.json")
    assert first == KeptWarning("ingest", "a file was left out")
    assert [warning.stage for warning in others] == ["index"] * len(others)
    assert any(COPY in warning.text for warning in others)


def test_the_tables_count_readable_clips(project: Path) -> None:
    actions = pd.read_csv(project / "reports/dataset/actions.csv").set_index("action")
    assert actions["clips"].to_dict() == {"Brighten": 16, "Darken": 15}
    groups = pd.read_csv(project / "reports/dataset/groups.csv").set_index("group")
    assert groups.loc["g03", ["Brighten", "Darken"]].tolist() == [2, 1]


def test_the_durations_are_a_picture(project: Path) -> None:
    assert imread(project / "reports/dataset/durations.png").std() > 0
