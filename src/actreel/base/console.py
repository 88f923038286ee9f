"""What a program does at the terminal: log lines on stderr, and messages instead of tracebacks for users' errors."""

from __future__ import annotations

import argparse
import errno
import gc
import io
import logging
import os
import select
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TextIO

from actreel.base import faults
from actreel.errors import ActreelError, ConfigError

OURS = ("__main__", "actreel", "pipelines", "serving")
LEVEL_VARIABLE = "ACTREEL_LOG_LEVEL"
"""Environment variable with the level of our own messages: the way to set it for the stages of `dvc repro`."""
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

log = logging.getLogger(__name__)


class _LevelFormatter(logging.Formatter):
    """Plain text for progress and results; anything else starts with its level: `warning: 3 clips are missing`."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if record.levelno == logging.INFO:
            return text
        source = f"{record.name}: " if record.levelno < logging.INFO else ""
        return f"{record.levelname.lower()}: {source}{text}"


def configure_logging(level: int | None = None) -> None:
    """Sends log lines to stderr: our own from `level` on, other libraries' from WARNING on.

    Args:
        level: A level of `logging`; None takes `ACTREEL_LOG_LEVEL`, or INFO where that is not set.

    Raises:
        ConfigError: `ACTREEL_LOG_LEVEL` is not the name of a level.
    """
    root = logging.getLogger()
    if not root.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(_LevelFormatter())
        root.addHandler(handler)
    for name in OURS:
        logging.getLogger(name).setLevel(_level_from_environment() if level is None else level)


def _level_from_environment() -> int:
    name = os.environ.get(LEVEL_VARIABLE, "INFO").upper()
    if name not in LEVELS:
        raise ConfigError(f"{LEVEL_VARIABLE} must be one of {', '.join(LEVELS)}. Received: '{name}'")
    return logging.getLevelNamesMapping()[name]


def can_print(text: str) -> bool:
    """Whether stdout's encoding has all of these letters; `clean_exit` escapes what it lacks."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def clean_exit() -> Iterator[None]:
    """Ends the program without a traceback where that is no bug.

    An `ActreelError` or a fault of the machine, see `actreel.base.faults`, becomes its message on stderr and status 1;
    Ctrl+C status 130; a reader of the output that has gone, as in `actreel ... | head`, status 141, as for other
    programs. Letters that the output's encoding lacks are escaped.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            yield
        finally:
            # Here, or the interpreter would find out at its end and print an error of its own.
            if sys.stdout is not None:
                sys.stdout.flush()
    except ActreelError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if isinstance(error, OSError) and (failure := _output_failure(error)):
            if not isinstance(failure, BrokenPipeError):
                sys.exit(f"error: The output cannot be written: {failure.strerror}.")
            raise SystemExit(141) from error
        if (message := faults.explain(error)) is None:
            raise
        log.debug("The machine's fault came as:", exc_info=error)
        sys.exit(f"error: {message}")


def _output_failure(error: OSError) -> OSError | None:
    """Why stdout or stderr cannot be written, if so. What waits for it is dropped, or the interpreter tries again."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
            if _has_no_reader(stream):  # unbuffered, nothing waits that a flush could fail on
                raise BrokenPipeError
            if error.errno == errno.ENOSPC and error.filename is None:
                _refuse_full(stream)
        except OSError as failure:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
            return failure
    return None


def _refuse_full(stream: TextIO) -> None:
    """Fails if no more can be written; unbuffered, a flush has nothing to fail on."""
    try:
        number = stream.fileno()
    except (OSError, ValueError):  # a stream in memory, or a closed one
        return
    os.write(number, b"")  # fails on a full device
    if stat.S_ISREG(os.fstat(number).st_mode) and os.fstatvfs(number).f_bavail == 0:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _has_no_reader(stream: TextIO) -> bool:
    try:
        poll = select.poll()
        poll.register(stream.fileno(), 0)
    except (OSError, ValueError):  # a stream in memory, or a closed one
        return False
    return any(event & select.POLLERR for _, event in poll.poll(0))


def exit_cleanly(main: Callable[[], None], manual: str | None = None) -> None:
    """Runs a program's `main` with logging on; see `clean_exit` for how it may end.

    Args:
        main: What the program does.
        manual: For a program without options: what `--help` prints. Any other argument is refused.
    """
    with clean_exit():
        if manual is not None:
            program = sys.modules["__main__"].__spec__
            argparse.ArgumentParser(
                prog=f"python -m {program.name}" if program else None,
                description=manual,
                formatter_class=argparse.RawDescriptionHelpFormatter,
            ).parse_args()
        configure_logging()
        gc.freeze()  # what was imported stays to the end, so no garbage collection has to look through it
        main()


def explain_failed_imports() -> None:
    """Gives the faults of the machine their sentence while a program still imports, before `exit_cleanly`.

    Loading TensorFlow takes seconds and much memory: it is interrupted, and it fails, more often than other code.
    """
    sys.excepthook = _report


def _report(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if message := faults.explain(error):
        sys.stderr.write(f"error: {message}\n")
    elif not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
