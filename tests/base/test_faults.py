"""Faults of the machine: real ones where the test's own process can have them."""

from __future__ import annotations

import errno
import os
import pickle
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from actreel.base.atomic import written_aside
from actreel.base.faults import explain, naming, reading
from actreel.errors import FileError
from actreel.feedback import DATABASE, FeedbackStore


@contextmanager
def limit(kind: int, value: int) -> Iterator[None]:
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (value, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


def text(path: Path) -> None:
    path.write_text("long " * 100_000, encoding="utf-8")


def array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros(100_000))


def table(path: Path) -> None:
    pd.DataFrame({"clip": np.arange(100_000)}).to_parquet(path)


@pytest.mark.parametrize("write", [text, array, table])
def test_a_file_for_which_there_is_no_room(tmp_path: Path, write: Callable[[Path], None]) -> None:
    file = tmp_path / "file"
    file.write_text("old", encoding="utf-8")
    with limit(resource.RLIMIT_FSIZE, 4096), pytest.raises(OSError) as caught, written_aside(file) as aside:  # noqa: PT011
        write(aside)
    message = explain(caught.value) or ""
    assert message.startswith(f"'{file}' could not be written completely: ")
    assert f"MB are free at '{tmp_path}'. Free some space, then run the same command again" in message
    assert file.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_may_not_be_written() -> None:
    file = Path("/proc/version")
    with pytest.raises(OSError) as caught, written_aside(file / "below"):  # noqa: PT011
        pass
    assert explain(caught.value) is None, "no such folder is no fault of the machine"
    error = PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))
    assert (explain(error) or "").startswith("'/proc/version' cannot be opened or changed: Permission denied.")


def test_no_memory() -> None:
    with pytest.raises(MemoryError) as caught:
        np.zeros(2**60, dtype=np.uint8)
    message = explain(caught.value) or ""
    assert message.startswith("There is not enough memory (Unable to allocate ")
    assert "lower train.batch_size" in message


def test_too_many_open_files(tmp_path: Path) -> None:
    opened = ExitStack()

    def open_more() -> None:
        while True:
            opened.enter_context((tmp_path / "file").open("w"))

    used = len(list(Path("/proc/self/fd").iterdir()))
    with opened, limit(resource.RLIMIT_NOFILE, used), pytest.raises(OSError) as caught:  # noqa: PT011
        open_more()
    assert "ulimit -n" in (explain(caught.value) or "")


def test_a_locked_database_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FeedbackStore(tmp_path)
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, timeout: connect(path, timeout=0.1))
    with closing(connect(tmp_path / DATABASE, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError) as caught:
            store.all()
    assert (explain(caught.value) or "").startswith(f"'{tmp_path / DATABASE}' is locked by another process.")


def test_the_file_is_named_across_processes(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught, naming(tmp_path / "shard.npy"):  # noqa: PT011
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    received = pickle.loads(pickle.dumps(caught.value))  # noqa: S301  # as a worker process sends it
    assert f"'{tmp_path / 'shard.npy'}' could not be written" in (explain(received) or "")


def test_what_a_library_says_of_a_fault_in_its_own_exception_is_understood() -> None:
    cause = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "artifacts/clips/shard.npy")
    wrapped = RuntimeError("the library failed")
    wrapped.__cause__ = cause
    assert (explain(wrapped) or "").startswith("'artifacts/clips/shard.npy' could not be written completely")
    assert explain(KeyError("a bug")) is None


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("std::bad_alloc"),
        SystemError("error return without exception set"),
        BlockingIOError(
            errno.EAGAIN,
            "Resource temporarily unavailable; last error log: [swscaler] "
            "Failed initializing scaling graph (Resource temporarily unavailable): fmt:rgb24",
        ),
    ],
)
def test_libraries_say_in_their_own_words_that_memory_is_short(error: Exception) -> None:
    assert "not enough memory" in (explain(error) or "")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe"])
def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "table.parquet"
    file.write_bytes(content)
    with pytest.raises(FileError, match=r"table\.parquet' is damaged.*Make it again"), reading(file, "Make it again."):
        pd.read_parquet(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "table.parquet"
    with pytest.raises(FileError, match=r"table\.parquet' is missing\. Make it again"), reading(file, "Make it again."):
        pd.read_parquet(file)


def test_a_file_that_may_not_be_read_is_no_damaged_one(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), reading(tmp_path, "Make it again."), naming(tmp_path / "file"):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


FULL = "open('/dev/full', 'w').write('x' * 100_000)"


def test_a_program_ends_with_the_sentence() -> None:
    program = f"from actreel.base.console import exit_cleanly\ndef main(): {FULL}\nexit_cleanly(main)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert "could not be written completely: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
