"""Options that commands share, and how a command is added to the program."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from actreel.base.console import configure_logging
from actreel.cli.completion import model_folders, settings
from actreel.cli.manual import EVERYWHERE, Command, Group
from actreel.errors import ActreelError


def file_option(name: str, summary: str, metavar: str = "FILE", **more: Any) -> Any:
    """An option that names a file or a folder.

    Args:
        name: Its flag.
        summary: What it is for.
        metavar: What stands for the value.
        more: As for `typer.Option`.
    """
    # What cannot be read is explained by the command that reads it, better than by Typer.
    return typer.Option(name, metavar=metavar, help=summary, readable=False, **more)


def file_argument(metavar: str, summary: str) -> Any:
    """An argument that names a file or a folder."""
    return typer.Argument(metavar=metavar, help=summary, readable=False)


Model = Annotated[Path, file_option("--model", "model folder", "DIR", show_default=True, autocompletion=model_folders)]
AsJson = Annotated[bool, typer.Option("--json", help="print the result as JSON")]
Settings = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="SECTION.KEY=VALUE",
        help="replace a value of params.yaml; may be repeated",
        show_default=False,
        autocompletion=settings,
    ),
]
NO_SETTINGS: list[str] = []
Fresh = Annotated[bool, typer.Option("--fresh", help="start over instead of continuing where an earlier run stopped")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="show details on stderr", rich_help_panel=EVERYWHERE)]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="show only warnings and errors on stderr", rich_help_panel=EVERYWHERE)
]


def add_command(
    program: typer.Typer,
    function: Callable[..., None],
    *,
    name: str | None = None,
    extra: str | None = None,
    panel: str | None = None,
) -> None:
    """Adds a command, with `--verbose` and `--quiet`.

    Args:
        program: The program, or a group of its commands.
        function: The command: its parameters are the options, and its docstring is the help; see `actreel.cli.manual`.
        name: Its name; None takes that of the function.
        extra: The extra of the package that it needs, if any.
        panel: The heading that it stands below in the program's help.
    """
    command = _with_extra(function, extra, levels=True)
    program.command(name or function.__name__, cls=Command, rich_help_panel=panel)(command)


def add_group(
    program: typer.Typer,
    function: Callable[..., None],
    *,
    extra: str | None = None,
    panel: str | None = None,
    alone: bool = False,
) -> typer.Typer:
    """Adds a group of commands, which bears the name of the function.

    Args:
        program: The program.
        function: As for a command; it is called before the command of the group.
        extra: The extra of the package that it needs, if any.
        panel: The heading that it stands below in the program's help.
        alone: Whether the group does something without one of its commands.
    """
    group = typer.Typer(cls=Group, callback=_with_extra(function, extra), invoke_without_command=alone)
    program.add_typer(group, name=function.__name__, rich_help_panel=panel)
    return group


def _with_extra(function: Callable[..., None], extra: str | None, *, levels: bool = False) -> Callable[..., None]:
    """The function with logging on, which explains that an extra is missing.

    Args:
        function: What a command does.
        extra: The extra of the package that it needs, if any.
        levels: Whether it takes `--verbose` and `--quiet`.
    """
    signature = inspect.signature(function, eval_str=True)
    parameters = dict(signature.parameters)
    asks_for_context = "context" in parameters

    @functools.wraps(function)
    def command(context: typer.Context, verbose: bool = False, quiet: bool = False, **options: Any) -> None:
        if verbose and quiet:
            raise typer.BadParameter("it is not allowed with --verbose", param_hint="--quiet")
        configure_logging(logging.DEBUG if verbose else logging.WARNING if quiet else None)
        try:
            function(**options, **({"context": context} if asks_for_context else {}))
        except ModuleNotFoundError as error:
            if extra is None or error.name is None or error.name.partition(".")[0] == "actreel":
                raise
            raise ActreelError(
                f"'{context.command_path}' needs the extra '{extra}': {error.name} is not installed. "
                f"Run: pip install 'actreel[{extra}]'"
            ) from error

    more = {"context": typer.Context} | ({"verbose": Verbose, "quiet": Quiet} if levels else {})
    for name, annotation in more.items():
        default = inspect.Parameter.empty if name == "context" else False
        kind = inspect.Parameter.KEYWORD_ONLY
        parameters[name] = inspect.Parameter(name, kind, annotation=annotation, default=default)
    shown = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters.values()]
    command.__signature__ = signature.replace(parameters=shown)  # type: ignore[attr-defined]
    return command
