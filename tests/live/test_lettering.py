from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from actreel.live import lettering
from actreel.live.lettering import lettered
from tests.dataset.test_fonts import WAVES


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Fonts are looked for again, in the test and after it."""
    forget()
    yield
    forget()


def forget() -> None:
    lettering._fonts.cache_clear()
    lettering._font_with.cache_clear()


def ink(text: str) -> bytes:
    """The text's pixels, without the columns beside it."""
    pixels = lettered(text, 24)
    (columns,) = np.nonzero(pixels.any(axis=0))
    return pixels[:, columns.min() : columns.max() + 1].tobytes()


def test_labels_in_every_script_have_a_look_of_their_own() -> None:
    looks = {lettered(name, 24).tobytes() for name in WAVES}
    assert len(looks) == len(WAVES)
    assert all(lettered(name, 24).max() > 100 for name in WAVES)
    assert {lettered(name, 24).shape[0] for name in WAVES} == {24}


def test_arabic_letters_join_and_hebrew_runs_from_right_to_left() -> None:
    assert lettered("بيد", 24).shape != lettered("ب\u200cي\u200cد", 24).shape
    left_to_right = "\u202dבא\u202c"
    assert ink("אב") == ink(left_to_right) != ink("בא")


def test_a_character_that_no_font_has_is_its_number() -> None:
    assert lettered("\U00013000 sits", 24).tobytes() == lettered("U+13000 sits", 24).tobytes()
    assert lettered("caf\udce9", 24).tobytes() == lettered("cafU+DCE9", 24).tobytes()


def test_a_font_of_the_machine_is_used_where_the_others_lack_a_character(
    forgotten: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cjk,) = (path for path in lettering.packaged_fonts() if "CJK" in path.name)
    shutil.copy(cjk, tmp_path / "mine.otf")
    (tmp_path / "damaged.ttf").write_bytes(b"no font")
    expected = lettered("挥手", 24)
    monkeypatch.setattr(lettering, "packaged_fonts", lambda: iter(()))
    for machine, found in (((), False), ((tmp_path / "damaged.ttf", tmp_path / "mine.otf"), True)):
        forget()
        monkeypatch.setattr(lettering, "machine_fonts", lambda paths=machine: iter(paths))
        assert np.array_equal(lettered("挥手", 24), expected) == found


def test_an_empty_text_has_no_ink() -> None:
    assert lettered("", 20).max() == 0
