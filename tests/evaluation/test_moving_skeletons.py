from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from actreel.evaluation.moving_skeletons import choose_clips, write_moving_skeletons
from actreel.inference.poses import LANDMARKS
from tests.pose_model import SPEC, standing


@pytest.mark.parametrize(("count", "size"), [(1, (164, 164)), (2, (328, 164)), (4, (492, 328))])
def test_clips_move_side_by_side_and_stop(count: int, size: tuple[int, int], tmp_path: Path) -> None:
    features = np.zeros((count, 5, 136), np.float32)
    features[..., : 4 * LANDMARKS].reshape(count, 5, LANDMARKS, 4)[..., :2] = standing()
    features[..., 4 * LANDMARKS :] = 0, 0, 0.2, 1
    features[..., 4 * LANDMARKS] = np.linspace(-0.3, 0.3, 5)  # to the right
    inputs = SimpleNamespace(take=lambda clips: features[: len(clips)], spec=SPEC)
    write_moving_skeletons(inputs, ["a.avi"] * count, 2.0, tmp_path / "skeletons.png")  # type: ignore[arg-type]
    with Image.open(tmp_path / "skeletons.png") as picture:
        assert (picture.n_frames, picture.info["loop"], picture.size) == (5, 2, size)  # type: ignore[attr-defined]
        frames = []
        for number in range(5):
            picture.seek(number)
            assert picture.info["duration"] == 400
            frames.append(np.asarray(picture.convert("RGB"))[74, :164].astype(int))
    middles = [np.flatnonzero(np.abs(row - (233, 231, 226)).sum(axis=1)[4:160] > 60).mean() for row in frames]
    assert middles == sorted(middles)
    assert middles[-1] - middles[0] == pytest.approx(0.6 * 160, abs=3)


def test_one_clip_of_each_of_six_actions() -> None:
    rows = pd.DataFrame(
        [(f"action {number // 2}", f"{number}.avi") for number in range(20)], columns=["action", "clip"]
    )
    assert choose_clips(rows) == {f"action {number}": f"{2 * number}.avi" for number in range(6)}
