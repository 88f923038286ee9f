import io
from collections.abc import Iterator

import numpy as np
import pytest
from matplotlib import rcParams
from matplotlib.figure import Figure

from actreel.dataset import fonts
from actreel.dataset.fonts import drawable
from actreel.video.opencv import cv2

# "Wave a hand", or something like it, and what joins, combines or stands in no script.
NAMES = """Wave|挥手|揮手|手を振る|손 흔들기|يلوح بيده|دست تکان دادن|नमस्ते|হাত নাড়া|கையசை|చేయి ఊపు|ಕೈ ಬೀಸು|കൈ വീശൽ|હાથ|ਹੱਥ
โบกมือ|ໂບກມື|បក់ដៃ|လက်ဝှေ့|לנופף|Махать|Κουνάω|ձեռք|ხელი|እጅ|අත|ହାତ|vẫy tay|👋|👨‍👩‍👧|❤️|∞ ½ №|Wave مرحبا (2) 挥手"""
WAVES = NAMES.replace("\n", "|").split("|")


def drawn(text: str) -> bytes:
    """The text's pixels, cut to its ink."""
    figure = Figure(figsize=(4, 0.5))
    figure.text(0.1, 0.3, text)
    file = io.BytesIO()
    figure.savefig(file)  # a missing character is a warning, and warnings fail
    picture = np.asarray(cv2.imdecode(np.frombuffer(file.getvalue(), np.uint8), cv2.IMREAD_GRAYSCALE))
    rows, columns = np.nonzero(picture < 128)
    return picture[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].tobytes()


def test_names_in_every_script_are_drawn_as_they_are_each_with_a_look_of_its_own() -> None:
    assert [drawable(name) for name in WAVES] == WAVES
    assert len({drawn(name) for name in WAVES}) == len(WAVES)


def test_arabic_letters_join_and_hebrew_runs_from_right_to_left() -> None:
    joined, apart = "بيد", "ب\u200cي\u200cد"
    assert drawn(drawable(joined)) != drawn(drawable(apart))
    left_to_right = "\u202dבא\u202c"
    assert drawn(drawable("אב")) == drawn(drawable(left_to_right)) != drawn(drawable("בא"))


def test_a_character_that_no_font_has_is_its_number() -> None:
    names = [drawable(f"{hieroglyph} sits") for hieroglyph in "\U00013000\U00013001"]
    assert names == ["U+13000 sits", "U+13001 sits"]
    assert drawable("caf\udce9") == "cafU+DCE9"
    assert drawn(names[0]) != drawn(names[1])


@pytest.fixture
def only_matplotlibs_font(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    fonts._use_packages()
    monkeypatch.setitem(rcParams, "font.family", ["DejaVu Sans"])
    fonts._has_font.cache_clear()
    yield
    fonts._has_font.cache_clear()


def test_a_font_of_the_machine_is_used_where_the_others_lack_a_character(only_matplotlibs_font: None) -> None:
    drawable("挥手")  # Matplotlib knows the packages' fonts, as it would a font of the machine
    assert rcParams["font.family"] == ["DejaVu Sans", "Noto Sans CJK JP"]


def test_of_a_name_as_long_as_a_folder_s_the_middle_is_left_out() -> None:
    name = drawable("a" * 200 + "z" * 55)
    assert (len(name), name[0], name[30], name[-1]) == (61, "a", "\u2026", "z")
