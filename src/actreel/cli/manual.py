"""How help is shown: plain text, so that it may be piped, searched and read aloud, and brackets stay what they are.

A command's docstring is its help. Its sentences stand above the options, and its sections, such as `Examples:`, below
them, line by line as they are written.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

from typer import TyperException
from typer.core import TyperCommand, TyperGroup

EVERYWHERE = "Everywhere"
"""The heading of the options that each command has."""

_SECTION = re.compile(r"^([A-Z][a-z ]+):\n((?: +.*(?:\n|$))+)", re.MULTILINE)


class _Manual:
    """What the help of commands and that of groups have in common.

    Typer has no public names for the contexts, parameters and formatters that it passes: they are `Any` here.
    """

    params: list[Any]
    help: str | None

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Reads a command's words; whatever is wrong with them names the command whose help to read."""
        try:
            return super().parse_args(ctx, args)  # type: ignore[misc, no-any-return]
        except TyperException as error:
            if getattr(error, "ctx", None) is None:
                error.ctx = ctx  # type: ignore[attr-defined]
            raise

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What stands behind the command's name in `Usage:`."""
        required = [param for param in self.params if param.param_type_name == "option" and param.required]
        words = [f"{max(param.opts, key=len)} {param.metavar}" for param in required]
        return ["[OPTIONS]", *words, *map(_usage, self._arguments())]

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Writes the sentences above the options."""
        for paragraph in _SECTION.sub("", inspect.cleandoc(self.help or "")).strip().split("\n\n"):
            formatter.write_paragraph()
            formatter.write_text(paragraph)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes a group's commands, the arguments and the options, each below its heading."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for panel, row in self._commands():
            panels.setdefault(panel, []).append(row)
        for param in self._arguments():
            panels.setdefault("Arguments", []).append((_usage(param), param.help or ""))
        for param in self.get_params(ctx):  # type: ignore[attr-defined]
            if param.param_type_name == "option" and (row := param.get_help_record(ctx)):
                panel = param.rich_help_panel or "Options"
                panels.setdefault(EVERYWHERE if "--help" in param.opts and EVERYWHERE in panels else panel, []).append(
                    row
                )
        for panel, rows in panels.items():
            with formatter.section(panel):
                formatter.write_dl(rows)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Writes the sections below the options."""
        for title, text in _SECTION.findall(inspect.cleandoc(self.help or "")):
            with formatter.section(title):
                formatter.write("".join(f"  {line}\n" for line in inspect.cleandoc(f"\n{text}").splitlines()))

    def _arguments(self) -> list[Any]:
        return [param for param in self.params if param.param_type_name == "argument"]

    def _commands(self) -> Iterator[tuple[str, tuple[str, str]]]:
        yield from ()


class Command(_Manual, TyperCommand):
    """A command with such help."""


class Group(_Manual, TyperGroup):
    """A group of commands with such help."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What stands behind the group's name in `Usage:`."""
        command = "[COMMAND]" if self.invoke_without_command else "COMMAND"
        return [*super().collect_usage_pieces(ctx), f"{command} ..."]

    def _commands(self) -> Iterator[tuple[str, tuple[str, str]]]:
        for name, command in self.commands.items():
            panel = getattr(command, "rich_help_panel", None) or "Commands"
            yield panel, (name, (command.help or "").partition("\n")[0].rstrip("."))


def _usage(argument: Any) -> str:
    name = f"{argument.metavar}..." if argument.nargs != 1 else str(argument.metavar)
    return name if argument.required else f"[{name}]"
