from pathlib import Path

import pytest

from actreel.base import fonts
from actreel.base.fonts import is_invisible, machine_fonts, packaged_fonts


def test_packages_that_are_missing_have_no_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert any(path.name.startswith("NotoSansCJK") for path in packaged_fonts())
    monkeypatch.setattr(fonts, "PACKAGES", ("no_such_package", *fonts.PACKAGES[:1]))
    found = list(packaged_fonts())
    assert found
    assert not any(path.name.startswith("NotoSansCJK") for path in found)


def test_the_machines_fonts_are_found_in_folders_of_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_folders", lambda: [tmp_path / "missing", tmp_path])
    for name in ("a/b/one.TTF", "two.otf", "three.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in machine_fonts()] == ["one.TTF", "two.otf"]


def test_joiners_have_no_look_and_letters_have() -> None:
    assert [is_invisible(character) for character in ("\u200d", "\ufe0f", "\n", "a", " ")] == [
        True,
        True,
        True,
        False,
        False,
    ]
