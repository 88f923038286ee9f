import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from actreel.dataset.fetch.download import download
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
