"""The program as a whole; tests/test_dependencies.py runs it without the extras."""

import pytest

from actreel.cli import main, program
from actreel.cli.options import Commands, add_command


@pytest.mark.parametrize("module", ["actreel.gone", "actreel"])
def test_a_missing_module_of_our_own_is_a_bug_and_not_a_missing_extra(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    def add_failing(commands: Commands) -> None:
        add_command(commands, "fail", fail, summary="fail", extra="pipeline")

    monkeypatch.setattr(program, "add_predict", add_failing)
    with pytest.raises(ModuleNotFoundError):
        main(["fail"])


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--help"])
    assert not exit_.value.code
    out = capsys.readouterr().out
    for command in (
        "predict",
        "saliency",
        "crossval",
        "leakage",
        "tune",
        "compare",
        "feedback",
        "groups",
        "audit",
        "status",
        "models",
        "doctor",
    ):
        assert f"\n    {command} " in out
