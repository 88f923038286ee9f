"""A worker's scratch folder: private, locked, and swept once its worker is gone."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from actreel.errors import ConfigError
from serving.workers.scratch import Scratch, make_private


def test_scratch_is_for_its_owner_only(tmp_path: Path) -> None:
    async def use(scratch: Scratch) -> Path:
        async with scratch.private() as folder:
            (folder / "video").write_bytes(b"x")
            for path in (tmp_path / "state", scratch.folder, folder):
                assert path.stat().st_mode & 0o077 == 0
        return folder

    with closing(Scratch(tmp_path / "state")) as scratch:
        assert not asyncio.run(use(scratch)).exists()


def test_a_cancelled_request_leaves_no_folder(tmp_path: Path) -> None:
    async def enter_and_leave(scratch: Scratch) -> None:
        async with scratch.private() as folder:
            (folder / "video").write_bytes(b"x")

    async def run(scratch: Scratch) -> None:
        with ThreadPoolExecutor(1) as threads:
            asyncio.get_running_loop().set_default_executor(threads)
            threads.submit(time.sleep, 0.3)  # the removal has to wait for a thread
            request = asyncio.create_task(enter_and_leave(scratch))
            await asyncio.sleep(0.1)
            request.cancel()
            await asyncio.wait([request])
            assert request.cancelled()

    with closing(Scratch(tmp_path / "state")) as scratch:
        asyncio.run(run(scratch))
        assert list(scratch.folder.iterdir()) == [scratch.folder / "lock"]


def test_a_link_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "state").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="ACTREEL_STATE_DIR"):
        make_private(tmp_path / "state")


def test_a_sweep_takes_only_what_nobody_owns(tmp_path: Path) -> None:
    one, other = Scratch(tmp_path / "state"), Scratch(tmp_path / "state")
    (other.folder / "request-left").mkdir()
    assert one.sweep() == {one.owner, other.owner}
    other._lock.close()  # as the kernel does when a process is killed
    assert one.sweep() == {one.owner}
    assert not other.folder.exists()
    one.close()
