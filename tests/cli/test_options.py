import argparse
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from actreel.base.console import OURS
from actreel.cli import main
from actreel.cli.options import number_from
from actreel.config import ClipSpec
from tests.conftest import write_model_folder

COMMANDS = [
    ["predict", "clip.avi"],
    ["saliency", "clip.avi", "--out", "out.png"],
    ["crossval", "--folds", "2"],
    ["leakage"],
    ["tune"],
    ["compare", "champion"],
    ["feedback", "export", "folder"],
]


@pytest.fixture(autouse=True)
def _levels_as_before() -> Iterator[None]:
    before = {name: logging.getLogger(name).level for name in OURS}
    yield
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_every_command_can_be_verbose_or_quiet_but_not_both(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([*command, "--verbose", "--quiet"])
    assert exit_.value.code == 2
    assert "not allowed with argument -v/--verbose" in capsys.readouterr().err


@pytest.mark.parametrize(("flag", "level"), [("-v", logging.DEBUG), ("-q", logging.WARNING), (None, logging.INFO)])
def test_the_flag_sets_the_level(
    flag: str | None, level: int, video: Path, tmp_path: Path, spec: ClipSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_model_folder(tmp_path / "model", spec, ("dark", "middle", "bright"))
    main(["predict", str(video), "--model", str(model), *([flag] if flag else [])])
    assert logging.getLogger("actreel.anything").getEffectiveLevel() == level
    assert "middle" in capsys.readouterr().out  # the result, at any level


@pytest.mark.parametrize("text", ["1", "two", "-3", "2.5", ""])
def test_a_number_below_the_least_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"at least 2. Received: '{text}'"):
        number_from(2)(text)
    assert number_from(2)("2") == 2
