from pathlib import Path

import numpy as np
import pandas as pd

from actreel.dataset import plots


def test_the_contact_sheet_shows_frames_from_the_first_to_the_last() -> None:
    clip = np.stack([np.full((6, 8, 3), level, dtype=np.uint8) for level in range(20)])
    figure = plots.contact_sheet({"jump": clip, "wave": clip[::-1]}, columns=4)
    levels = [int(axes.images[0].get_array().mean()) for axes in figure.axes]
    assert levels == [0, 6, 13, 19, 19, 13, 6, 0]
    assert [axes.get_ylabel() for axes in figure.axes[::4]] == ["jump", "wave"]


def test_a_clip_of_fewer_frames_than_columns_repeats_some() -> None:
    figure = plots.contact_sheet({"short": np.zeros((2, 6, 8, 3), dtype=np.uint8)}, columns=4)
    assert len(figure.axes) == 4


def test_durations_have_a_row_of_dots_for_each_action() -> None:
    index = pd.DataFrame({"action": ["wave", "jump", "wave"], "duration_s": [1.0, 2.0, 3.0]})
    (axes,) = plots.durations(index).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["jump", "wave"]
    assert [dots.get_offsets().tolist() for dots in axes.collections] == [[[2.0, 0.0]], [[1.0, 1.0], [3.0, 1.0]]]
    assert axes.get_xlim()[0] == 0


def test_an_action_may_be_named_like_a_formula(tmp_path: Path) -> None:
    index = pd.DataFrame({"action": ["$\\bill$", "$50% \\off$"], "duration_s": [1.0, 2.0]})
    plots.durations(index).savefig(tmp_path / "durations.png")
    plots.contact_sheet({"$\\bill$": np.zeros((2, 6, 8, 3), dtype=np.uint8)}).savefig(tmp_path / "sheet.png")
