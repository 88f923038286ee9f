"""The picture of samples; tests/pipelines/test_pipeline.py runs the stage on real videos."""

from pathlib import Path

import pandas as pd
import pytest
from matplotlib.image import imread

from actreel.base.places import SAMPLES, VIDEOS
from pipelines import extract

CLIPS = ["Brighten/v_Brighten_g01_c01.avi", "Darken/v_Darken_g01_c01.avi"]
INDEX = pd.DataFrame({"clip": CLIPS, "action": ["Brighten", "Darken"], "width": 64})


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_samples_are_frames_of_a_clip_of_each_action(fading_dataset: Path) -> None:
    VIDEOS.parent.mkdir()
    VIDEOS.symlink_to(fading_dataset)
    extract.draw_samples(INDEX, frames=True)
    sheet = imread(SAMPLES)[..., :3]
    brighten, darken = sheet[: len(sheet) // 2], sheet[len(sheet) // 2 :]
    for row, rises in ((brighten, True), (darken, False)):
        dark = (row.min(axis=2) < 0.9).any(axis=0).nonzero()[0]
        shown = row[20:-20, dark[len(dark) // 3] :].mean(axis=(0, 2))
        assert (shown[: len(shown) // 3].mean() < shown[-len(shown) // 3 :].mean()) == rises


def test_where_the_model_sees_landmarks_only_no_frames_are_shown() -> None:
    extract.draw_samples(INDEX, frames=False)  # there are no videos to read
    assert len(imread(SAMPLES)) < 120  # a line of text
