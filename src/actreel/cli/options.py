"""Options that commands share."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from actreel.places import MODEL

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
"""The commands of the program; argparse has no public name for this type."""

Run = Callable[[argparse.Namespace], None]


def add_command(
    commands: Commands, name: str, run: Run, *, summary: str, extra: str | None = None
) -> argparse.ArgumentParser:
    """Adds a command.

    Args:
        commands: The commands so far.
        name: Its name.
        run: What it does.
        summary: One line for `actreel --help`.
        extra: The extra of the package that it needs, if any.
    """
    command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    command.set_defaults(run=run, extra=extra)
    detail = command.add_mutually_exclusive_group()
    detail.add_argument(
        "-v", "--verbose", dest="level", action="store_const", const=logging.DEBUG, help="show details on stderr"
    )
    detail.add_argument(
        "-q",
        "--quiet",
        dest="level",
        action="store_const",
        const=logging.WARNING,
        help="show only warnings and errors on stderr",
    )
    return command


def add_model(command: argparse.ArgumentParser) -> None:
    """Adds `--model DIR`."""
    command.add_argument("--model", type=Path, default=MODEL, metavar="DIR", help="model folder (default: %(default)s)")


def add_json(command: argparse.ArgumentParser) -> None:
    """Adds `--json`."""
    command.add_argument("--json", action="store_true", help="print the result as JSON")


def add_set(command: argparse.ArgumentParser) -> None:
    """Adds `--set SECTION.KEY=VALUE`."""
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="replace a value of params.yaml; may be repeated",
    )


def add_fresh(command: argparse.ArgumentParser) -> None:
    """Adds `--fresh`."""
    command.add_argument(
        "--fresh", action="store_true", help="start over instead of continuing where an earlier run stopped"
    )


def number_from(least: int) -> Callable[[str], int]:
    """An argument type: whole numbers of at least `least`."""

    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"must be a number of at least {least}. Received: '{text}'")
        return int(text)

    return number
