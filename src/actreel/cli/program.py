"""The program `actreel`: its commands, and how one is run."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer
import typer.main

import actreel
from actreel.base.console import clean_exit
from actreel.cli.audit import audit
from actreel.cli.batch import batch
from actreel.cli.drift import drift
from actreel.cli.encoders import encoders, list_encoders, pull
from actreel.cli.experiments import compare, crossval, leakage, tune
from actreel.cli.federation import forget, merge, stats
from actreel.cli.feedback import export, feedback
from actreel.cli.groups import groups
from actreel.cli.live import annotate, watch
from actreel.cli.manual import Group
from actreel.cli.models import list_models, models, promote, rollback
from actreel.cli.options import add_command, add_group
from actreel.cli.predict import predict
from actreel.cli.project import doctor, status
from actreel.cli.saliency import saliency
from actreel.cli.segments import import_segments, segments
from actreel.cli.teach import teach
from actreel.youtube.links import is_link

NAME = "actreel"
ASKED_BY_THE_SHELL = f"_{NAME.upper()}_COMPLETE"
"""Set by the shell's completion: what it wants to know."""


def main(arguments: list[str] | None = None) -> None:
    """Runs the command in `arguments`, by default those of the program."""
    with clean_exit():
        command = typer.main.get_command(build_program())
        if ASKED_BY_THE_SHELL in os.environ:
            command.main(prog_name=NAME)
        # Not `main` of the command: it would end the program in ways that `clean_exit` has better ones for.
        try:
            given = map(_with_host, sys.argv[1:] if arguments is None else arguments)
            with command.make_context(NAME, list(given)) as context:
                command.invoke(context)
        except typer.Exit as end:
            sys.exit(end.exit_code)
        except typer.TyperException as error:
            print(f"error: {_sentence(error)}", file=sys.stderr)
            sys.exit(error.exit_code)


def _with_host(argument: str) -> str:
    """The argument, as a link where it is a bare id of YouTube's that begins with `-`, as options do."""
    return f"https://youtu.be/{argument}" if argument.startswith("-") and is_link(argument) else argument


def _sentence(error: typer.TyperException) -> str:
    """What was wrong with the words of the command, what was received, and where the help is."""
    said = error.format_message().replace("Value error, ", "").rstrip(".")
    said += _received(error, said)
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else NAME
    return f"{said}{'' if said.endswith('?') else '.'} See: {path} --help"


def _received(error: typer.TyperException, said: str) -> str:
    """The value that Pydantic, which checks values for Typer, did not take, unless that is said already."""
    if error.__cause__ is None:
        return ""
    from pydantic import ValidationError

    if not isinstance(error.__cause__, ValidationError):
        return ""
    received = f"'{error.__cause__.errors()[0]['input']}'"
    return "" if received in said else f". Received: {received}"


def _print_version(asked: bool) -> None:
    if asked:
        print(f"{NAME} {actreel.__version__}")
        raise typer.Exit


def _about(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print the version and exit")
    ] = False,
) -> None:
    """Human action recognition: from raw video to a served model.

    Results go to stdout, everything else to stderr; `--json` makes results readable for programs.

    Examples:
        actreel status
        actreel predict clip.avi
        actreel predict --help

    Exit codes:
        0    done
        1    an error, which one sentence on stderr explains
        2    a wrong option or argument
        3    of status: the command that it names is to be run; of drift: what is asked has drifted
        4    of status alone: a run is in progress
        130  interrupted with Ctrl+C
        141  the reader of the output has gone, as in: actreel models | head -1
    """


def build_program() -> typer.Typer:
    """The program with all of its commands."""
    program = typer.Typer(
        cls=Group,
        callback=_about,
        context_settings={"max_content_width": 100},
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    use, data, train, project = "Use a model", "Look at data", "Experiment", "The project and its models"
    sites = "Learn from several sites"
    add_command(program, predict, panel=use)
    add_command(program, batch, extra="batch", panel=use)
    add_command(program, watch, panel=use)
    add_command(program, annotate, panel=use)
    add_command(program, saliency, extra="pipeline", panel=use)
    add_command(program, groups, extra="pipeline", panel=data)
    add_command(program, audit, extra="pipeline", panel=data)
    add_command(add_group(program, segments, panel=data), import_segments, name="import")
    add_command(add_group(program, feedback, panel=data), export)
    add_command(program, drift, extra="pipeline", panel=data)
    add_command(program, teach, extra="pipeline", panel=use)
    add_command(program, crossval, extra="pipeline", panel=train)
    add_command(program, leakage, extra="pipeline", panel=train)
    add_command(program, tune, extra="pipeline", panel=train)
    add_command(program, compare, extra="pipeline", panel=train)
    add_command(program, stats, extra="pipeline", panel=sites)
    add_command(program, merge, extra="pipeline", panel=sites)
    add_command(program, forget, extra="pipeline", panel=sites)
    add_command(program, status, extra="pipeline", panel=project)
    add_command(program, doctor, panel=project)
    networks = add_group(program, encoders, extra="pipeline", panel=project, alone=True)
    add_command(networks, list_encoders, name="list", extra="pipeline")
    add_command(networks, pull, extra="pipeline")
    verbs = add_group(program, models, extra="pipeline", panel=project, alone=True)
    add_command(verbs, list_models, name="list", extra="pipeline")
    add_command(verbs, promote, extra="pipeline")
    add_command(verbs, rollback, extra="pipeline")
    return program
