import numpy as np
import pandas as pd

from actreel.dataset.plots import contact_sheet, durations


def test_a_contact_sheet_has_a_row_of_evenly_spaced_frames_per_action() -> None:
    clips = {
        name: np.stack([np.full((4, 6, 3), value, dtype=np.uint8) for value in range(9)])
        for name in ("Wave", "$5 bill")
    }
    figure = contact_sheet(clips, columns=3)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Wave", "$5 bill"]
    sheet = np.asarray(axes.images[0].get_array())[..., 0]
    for row in axes.get_yticks():  # its middle is that of the frames
        shown = sheet[round(row)]
        assert shown[shown < 255].tolist() == [0] * 6 + [4] * 6 + [8] * 6
    figure.canvas.draw()  # a '$' is not a formula


def test_durations_are_one_row_of_dots_per_action() -> None:
    index = pd.DataFrame({"action": ["Wave", "Clap", "Wave"], "duration_s": [1.0, 2.0, 3.0]})
    (axes,) = durations(index).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Clap", "Wave"]
    assert [np.asarray(dots.get_offsets()).tolist() for dots in axes.collections] == [[[2, 0]], [[1, 1], [3, 1]]]
