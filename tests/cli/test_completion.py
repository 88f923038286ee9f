"""What Tab proposes; tests/cli/test_program.py asks as a shell does."""

from pathlib import Path

import pytest
import typer.main

from actreel.cli import completion
from actreel.cli.program import build_program
from actreel.config import ClipSpec
from tests.conftest import ROOT, write_model_folder


def proposed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str) -> list[str]:
    for name, value in {"COMPLETE": "complete_bash", "WORDS": line, "CWORD": str(line.count(" "))}.items():
        monkeypatch.setenv(f"_ACTREEL_{name}" if name == "COMPLETE" else f"COMP_{name}", value)
    with pytest.raises(SystemExit) as end:
        typer.main.get_command(build_program()).main(prog_name="actreel")
    assert not end.value.code
    return capsys.readouterr().out.split()


def test_model_folders_of_the_project(
    tmp_path: Path, spec: ClipSpec, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert proposed(monkeypatch, capsys, "actreel predict a.avi --model ") == []
    packaged = "artifacts/bento/models/actreel/abc"
    for folder in ("artifacts/model", packaged):
        write_model_folder(tmp_path / folder, spec, ("a", "b", "c"))
    assert proposed(monkeypatch, capsys, "actreel predict a.avi --model ") == ["artifacts/model", packaged]
    assert proposed(monkeypatch, capsys, "actreel saliency a.avi --model artifacts/b") == [packaged]


def test_settings_with_their_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    (epochs,) = proposed(monkeypatch, capsys, "actreel tune --set train.epo")
    assert epochs.removeprefix("train.epochs=").isdecimal()
    assert all(word.startswith("split.") for word in proposed(monkeypatch, capsys, "actreel crossval --set split."))
    monkeypatch.chdir(tmp_path)
    assert completion.settings() == []
    for text in ("a: [1", "- a", "a: 1", ""):
        Path("params.yaml").write_text(text, encoding="utf-8")
        assert completion.settings() == []
    Path("params.yaml").write_text("a: {b: true, c: null, d: x y, e: 1.5, f: [1], g: '$x'}", encoding="utf-8")
    assert completion.settings() == ["a.b=true", "a.c=null", "a.d=", "a.e=1.5", "a.f=", "a.g="]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("actreel compare ch", ["champion"]),
        ("actreel crossval --folds ", ["logo"]),
        ("actreel tune --sampler n", ["nsga2"]),
        ("actreel models ", ["list", "promote", "rollback"]),
    ],
)
def test_words_that_are_always_right(
    line: str, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert proposed(monkeypatch, capsys, line) == words
