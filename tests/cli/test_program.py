"""The program as a whole; tests/test_dependencies.py runs it without the extras."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from actreel.cli import main
from tests.conftest import ROOT

COMMANDS = ("predict", "watch", "annotate", "saliency", "crossval", "leakage", "tune", "compare", "feedback export",
            "groups", "audit", "status", "models list", "models promote", "models rollback", "doctor")  # fmt: skip
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


def test_an_id_that_begins_like_an_option_is_a_link(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("actreel.cli.predict.videos_of", lambda sources, on_error: asked.extend(sources) or sys.exit())
    with pytest.raises(SystemExit):
        main(["predict", "-_a0B1c2D3E", "--json"])
    assert asked == ["https://youtu.be/-_a0B1c2D3E"]
    with pytest.raises(SystemExit) as refused:
        main(["predict", "a.avi", "--jsno"])
    assert refused.value.code == 2


def test_help_lists_every_command_below_a_heading(capsys: pytest.CaptureFixture[str]) -> None:
    out = help_of(capsys)
    for command in COMMANDS:
        assert f"\n  {command.split()[0]} " in out
    headings = re.findall(r"^(\S.*):$", out, re.MULTILINE)
    assert headings[:5] == [
        "Use a model", "Look at data", "Experiment", "Learn from several sites", "The project and its models",
    ]  # fmt: skip


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


@pytest.mark.parametrize("words", [["--help"], ["tune", "--trials", "0"], ["status", "--json"]], ids=" ".join)
def test_help_mistakes_and_status_need_nothing_that_is_slow_to_import(words: list[str]) -> None:
    code = (
        "import sys\nfrom actreel.cli import main\ntry:\n    main(sys.argv[1:])\nfinally:\n"
        f"    print([name for name in {HEAVY} if name in sys.modules])"
    )
    # Without what tests of MLflow leave: with a server named, status would ask it.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    command = [sys.executable, "-c", code, *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.stdout.splitlines()[-1] == "[]"


def test_bash_completes_once_that_is_installed(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def bash(script: str) -> str:
        return subprocess.run(
            ["bash", "--norc", "-c", script], capture_output=True, text=True, check=True, env=environment, cwd=tmp_path
        ).stdout

    assert "bash completion installed" in bash("actreel --install-completion; true")  # its parent stays a bash
    asked = "source ~/.bashrc; COMP_WORDS=({}); COMP_CWORD={}; _actreel_completion actreel; echo ${{COMPREPLY[@]}}"
    assert bash(asked.format("actreel gro", 1)) == "groups\n"
    assert bash(asked.format("actreel predict clip.avi --mo", 3)) == "--model\n"
