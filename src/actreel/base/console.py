"""What a program does at the terminal: log lines on stderr, and messages instead of tracebacks for users' errors."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from types import TracebackType

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


def exit_cleanly(main: Callable[[], None], level: int | None = None) -> None:
    """Runs a program's `main` with logging on.

    An `ActreelError` or a fault of the machine, see `actreel.base.faults`, ends the program with its message on stderr
    and status 1 instead of a traceback, Ctrl+C with status 130.

    Args:
        main: The program.
        level: See `configure_logging`.
    """
    try:
        configure_logging(level)
        main()
    except ActreelError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if (message := faults.explain(error)) is None:
            raise
        log.debug("The machine's fault came as:", exc_info=error)
        sys.exit(f"error: {message}")


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
