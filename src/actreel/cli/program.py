"""The program `actreel`: its commands, and how one is run."""

from __future__ import annotations

import argparse

import actreel
from actreel.base.console import clean_exit, configure_logging
from actreel.cli.audit import add_audit
from actreel.cli.experiments import add_compare, add_crossval, add_leakage, add_tune
from actreel.cli.feedback import add_feedback
from actreel.cli.groups import add_groups
from actreel.cli.models import add_models
from actreel.cli.predict import add_predict
from actreel.cli.project import add_doctor, add_status
from actreel.cli.saliency import add_saliency
from actreel.errors import ActreelError


def main(arguments: list[str] | None = None) -> None:
    """Runs the command in `arguments`, by default those of the program."""
    with clean_exit():
        options = _build_parser().parse_args(arguments)
        configure_logging(options.level)
        _run(options)


def _run(options: argparse.Namespace) -> None:
    try:
        options.run(options)
    except ModuleNotFoundError as error:
        if options.extra is None or error.name is None or error.name.partition(".")[0] == "actreel":
            raise
        raise ActreelError(
            f"'actreel {options.command}' needs the extra '{options.extra}': {error.name} is not installed. "
            f"Run: pip install 'actreel[{options.extra}]'"
        ) from error


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="actreel", description="Human action recognition.")
    parser.add_argument("--version", action="version", version=f"actreel {actreel.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_predict(commands)
    add_saliency(commands)
    add_crossval(commands)
    add_leakage(commands)
    add_tune(commands)
    add_compare(commands)
    add_feedback(commands)
    add_groups(commands)
    add_audit(commands)
    add_status(commands)
    add_models(commands)
    add_doctor(commands)
    return parser
