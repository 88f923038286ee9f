import hashlib
import signal
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actreel.dataset.fetch.download import MOST_FAILURES, adopt, download
from actreel.errors import FetchError
from tests.loopback import Loopback, serving

CONTENT = np.random.default_rng(0).bytes(300_000)
SIZE = len(CONTENT)
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


@pytest.fixture
def server() -> Iterator[Loopback]:
    with serving(CONTENT) as running:
        yield running


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "data" / "UCF50.rar"


def fetch(server: Loopback, target: Path, size: int | None = SIZE, md5: str | None = MD5) -> None:
    download(server.url, target, size=size, md5=md5, first_pause_s=0.001)


def part_of(target: Path) -> Path:
    return target.with_name(f".{target.name}.part")


def leave_part(server: Loopback, target: Path, num_bytes: int, url: str | None = None) -> None:
    """Makes a transfer that breaks off after so many bytes and is then refused."""
    server.breaks.append(num_bytes)
    server.statuses.extend([0, 404])
    with pytest.raises(FetchError, match="HTTP 404"):
        download(url or server.url, target, size=SIZE, first_pause_s=0.001)
    assert part_of(target).read_bytes() == CONTENT[:num_bytes]
    server.sent = 0
    server.requests.clear()


def test_a_whole_file_arrives_and_leaves_nothing_beside_it(server: Loopback, target: Path) -> None:
    fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert {path.name for path in target.parent.iterdir()} == {"UCF50.rar", ".UCF50.rar.lock"}


def test_a_file_that_is_there_is_not_fetched_but_checked(server: Loopback, target: Path) -> None:
    fetch(server, target)
    fetch(server, target)
    assert len(server.requests) == 1
    with pytest.raises(FetchError, match=rf"md5 must be 0+\. Received: {MD5}"):
        fetch(server, target, md5="0" * 32)
    target.write_bytes(CONTENT[:-1])
    with pytest.raises(FetchError, match=r"must have 300,000 bytes\. Received: 299,999"):
        fetch(server, target)
    assert target.exists()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(breaks=st.lists(st.integers(0, SIZE), max_size=6), size_known=st.booleans())
def test_broken_anywhere_it_goes_on_and_asks_for_nothing_twice(
    tmp_path_factory: pytest.TempPathFactory, breaks: list[int], size_known: bool
) -> None:
    target = tmp_path_factory.mktemp("fetch") / "UCF50.rar"
    with serving(CONTENT) as server:
        server.breaks.extend(breaks)
        fetch(server, target, size=SIZE if size_known else None)
        assert target.read_bytes() == CONTENT
        assert server.sent == SIZE


def test_a_server_out_of_breath_is_asked_again(server: Loopback, target: Path) -> None:
    server.statuses.extend([503, 429, 500, 0, 504])
    server.breaks.extend([1000])
    fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert server.sent == SIZE


def test_a_server_that_stays_out_is_given_up_with_the_part_kept(server: Loopback, target: Path) -> None:
    server.breaks.append(5000)
    server.statuses.extend([0] + [503] * MOST_FAILURES)
    with pytest.raises(FetchError, match=rf"Received: HTTP 503, {MOST_FAILURES} times.*5,000 bytes are kept"):
        fetch(server, target)
    fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert server.sent == SIZE


def test_nobody_there_is_a_message(target: Path) -> None:
    with pytest.raises(FetchError, match=r"a transfer must get on.*mirror"):
        download("http://127.0.0.1:9/UCF50.rar", target, first_pause_s=0.001)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "UCF50.rar", "file:///etc/passwd"])
def test_other_addresses_are_refused(target: Path, url: str) -> None:
    with pytest.raises(FetchError, match="address must be one that can be fetched"):
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
    with pytest.raises(FetchError, match="how large its file is"):
        fetch(server, target, size=None)
    fetch(server, target)
    assert target.read_bytes() == CONTENT


def test_another_content_of_the_same_size_is_refused_by_its_hash(server: Loopback, target: Path) -> None:
    server.content = bytes(SIZE)
    other = hashlib.md5(bytes(SIZE), usedforsecurity=False).hexdigest()
    with pytest.raises(FetchError, match=rf"md5 must be {MD5}\. Received: {other}"):
        fetch(server, target)
    assert part_of(target).stat().st_size == SIZE
    assert not target.exists()


def test_a_mirror_goes_on_where_the_first_server_stopped(server: Loopback, target: Path) -> None:
    leave_part(server, target, 7000)
    with serving(CONTENT) as mirror:
        mirror.validates = False
        fetch(mirror, target)
        assert mirror.sent == SIZE - 7000
    assert target.read_bytes() == CONTENT


def test_lost_notes_lose_no_bytes(server: Loopback, target: Path) -> None:
    leave_part(server, target, 7000)
    part_of(target).with_name(".UCF50.rar.part.json").write_text("{", encoding="utf-8")
    fetch(server, target)
    assert server.sent == SIZE - 7000


def test_a_complete_part_needs_no_server(target: Path) -> None:
    part_of(target).parent.mkdir(parents=True)
    part_of(target).write_bytes(CONTENT)
    download("http://127.0.0.1:9/UCF50.rar", target, size=SIZE, md5=MD5)
    assert target.read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_refused(server: Loopback, target: Path) -> None:
    part_of(target).parent.mkdir(parents=True)
    part_of(target).write_bytes(CONTENT + b"x")
    with pytest.raises(FetchError, match=r"300,000 bytes\. Received: 300,001 bytes so far"):
        fetch(server, target)
    with pytest.raises(FetchError, match=r"300,000 bytes\. Received: 300,001 bytes so far"):
        fetch(server, target, size=None)


def test_a_full_disk_is_told_before_the_transfer(
    server: Loopback, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**9, 10**9, 1234))
    with pytest.raises(FetchError, match=r"room for 300,000 bytes\. Received: 1,234 free"):
        fetch(server, target)
    assert not part_of(target).exists()


def test_killed_at_random_moments_it_goes_on_from_the_last_byte(server: Loopback, target: Path) -> None:
    server.pause_s = 0.004  # 1 MB/s
    code = "import sys; from pathlib import Path; from actreel.dataset.fetch.download import download; " + (
        "download(sys.argv[1], Path(sys.argv[2]), size=int(sys.argv[3]), first_pause_s=0.01)"
    )
    rng = np.random.default_rng(1)
    kept = [0]
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", code, server.url, str(target), str(SIZE)], stderr=subprocess.DEVNULL
        )
        grown = kept[-1] + int(rng.integers(1, 50_000))
        while process.poll() is None and (not part_of(target).exists() or part_of(target).stat().st_size < grown):
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        kept.append(part_of(target).stat().st_size)
    server.pause_s = 0.0
    fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert kept == sorted(kept)
    # Nothing that had been written is asked for again; what was on the wire at a kill is lost, whoever fetches.
    assert [request.get("Range") for request in server.requests] == [None, *(f"bytes={size}-" for size in kept[1:])]


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
    assert "keep that file" in caplog.text


def test_an_archive_that_is_another_is_not_adopted(tmp_path: Path, target: Path) -> None:
    mine = tmp_path / "mine.rar"
    mine.write_bytes(CONTENT[:-7])
    with pytest.raises(FetchError, match=r"300,000 bytes\. Received: 299,993 in '.*mine\.rar'"):
        adopt(mine, target, size=SIZE)
    mine.write_bytes(bytes(SIZE))
    with pytest.raises(FetchError, match=rf"md5 must be {MD5}"):
        adopt(mine, target, size=SIZE, md5=MD5)
    with pytest.raises(FetchError, match="must be a file"):
        adopt(tmp_path, target)
    assert not target.exists()
