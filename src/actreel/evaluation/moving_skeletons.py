"""A picture that moves, for the model card: a test clip of each action as a model of landmarks sees it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from actreel.dataset.store import Store
from actreel.inference.skeletons import draw_clip

MOST_ACTIONS = 6
COLUMNS = 3
TIMES = 2
"""How often it plays: what moves for longer must be possible to stop."""

_SHRINK = 2


def choose_clips(test: pd.DataFrame) -> dict[str, str]:
    """At most six test clips by action: the first of each.

    Args:
        test: Index rows with `action` and `clip`.
    """
    return {str(action): clip for action, clip in test.groupby("action")["clip"].first().head(MOST_ACTIONS).items()}


def write_moving_skeletons(inputs: Store, clips: Sequence[str], clip_s: float, target: Path) -> None:
    """Writes the clips side by side, three in a row, as a PNG that moves; what shows no motion shows the first frame.

    Args:
        inputs: The features of the encoder `pose`.
        clips: Names of clips, at least one.
        clip_s: Seconds that it takes to play once.
        target: The file.
    """
    drawn = [draw_clip(features, inputs.spec)[:, ::_SHRINK, ::_SHRINK] for features in inputs.take(clips)]
    pictures = [Image.fromarray(_side_by_side([each[number] for each in drawn])) for number in range(len(drawn[0]))]
    first, *others = pictures
    first.save(
        target, save_all=True, append_images=others, duration=round(1000 * clip_s / len(pictures)), loop=TIMES,
        format="PNG",
    )  # fmt: skip


def _side_by_side(frames: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Frames of one shape in rows of three; white where the last row ends."""
    missing = -len(frames) % min(COLUMNS, len(frames))
    cells = [np.pad(frame, ((2, 2), (2, 2), (0, 0)), constant_values=255) for frame in frames]
    cells += [np.full_like(cells[0], 255)] * missing
    columns = min(COLUMNS, len(frames))
    rows = [np.concatenate(cells[start : start + columns], axis=1) for start in range(0, len(cells), columns)]
    return np.concatenate(rows)
