"""What a program does at the terminal: log lines on stderr, and errors of the user's without a traceback."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from actreel.errors import ActreelError

OURS = ("__main__", "actreel", "pipelines", "serving")


def configure_logging(level: int = logging.INFO) -> None:
    """Shows our own messages from `level` on, and only the warnings of libraries, on stderr."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    for name in OURS:
        logging.getLogger(name).setLevel(level)


def exit_cleanly(main: Callable[[], None]) -> None:
    """Runs a program's `main`; the user's own mistakes end it with a message and status 2, not a traceback."""
    configure_logging()
    try:
        main()
    except ActreelError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
