"""Hostile files end in a sentence, quickly and in little memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from actreel.errors import DatasetError
from actreel.labelling import files
from actreel.labelling.files import number, parse_json, parse_xml, read_text
from actreel.labelling.importing import read_marks
from tests.labelling.conftest import eaf, write

BOMB = "<!DOCTYPE lolz [<!ENTITY a 'ha'>" + "".join(
    f"<!ENTITY {new} '{f'&{old};' * 10}'>" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
) + "]>"  # fmt: skip
OTHER_FILE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>'


@pytest.mark.parametrize("head", [BOMB, OTHER_FILE, '<!DOCTYPE x SYSTEM "http://localhost/x.dtd">'])
def test_no_entity_is_declared(tmp_path: Path, head: str) -> None:
    file = write(tmp_path / "a.eaf", eaf([(0, 1000, "&a;" if "ENTITY" in head else "a")], head=head))
    with pytest.raises(DatasetError, match="declares a document type"):
        read_marks(file)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "a.json", [0] * 100)
    monkeypatch.setattr(files, "LARGEST_FILE", 100)
    with pytest.raises(DatasetError, match="at most 0 MB"):
        read_text(file)


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe{}", b"[" * 200_000, b'{"type": ' * 100_000, b"[1,", b"7", b'"text"', b"null", b"{}", b"<a>",
     b"<a/>", b"<a></b>", b'{"type": "polygon"}', b'[{"video": "x.mp4"}]', b"1" * 10_000],
)  # fmt: skip
def test_what_is_none_of_the_formats_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(content)
    with pytest.raises(DatasetError, match=r"Segments must come from ELAN .*a\.json"):
        read_marks(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"must be readable.*No such file"):
        read_text(tmp_path / "none.eaf")


@pytest.mark.parametrize("value", [True, None, [], {}, "1,5", "", "x" * 10_000, 10**400])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(DatasetError, match="is no number") as caught:
        number(value, Path("a.json"))
    assert len(str(caught.value)) < 400


def test_a_byte_order_mark_and_any_letters_are_read(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps(["Öffnen"]), encoding="utf-8-sig")
    assert parse_json(read_text(file), file) == ["Öffnen"]
    assert parse_xml("<?xml version='1.0' encoding='UTF-8'?><a>Öffnen</a>", file).text == "Öffnen"
