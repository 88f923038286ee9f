"""Synthetic signals: they follow the performer, and repeat."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from actreel.dataset.demo.imu import COLUMNS, write_imu
from actreel.errors import DatasetError
from actreel.video.signals import read_signal


def clip(folder: Path, action: str, group: int = 1) -> Path:
    (folder / action).mkdir(parents=True, exist_ok=True)
    return folder / action / f"v_{action}_g{group:02d}_c01.avi"


def test_the_wrist_of_a_jumper_moves_more_than_that_of_one_who_walks(tmp_path: Path) -> None:
    jumper, walker = (read_signal(write_imu(clip(tmp_path, action))) for action in ("JumpingJack", "SitDown"))
    assert jumper.columns == COLUMNS
    assert jumper.values[:, 0].std() > 1.5 * walker.values[:, 0].std()
    assert abs(np.median(walker.values[:, 1]) - 9.81) < 5


def test_the_same_clip_has_the_same_signals_and_another_performer_others(tmp_path: Path) -> None:
    first, again, other = (
        write_imu(clip(tmp_path / str(place), "JumpingJack", group)).read_bytes()
        for place, group in enumerate((1, 1, 2))
    )
    assert first == again != other


def test_only_the_demo_has_synthetic_signals(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="for the demo's clips only"):
        write_imu(tmp_path / "mine.avi")
