"""Faults of the machine, in a sentence: a full disk, no memory, a file that is locked, damaged or may not be written.

Libraries report them with exceptions of their own. `explain` finds the fault behind them; `exit_cleanly` prints it, for
every stage and command.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import sqlite3
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from actreel.errors import FileError

AGAIN = "run the same command again; what is complete is kept"
TRAIN_AGAIN = "Train again: dvc repro --force train"

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
_KNOWN = (*_NO_ROOM, *_NOT_ALLOWED, errno.ENOMEM, errno.EIO, errno.EMFILE, errno.ENFILE)

_SQLITE = {
    "SQLITE_FULL": errno.ENOSPC,
    "SQLITE_READONLY": errno.EROFS,
    "SQLITE_CANTOPEN": errno.EACCES,
    "SQLITE_PERM": errno.EACCES,
    "SQLITE_IOERR": errno.EIO,
    "SQLITE_NOMEM": errno.ENOMEM,
}
_LOCKED = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL")
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT")

_BY_TEXT = {
    **{os.strerror(number): number for number in _KNOWN},
    "can't start new thread": errno.ENOMEM,
    "failed to map segment": errno.ENOMEM,
    "std::bad_alloc": errno.ENOMEM,
    "OOM when allocating": errno.ENOMEM,
    "error return without exception set": errno.ENOMEM,  # Python itself, while it imports
    "Failed initializing scaling graph (Resource temporarily unavailable)": errno.ENOMEM,  # FFmpeg: no thread
    "requested and ": errno.ENOSPC,  # numpy's `tofile` gives no error number: "4096 requested and 512 written"
}


def explain(error: BaseException) -> str | None:
    """What is wrong with the machine, and what to do.

    Args:
        error: An exception; those that it was raised from, or while handling, are looked at too.

    Returns:
        One or two sentences; None if no known fault of the machine is behind it.
    """
    chain = list(_chain(error))
    for link in chain:
        if isinstance(link, sqlite3.Error) and (found := _explain_sqlite(link)):
            return found
        if isinstance(link, MemoryError):
            return _sentence(errno.ENOMEM, link)
        if isinstance(link, OSError) and link.errno in _KNOWN:
            return _sentence(link.errno, link)
    # Libraries in C++ give the operating system's words only.
    for link in chain:
        for words, number in _BY_TEXT.items():
            if words in str(link):
                return _sentence(number, link)
    return None


def explain_in_service(error: BaseException) -> str | None:
    """As `explain`, for a program that made its files itself: one that is gone was removed by others."""
    if isinstance(error, FileNotFoundError):  # programs that clean /tmp do that
        return f"'{_file_of(error)}' was removed while the service ran. Restart the service."
    return explain(error)


def log_error(log: logging.Logger, what: str, error: BaseException) -> None:
    """Logs a fault of a service's machine as a sentence after `what`; any other error with its traceback."""
    if message := explain_in_service(error):
        log.error(f"{what} {message}")
    else:
        log.error(what, exc_info=error)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Gives the file's name to an error that names no file, so that the user learns which file it is about."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        name_file(error, path)
        raise


def name_file(error: BaseException, path: str | Path) -> None:
    """As `naming`, for an error at hand."""
    # Not `filename`: OSError would then print that alone.
    error.about_file = str(path)  # type: ignore[attr-defined]


def _file_of(error: BaseException) -> str | None:
    name = getattr(error, "filename", None) or getattr(error, "about_file", None)
    return os.fsdecode(name) if isinstance(name, str | bytes) else None


@contextmanager
def reading(path: Path, remedy: str) -> Iterator[None]:
    """Says which file it is, if the code inside cannot read it.

    Args:
        path: The file that the code inside reads, and nothing else.
        remedy: What the user can do about it, as a sentence.

    Raises:
        FileError: The file is missing, cut off or damaged.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise FileError(f"'{path}' is missing. {remedy}") from error
    except (OSError, ValueError, EOFError, LookupError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        if explain(error):
            raise
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise FileError(f"'{path}' is damaged or was not written completely ({reason}). {remedy}") from error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _explain_sqlite(error: sqlite3.Error) -> str | None:
    file = _file_of(error) or "a database"
    # Extended codes are longer: SQLITE_IOERR_WRITE.
    code = "_".join(getattr(error, "sqlite_errorname", "").split("_")[:2])
    if code in _LOCKED:
        return (
            f"'{file}' is locked by another process. Wait until that has ended, or find it with: fuser -v '{file}'. "
            f"Then {AGAIN}."
        )
    if code in _DAMAGED:
        return (
            f"'{file}' is damaged ({error}). Put a backup in its place, or begin a new one, without what was in it: "
            f"mv '{file}' '{file}.damaged'. Then {AGAIN}."
        )
    return _sentence(_SQLITE[code], error) if code in _SQLITE else None


def _sentence(number: int, error: BaseException) -> str:
    # A copy that fails names its source first.
    name = (getattr(error, "filename2", None) if number in _NO_ROOM else None) or _file_of(error)
    file = f"'{name}'" if name else "a file"
    reason = os.strerror(number)
    if number in _NO_ROOM:
        return f"{file} could not be written completely: {reason}; {_room(name)}. Free some space, then {AGAIN}."
    if number in _NOT_ALLOWED:
        return (
            f"{file} cannot be opened or changed: {reason}. Give this user the right to read and write it, or use "
            f"a folder on another disk. Then {AGAIN}."
        )
    if number == errno.ENOMEM:
        return (
            f"There is not enough memory ({str(error) or reason}). Close other programs, or lower train.batch_size or "
            f"the size of the frames, clip.height and clip.width. Then {AGAIN}."
        )
    if number == errno.EIO:
        return f"{file} cannot be read or written: {reason}. Look for errors of the disk with: dmesg. Then {AGAIN}."
    return f"Too many files are open ({reason}). Raise the limit with: ulimit -n 4096. Then {AGAIN}."


def _room(name: str | None) -> str:
    """How much is free where the file is; without a file, where there is least."""
    places = [Path(name).absolute().parent] if name else [Path.cwd(), Path(tempfile.gettempdir())]
    free = {shutil.disk_usage(place).free: place for place in places if place.exists()}
    return f"{min(free) / 2**20:,.0f} MB are free at '{free[min(free)]}'" if free else "its folder is gone"
