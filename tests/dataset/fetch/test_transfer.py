from collections import namedtuple
from pathlib import Path

import pytest

from actreel.dataset.fetch.download import download
from actreel.errors import FetchError
from tests.dataset.fetch.conftest import CONTENT, SIZE, fetch, leave_part, part_of
from tests.loopback import Loopback


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "UCF50.rar", "file:///etc/passwd"])
def test_other_addresses_are_refused(target: Path, url: str) -> None:
    with pytest.raises(FetchError, match="address must be an http or https URL"):
        download(url, target)


def test_resuming_sends_the_validator(server: Loopback, target: Path) -> None:
    leave_part(server, target, 7000)
    fetch(server, target)
    (request,) = server.requests
    assert (request["Range"], request["If-Range"]) == ("bytes=7000-", server.etag)


def test_a_server_that_ignores_ranges_loses_nothing(server: Loopback, target: Path) -> None:
    leave_part(server, target, 7000)
    server.knows_ranges = False
    server.breaks.extend([3000, 9000])  # the first breaks off before anything new has come
    fetch(server, target)
    assert target.read_bytes() == CONTENT


def test_a_server_without_validators_is_checked_by_size(server: Loopback, target: Path) -> None:
    server.validates = False
    leave_part(server, target, 7000)
    fetch(server, target)
    assert "If-Range" not in server.requests[0]
    assert target.read_bytes() == CONTENT


def test_a_file_that_changes_half_way_is_refused_and_the_part_kept(server: Loopback, target: Path) -> None:
    leave_part(server, target, 7000)
    before = server.etag
    server.content = bytes(SIZE)
    with pytest.raises(FetchError, match=rf"one file from first to last\. Received: etag {before}, then {server.etag}"):
        fetch(server, target)
    assert part_of(target).read_bytes() == CONTENT[:7000]


@pytest.mark.parametrize("size", [SIZE, None])
def test_a_file_that_grows_half_way_is_refused_with_both_sizes(
    server: Loopback, target: Path, size: int | None
) -> None:
    leave_part(server, target, 7000)
    server.content = CONTENT + b"more"
    with pytest.raises(FetchError, match=r"300,000 bytes.*300,004 bytes.*7,000 bytes so far are kept"):
        fetch(server, target, size=size)
    assert part_of(target).read_bytes() == CONTENT[:7000]


@pytest.mark.parametrize("change", [-1, 1])
def test_another_size_than_recorded_is_refused_before_a_byte_is_kept(
    server: Loopback, target: Path, change: int
) -> None:
    with pytest.raises(FetchError, match=rf"must be {SIZE + change:,} bytes\. Received: 300,000 bytes"):
        fetch(server, target, size=SIZE + change)
    assert not part_of(target).exists()


def test_a_server_that_promises_too_much_is_found_out(server: Loopback, target: Path) -> None:
    server.claimed = SIZE + 5
    with pytest.raises(FetchError, match=r"300,005 bytes.*300,000 bytes"):
        fetch(server, target, size=SIZE + 5)
    assert part_of(target).read_bytes() == CONTENT


def test_a_server_that_promises_too_little_is_refused(server: Loopback, target: Path) -> None:
    server.claimed = SIZE - 5
    with pytest.raises(FetchError, match=r"must be 300,000 bytes\. Received: 299,995"):
        fetch(server, target)


def test_without_any_length_only_a_known_size_will_do(server: Loopback, target: Path) -> None:
    server.claimed = 0
    with pytest.raises(FetchError, match="the size of its file"):
        fetch(server, target, size=None)
    fetch(server, target)
    assert target.read_bytes() == CONTENT


def test_a_full_disk_is_told_before_the_transfer(
    server: Loopback, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**9, 10**9, 1234))
    with pytest.raises(FetchError, match=r"room for 300,000 bytes\. Received: 1,234 free"):
        fetch(server, target)
    assert not part_of(target).exists()
