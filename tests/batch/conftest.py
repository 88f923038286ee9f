"""The store of objects in memory is one for the whole process: each test starts with an empty one."""

import fsspec
import pytest


@pytest.fixture(autouse=True)
def _memory_is_emptied() -> None:
    fsspec.filesystem("memory").store.clear()
