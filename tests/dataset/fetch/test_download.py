import hashlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actreel.dataset.fetch.download import MOST_FAILURES, download
from actreel.errors import FetchError
from tests.dataset.fetch.conftest import CONTENT, MD5, SIZE, fetch, leave_part, part_of
from tests.loopback import Loopback, serving


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
    with pytest.raises(
        FetchError, match=rf"after {MOST_FAILURES} attempts in a row\. Received: HTTP 503, .*5,000 bytes are kept"
    ):
        fetch(server, target)
    fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert server.sent == SIZE


def test_nobody_there_is_a_message(target: Path) -> None:
    with pytest.raises(FetchError, match=r"no progress after 8 attempts.*mirror"):
        download("http://127.0.0.1:9/UCF50.rar", target, first_pause_s=0.001)


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


def test_killed_at_random_moments_it_goes_on_from_the_last_byte(server: Loopback, target: Path) -> None:
    code = "import sys; from pathlib import Path; from actreel.dataset.fetch.download import download; " + (
        "download(sys.argv[1], Path(sys.argv[2]), size=int(sys.argv[3]), first_pause_s=0.01)"
    )
    rng = np.random.default_rng(1)
    kept = [0]
    for _ in range(5):
        # The server stands still there, so that the kill comes before the end, however late it comes.
        server.stops_at = stop = kept[-1] + int(rng.integers(1, 50_000))
        process = subprocess.Popen(
            [sys.executable, "-c", code, server.url, str(target), str(SIZE)], stderr=subprocess.DEVNULL
        )
        while process.poll() is None and (not part_of(target).exists() or part_of(target).stat().st_size < stop):
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        kept.append(part_of(target).stat().st_size)
    server.stops_at = None
    fetch(server, target)
    assert target.read_bytes() == CONTENT
    assert kept == sorted(kept)
    # Nothing that had been written is asked for again; what was on the wire at a kill is lost, whoever fetches.
    assert [request.get("Range") for request in server.requests] == [None, *(f"bytes={size}-" for size in kept[1:])]
