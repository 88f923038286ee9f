import io

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.text import Text

from actreel.dataset.plots import durations
from actreel.evaluation import plots
from actreel.video.opencv import cv2

CLIP = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3)).astype(np.uint8)


def drawn(figure: Figure) -> np.ndarray:
    """The plot as an image, (H, W, 3)."""
    file = io.BytesIO()
    figure.savefig(file)
    return np.asarray(cv2.imdecode(np.frombuffer(file.getvalue(), np.uint8), cv2.IMREAD_COLOR))


def test_a_name_that_looks_like_a_formula_is_drawn_as_text() -> None:
    labels = ["$\\frac{1$", "$5 bill"]
    assert drawn(plots.confusion(np.array([0, 1]), np.array([0, 0]), labels)).size
    assert drawn(plots.confused(dict.fromkeys(labels, CLIP))).size


def test_names_in_other_scripts_and_in_none_are_drawn_in_every_plot() -> None:
    names = ["挥手", "\U00013000"]
    weights, maps = np.ones(12, dtype=np.float32), np.zeros((12, 16, 16), dtype=np.float32)
    figures = [
        plots.confusion(np.array([0, 1]), np.array([0, 0]), names),
        plots.confused(dict.fromkeys(names, CLIP)),
        plots.saliency(dict.fromkeys(names, (CLIP, weights, maps))),
        durations(pd.DataFrame({"action": names, "duration_s": [1.0, 2.0]})),
    ]
    for figure in figures:
        drawn(figure)  # a missing character is a warning, and warnings fail
        texts = {text.get_text() for text in figure.findobj(Text)}
        assert texts >= {"挥手", "U+13000"}


def test_nothing_confused_is_a_sentence() -> None:
    (text,) = plots.confused({}).texts
    assert text.get_text() == "No test clip was misclassified."


def test_saliency_shows_each_frame_above_its_bar() -> None:
    over_time = np.linspace(0, 1, 12, dtype=np.float32)
    maps = np.zeros((12, 16, 16), dtype=np.float32)
    maps[:, 4:8, 4:8] = 1
    figure = plots.saliency({"a": (CLIP, over_time, maps), "b": (CLIP[:6], over_time[:6], maps[:6])}, columns=5)
    *frames, bars = figure.axes[:6]
    assert [axes.get_ylabel() for axes in (frames[0], bars)] == ["a", "weight"]
    shown = [frame.images[0].get_array() for frame in frames]
    for index, frame in zip((1, 3, 6, 8, 10), shown, strict=True):
        np.testing.assert_array_equal(frame, CLIP[index])
    assert frames[0].images[1].get_alpha().max() == np.float32(0.8)
    assert [bar.get_height() for bar in bars.patches] == over_time.tolist()
    picture = drawn(figure)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50
