from pathlib import Path

import pytest

from actreel.dataset.fetch.adopt import adopt
from actreel.errors import FetchError
from tests.dataset.fetch.conftest import CONTENT, MD5, SIZE


def test_adopting_makes_a_link_and_no_copy(tmp_path: Path, target: Path) -> None:
    mine = tmp_path / "mine.rar"
    mine.write_bytes(CONTENT)
    for _ in range(2):
        adopt(mine, target, size=SIZE, md5=MD5)
        assert target.stat().st_ino == mine.stat().st_ino


def test_across_file_systems_adopting_makes_a_symbolic_link(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("another device")

    monkeypatch.setattr("os.link", refuse)
    mine = tmp_path / "mine.rar"
    mine.write_bytes(CONTENT)
    adopt(mine, target)
    assert target.is_symlink()
    assert target.read_bytes() == CONTENT
    assert "only a link to it" in caplog.text


def test_an_archive_that_is_another_is_not_adopted(tmp_path: Path, target: Path) -> None:
    mine = tmp_path / "mine.rar"
    mine.write_bytes(CONTENT[:-7])
    with pytest.raises(FetchError, match=r"300,000 bytes\. Received: 299,993 in '.*mine\.rar'"):
        adopt(mine, target, size=SIZE)
    mine.write_bytes(bytes(SIZE))
    with pytest.raises(FetchError, match=rf"md5 must be {MD5}"):
        adopt(mine, target, size=SIZE, md5=MD5)
    with pytest.raises(FetchError, match="needs a file"):
        adopt(tmp_path, target)
    assert not target.exists()
