"""Help as it is printed, of a program that is small enough to be compared whole."""

from typing import Annotated

import pytest
import typer
import typer.main

from actreel.cli.manual import EVERYWHERE, Command, Group


def about() -> None:
    """Does it [bold]all[/bold]."""


def cut(
    clips: Annotated[list[str], typer.Argument(metavar="CLIP", help="a [video]")],
    by: Annotated[str, typer.Option(metavar="[name]", help="whose")],
    folder: Annotated[str | None, typer.Argument(metavar="DIR", help="where to")] = None,
    at: Annotated[int, typer.Option(metavar="S", min=1, help="after so many seconds")] = 2,
    loud: Annotated[bool, typer.Option("--loud", "-l", help="say more", rich_help_panel=EVERYWHERE)] = False,
) -> None:
    """Cut clips.

    The first paragraph below is one that is long enough to be broken into lines where the width of a terminal ends.

    Examples:
        cut a.avi --by [me]  # a line is never broken, whatever its length, so that it can be pasted as it stands

    Exit codes:
        0  done
        1  not
    """


@pytest.fixture
def program() -> typer.Typer:
    program = typer.Typer(cls=Group, callback=about, rich_markup_mode=None, add_completion=False)
    program.command(cls=Command, rich_help_panel="Make")(cut)
    return program


def text_of(program: typer.Typer, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    typer.main.get_command(program).main([*words, "--help"], prog_name="film", standalone_mode=False, terminal_width=78)
    return capsys.readouterr().out


def test_a_command_s_help_is_its_docstring_and_options(
    program: typer.Typer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        text_of(program, capsys, "cut")
        == """\
Usage: film cut [OPTIONS] --by [name] CLIP... [DIR]

Cut clips.

The first paragraph below is one that is long enough to be broken into lines
where the width of a terminal ends.

Arguments:
  CLIP...  a [video]
  [DIR]    where to

Options:
  --by [name]  whose  [required]
  --at S       after so many seconds  [default: 2; x>=1]

Everywhere:
  -l, --loud  say more
  --help      Show this message and exit.

Examples:
  cut a.avi --by [me]  # a line is never broken, whatever its length, so that it can be pasted as it stands

Exit codes:
  0  done
  1  not
"""
    )


def test_a_group_s_commands_come_first(program: typer.Typer, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        text_of(program, capsys)
        == """\
Usage: film [OPTIONS] COMMAND ...

Does it [bold]all[/bold].

Make:
  cut  Cut clips

Options:
  --help  Show this message and exit.
"""
    )


def test_what_the_parser_refuses_names_its_command(program: typer.Typer) -> None:
    command = typer.main.get_command(program)
    with pytest.raises(typer.TyperException, match="'--at' requires an argument") as refused:
        command.main(["cut", "a.avi", "--at"], prog_name="film", standalone_mode=False)
    assert refused.value.ctx.command_path == "film cut"  # type: ignore[attr-defined]
