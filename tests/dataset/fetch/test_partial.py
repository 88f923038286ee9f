from pathlib import Path

import pytest

from actreel.dataset.fetch.download import download
from actreel.errors import FetchError
from tests.dataset.fetch.conftest import CONTENT, MD5, SIZE, fetch, leave_part, part_of
from tests.loopback import Loopback


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
