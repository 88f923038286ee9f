from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from actreel.dataset.demo import render_demo
from actreel.video.opencv import cv2

GROUPS = 3


@pytest.fixture(scope="package")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("demo")
    render_demo(target, num_groups=GROUPS, clips_per_group=1, workers=2)
    return target


def read(path: Path) -> tuple[NDArray[np.uint8], float]:
    capture = cv2.VideoCapture(os.fspath(path))
    frames = []
    while (answer := capture.read())[0]:
        frames.append(answer[1])
    return np.stack(frames), capture.get(cv2.CAP_PROP_FPS)
