import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from actreel.base.console import OURS
from actreel.cli import main
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
    ["groups", "folder"],
    ["audit", "folder"],
    ["status"],
    ["models", "list"],
    ["models", "promote", "2", "--reason", "x"],
    ["models", "rollback"],
    ["doctor"],
]


@pytest.fixture(autouse=True)
def _levels_as_before() -> Iterator[None]:
    before = {name: logging.getLogger(name).level for name in OURS}
    yield
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_can_be_verbose_or_quiet_but_not_both(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([*command, "--verbose", "-q"])
    assert exit_.value.code == 2
    assert "--quiet: it is not allowed with --verbose. See: actreel " in capsys.readouterr().err


@pytest.mark.parametrize(("flag", "level"), [("-v", logging.DEBUG), ("-q", logging.WARNING), (None, logging.INFO)])
def test_the_flag_sets_the_level(
    flag: str | None, level: int, video: Path, tmp_path: Path, spec: ClipSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_model_folder(tmp_path / "model", spec, ("dark", "middle", "bright"))
    main(["predict", str(video), "--model", str(model), *([flag] if flag else [])])
    assert logging.getLogger("actreel.anything").getEffectiveLevel() == level
    assert "middle" in capsys.readouterr().out  # the result, at any level


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["crossval", "--folds", "2", "--inner-folds"], "1"),
        (["leakage", "--repeats"], "0"),
        (["tune", "--folds"], "1"),
        *((["tune", "--trials"], text) for text in ("0", "two", "-3", "2.5", "")),
    ],
)
def test_a_number_below_the_least_is_refused(words: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([*words, text])
    assert exit_.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: Invalid value for '{words[-1]}': Input should be ")
    assert said.endswith(f" Received: '{text}'. See: actreel {words[0]} --help\n")


def test_names_of_files_may_hold_what_no_encoding_has_and_brackets(
    video: Path, tmp_path: Path, spec: ClipSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_model_folder(tmp_path / "[red]model", spec, ("dark", "middle", "bright"))
    clip = video.rename(tmp_path / "[bold]caf\udce9.avi")
    main(["predict", str(clip), "--model", str(model)])
    assert "[bold]caf" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="A model folder must hold"):
        main(["predict", str(clip), "--model", str(tmp_path / "mod\udce9l")])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Missing command. See: actreel --help"),
        (["predic", "clip.avi"], "No such command 'predic'. Did you mean 'predict'? See: actreel --help"),
        (["predict"], "Missing argument 'SOURCE'. See: actreel predict --help"),
        (["predict", "a.avi", "--model"], "Option '--model' requires an argument. See: actreel predict --help"),
        (["predict", "a.avi", "--modl", "x"], "No such option: --modl (Possible options: --model)."),
        (["status", "now"], "Got unexpected extra argument(s) (now). See: actreel status --help"),
        (["tune", "--sampler", "x"], "Invalid value for '--sampler': 'x' is not one of 'tpe', 'nsga2'. See: actreel"),
        (["feedback"], "Missing command. See: actreel feedback --help"),
        (["models", "promote", "1"], "Missing option '--reason'. See: actreel models promote --help"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_words_are_one_sentence_that_names_the_help(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(words)
    assert exit_.value.code == 2
    out, err = capsys.readouterr()
    assert not out
    assert len(err.splitlines()) == 1
    assert err.startswith(f"error: {said}")
