import io
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import time
import warnings
import zipfile
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from actreel.dataset.fetch.archive import list_members, unpack
from actreel.errors import DatasetError
from tests.conftest import patience
from tests.dataset.rar import LINK_MODE, write_rar

MEMBERS = {
    "UCF50/YoYo/v_YoYo_g01_c01.avi": b"first" * 1000,
    "UCF50/YoYo/v_YoYo_g01_c02.avi": b"second" * 1000,
    "UCF50/Jump Rope/späce [1] *.avi": b"third" * 1000,
    "UCF50/Empty/nothing.avi": b"",
}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return write_rar(tmp_path / "UCF50.rar", MEMBERS)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_real_rar_is_unpacked(archive: Path, tmp_path: Path) -> None:
    unpack(archive, tmp_path / "out")
    assert contents(tmp_path / "out") == MEMBERS


def test_files_with_the_right_content_are_not_written_again(archive: Path, tmp_path: Path) -> None:
    unpack(archive, tmp_path / "out")
    kept, damaged, cut = (tmp_path / "out" / name for name in list(MEMBERS)[:3])
    before = kept.stat().st_ino, kept.stat().st_ctime_ns
    damaged.write_bytes(b"S" + damaged.read_bytes()[1:])  # as large as it must be, but another content
    cut.write_bytes(b"third")
    unpack(archive, tmp_path / "out")
    assert (kept.stat().st_ino, kept.stat().st_ctime_ns) == before
    assert contents(tmp_path / "out") == MEMBERS


def test_files_of_another_archive_are_removed(archive: Path, tmp_path: Path) -> None:
    stranger = tmp_path / "out" / "Old" / "clip.avi"
    stranger.parent.mkdir(parents=True)
    stranger.write_bytes(b"old")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine.avi").write_bytes(b"mine")
    (tmp_path / "out" / "UCF50").symlink_to(elsewhere)
    unpack(archive, tmp_path / "out")
    assert contents(tmp_path / "out") == MEMBERS
    assert contents(elsewhere) == {"mine.avi": b"mine"}


def test_a_link_with_the_name_of_a_member_is_not_followed(archive: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.avi"
    mine.write_bytes(b"mine")
    place = tmp_path / "out" / next(iter(MEMBERS))
    place.parent.mkdir(parents=True)
    place.symlink_to(mine)
    unpack(archive, tmp_path / "out")
    assert mine.read_bytes() == b"mine"
    assert contents(tmp_path / "out") == MEMBERS


@pytest.mark.parametrize(
    "name", ["../out.avi", "/out.avi", "UCF50/../../out.avi", "C:\\out.avi", "UCF50/stream.avi:hidden"]
)
def test_a_path_outside_the_target_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    archive = write_rar(tmp_path / "evil.rar", {"UCF50/good.avi": b"good", name: b"evil"})
    with pytest.raises(DatasetError, match=r"plain files.*a path outside the target, .*evil\.rar"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_link_is_refused(tmp_path: Path) -> None:
    archive = write_rar(tmp_path / "evil.rar", {"UCF50/clip.avi": b"/etc/passwd"}, LINK_MODE)
    with pytest.raises(DatasetError, match=r"a link, 'UCF50/clip\.avi', in '.*evil\.rar'"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_a_truncated_archive_is_refused_with_its_size(archive: Path, tmp_path: Path, share: float) -> None:
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(len(whole) * share)])
    size = f"{archive.stat().st_size:,}"
    with pytest.raises(
        DatasetError, match=rf"complete and readable.*UCF50\.rar', {size} bytes: Unexpected end of archive"
    ):
        unpack(archive, tmp_path / "out")


def test_a_damaged_member_is_named(archive: Path, tmp_path: Path) -> None:
    archive.write_bytes(archive.read_bytes().replace(b"secondsecond", b"secondSecond", 1))
    with pytest.raises(DatasetError, match=r"CRC Failed : UCF50/YoYo/v_YoYo_g01_c02\.avi"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"<html>Not found</html>"])
def test_a_file_of_another_format_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "UCF50.rar").write_bytes(content)
    with pytest.raises(DatasetError, match=rf"UCF50\.rar', {len(content)} bytes"):
        list_members(tmp_path / "UCF50.rar")


def test_a_missing_or_empty_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="must be an archive file"):
        list_members(tmp_path / "UCF50.rar")
    with pytest.raises(DatasetError, match="must contain files"):
        list_members(write_rar(tmp_path / "UCF50.rar", {}))


def test_a_full_disk_stops_before_unpacking(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**9, 10**9, 1234))
    with pytest.raises(DatasetError, match=r"room for the 16,000 bytes.*Received: 1,234"):
        unpack(archive, tmp_path / "out")
    assert not contents(tmp_path / "out")


def stop_while_unpacking(archive: Path, target: Path) -> tuple[subprocess.Popen[bytes], psutil.Process]:
    """An unpacking process, and its 7zz, which stands still with some of the files written and some not."""
    code = "import sys; from pathlib import Path; from actreel.dataset.fetch.archive import unpack; " + (
        "unpack(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    for _ in range(20):
        process = subprocess.Popen([sys.executable, "-c", code, archive, target], stderr=subprocess.DEVNULL)
        while process.poll() is None:
            for child in psutil.Process(process.pid).children():
                with suppress(psutil.Error):  # it has ended
                    if "x" not in child.cmdline():
                        continue  # it lists the members
                    child.suspend()
                    if 0 < len(contents(target)) < NUM_MEMBERS:
                        return process, child
                    child.resume()
        shutil.rmtree(target)  # on a busy machine, it was done before it was looked at
    pytest.fail("7zz was never met half-way")


NUM_MEMBERS = 150


@pytest.fixture
def large(tmp_path: Path) -> tuple[Path, dict[str, bytes]]:
    """An archive that takes a while to unpack, and its content."""
    members = {f"UCF50/A{i % 5}/v_{i:03d}.avi": os.urandom(200_000) for i in range(NUM_MEMBERS)}
    return write_rar(tmp_path / "UCF50.rar", members), members


def test_killed_while_unpacking_it_completes_on_the_next_try(
    large: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    (archive, members), target = large, tmp_path / "out"
    process, child = stop_while_unpacking(archive, target)
    with process:
        process.kill()
        child.kill()
    unpack(archive, target)
    assert contents(target) == members


def test_a_7zz_that_outlives_its_parent_is_waited_for(
    large: tuple[Path, dict[str, bytes]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (archive, members), target = large, tmp_path / "out"
    process, child = stop_while_unpacking(archive, target)
    with process:
        process.kill()
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(unpack, archive, target)
        deadline = time.monotonic() + patience(20)
        while "waiting: another process" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.01)
        waits = not second.done()
        child.resume()
        second.result()
    assert waits
    assert "waiting: another process" in caplog.text
    assert contents(target) == members


def write_zip(path: Path, members: dict[str, bytes], mode: int = 0o100644) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that come twice
        for name, content in members.items():
            entry = zipfile.ZipInfo(name.rstrip("+"))
            entry.create_system, entry.external_attr = 3, mode << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return path


def refused(archive: Path, words: str) -> None:
    target = archive.parent / "out"
    with pytest.raises(DatasetError, match=words) as caught:
        unpack(archive, target)
    assert archive.name in str(caught.value)
    assert not target.exists()


def test_a_bomb_is_refused_by_what_it_would_unpack_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = write_zip(tmp_path / "bomb.zip", {"Wave/zeros.avi": bytes(2_000_000)})
    unpack(archive, tmp_path / "small")  # less than a gigabyte is harmless
    monkeypatch.setattr("actreel.dataset.fetch.archive.HARMLESS_BYTES", 1_000_000)
    refused(archive, r"at most 100 times its own 2,\d+ bytes. Received: 2,000,000 bytes unpacked")


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = write_zip(tmp_path / "many.zip", {f"Wave/{number}.avi": b"x" for number in range(4)})
    monkeypatch.setattr("actreel.dataset.fetch.archive.MOST_FILES", 3)
    refused(archive, "at most 3 files. Received: 4")


def test_a_file_larger_than_the_list_says_is_not_written(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "lies.zip", {"Wave/zeros.avi": bytes(5_000_000)})
    archive.write_bytes(archive.read_bytes().replace((5_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little")))
    with pytest.raises(DatasetError, match=r"lies\.zip"):
        unpack(archive, tmp_path / "out")
    assert sum(file.stat().st_size for file in (tmp_path / "out").rglob("*") if file.is_file()) <= 1000


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    refused(write_zip(tmp_path / "twice.zip", {"Wave/a.avi": b"1", "Wave/a.avi+": b"2"}), "several of one name")


@pytest.mark.parametrize(
    ("mode", "words"),
    [(stat.S_IFCHR, "a device"), (stat.S_IFBLK, "a device"), (stat.S_IFIFO, "a device, pipe"),
     (stat.S_IFSOCK, "a device, pipe or socket"), (stat.S_IFLNK, "a link")],
)  # fmt: skip
def test_what_is_no_plain_file_is_refused(tmp_path: Path, mode: int, words: str) -> None:
    refused(write_zip(tmp_path / "evil.zip", {"Wave/a.avi": b"/dev/zero"}, mode | 0o644), words)


@pytest.mark.parametrize("name", [b"Wave/caf\xe9.avi", b"Wave/\x1b[2J.avi"])
def test_a_name_that_cannot_be_shown_is_refused(tmp_path: Path, name: bytes) -> None:
    archive = tmp_path / "names.tar"
    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as tar:
        entry = tarfile.TarInfo(name.decode("utf-8", "surrogateescape"))
        entry.size = 1
        tar.addfile(entry, io.BytesIO(b"x"))
    refused(archive, "a name that is not UTF-8")


def test_an_encrypted_file_is_refused(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "secret.zip", {"Wave/a.avi": b"x" * 100})
    content = bytearray(archive.read_bytes())
    for head, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(head) + flags] |= 1
    archive.write_bytes(content)
    refused(archive, "an encrypted file")
