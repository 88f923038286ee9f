"""The program as a whole; tests/test_dependencies.py runs it without the extras."""

import os
import re
import shlex
import subprocess
import sys

import pytest

from actreel.cli import main

COMMANDS = ("predict", "saliency", "crossval", "leakage", "tune", "compare", "feedback export", "groups", "audit",
            "status", "models list", "models promote", "models rollback", "doctor")  # fmt: skip
HEAVY = ("tensorflow", "keras", "mlflow", "pandas", "onnxruntime", "bentoml", "cv2", "rich")


def help_of(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    with pytest.raises(SystemExit) as exit_:
        main([*command, "--help"])
    assert not exit_.value.code
    return capsys.readouterr().out


def test_a_missing_module_of_our_own_is_a_bug_and_not_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "actreel.project.status", None)  # as Python marks what cannot be imported
    with pytest.raises(ModuleNotFoundError, match=r"actreel\.project\.status"):
        main(["status"])


def test_a_missing_module_of_a_group_s_extra_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("actreel.tracking")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    for command in (["models"], ["models", "list"]):
        with pytest.raises(
            SystemExit, match=rf"^error: 'actreel {' '.join(command)}' needs the extra 'pipeline': mlflow"
        ):
            main(command)


def test_help_lists_every_command_below_a_heading(capsys: pytest.CaptureFixture[str]) -> None:
    out = help_of(capsys)
    for command in COMMANDS:
        assert f"\n  {command.split()[0]} " in out
    headings = re.findall(r"^(\S.*):$", out, re.MULTILINE)
    assert headings[:4] == ["Use a model", "Look at data", "Experiment", "The project and its models"]


@pytest.mark.parametrize("command", [*COMMANDS, "feedback", "models"])
def test_every_command_s_help_has_examples_whose_options_exist(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = help_of(capsys, *command.split())
    assert out.startswith(f"Usage: actreel {command} ")
    examples = re.findall(rf"^  (?:\w+=\S+ )?actreel {command}\b(.*)$", out, re.MULTILINE)
    assert examples
    known = {*re.findall(r"--[a-z-]+", out.partition("Examples:")[0])}
    if command not in ("feedback", "models"):
        used = {word for example in examples for word in shlex.split(example) if word.startswith("--")}
        assert used <= known
        assert {"--json", "--quiet", "--verbose", "--help"} <= known


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["tune", "--help"], ["tune", "--trials", "0"]])
def test_words_and_help_are_read_without_what_is_slow_to_import(words: list[str]) -> None:
    code = (
        "import sys\nfrom actreel.cli import main\ntry:\n    main(sys.argv[1:])\nfinally:\n"
        f"    print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


def completed(line: str, cwd: str | None = None) -> list[str]:
    """What bash proposes for the last word of a line, as its completion asks for it."""
    words = line.split(" ")
    asked = {"_ACTREEL_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    command = [sys.executable, "-c", "from actreel.cli import main; main()"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=cwd, env={**os.environ, **asked})
    return done.stdout.split()


def test_the_shell_completes_commands_and_options() -> None:
    assert completed("actreel gro") == ["groups"]
    assert completed("actreel predict clip.avi --mo") == ["--model"]


def test_the_script_for_the_shell_is_shown() -> None:
    asked = {"_ACTREEL_COMPLETE": "source_bash"}
    command = [sys.executable, "-c", "from actreel.cli import main; main()"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **asked})
    assert done.stdout.rstrip().endswith("complete -o default -F _actreel_completion actreel")
