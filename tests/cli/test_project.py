"""`actreel status` and `actreel doctor` at the terminal; tests/project has what they find."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from actreel.cli import main
from actreel.project import doctor, status
from actreel.project.facts import Packaged, Serving
from actreel.project.findings import Finding, fault, fine, note
from actreel.project.status import Status
from tests.conftest import ROOT

CHAMPION = {"registered_model": "actreel-demo", "version": "2", "run_id": "r", "accuracy": "0.9",
            "accuracy_low": "0.8", "accuracy_high": "0.95", "num_test_clips": "120"}  # fmt: skip
BENTO = Packaged("actreel:x", "actreel-demo", "2", "r")


def run(*arguments: str) -> object:
    with pytest.raises(SystemExit) as end:
        main([*arguments])
    return end.value.code


@pytest.mark.parametrize(("state", "command", "code"), [("served", None, 0), ("stale", "make repro", 3),
                                                        ("running", None, 4)])  # fmt: skip
def test_the_status_in_words_and_as_json(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    state: status.State,
    command: str | None,
    code: int,
) -> None:
    found = Status(
        state, "It is so.", command, "demo", "actreel-demo", champion=None if state == "running" else CHAMPION,
        bento=BENTO, verdict={"promoted": False, "version": "3", "reason": "undecided."},
        serving=Serving(7, "http://127.0.0.1:3000", BENTO),
    )  # fmt: skip
    monkeypatch.setattr(status, "read_status", lambda: found)
    assert run("status") == code
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == ["It is so.", f"Next: {command}" if command else "Nothing is to be run now."]
    if state != "running":  # who is champion is not asked meanwhile
        assert "champion  actreel-demo version 2, 90.0% of 120 test clips (95 %: 80.0% to 95.0%)" in lines
        assert "evaluated version 3, not champion by the rules: undecided." in lines
        assert "served    actreel-demo version 2, the champion, at http://127.0.0.1:3000" in lines
    assert run("status", "--json") == code
    fields = json.loads(capsys.readouterr().out)
    assert (fields["state"], fields["next"], fields["exit_code"]) == (state, command, code)
    assert fields["serving"]["bento"]["version"] == "2"


def test_a_folder_that_is_no_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "Run this from the project's folder" in str(run("status"))
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    assert "params.yaml" in str(run("status"))
    assert run("status", "--yaml") == 2


@pytest.mark.parametrize(("last", "code"), [(fine("well"), 0), (note("so", "try this"), 0), (fault("no", "repair"), 1)])
def test_the_doctor_s_lines_and_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], last: Finding, code: int
) -> None:
    def examine() -> Iterator[tuple[str, Finding]]:
        yield "python", fine("3.12")
        yield "ffmpeg", last

    monkeypatch.setattr(doctor, "examine", examine)
    assert run("doctor") == code
    first, second, *more = capsys.readouterr().out.splitlines()
    assert first == "OK       Python    3.12"
    verdict = {"well": "OK     ", "so": "note   ", "no": "problem"}[last.said]
    assert second == f"{verdict}  ffmpeg    {last.said}"
    assert more[:1] == ([f"{'':<19}fix: {last.fix}"] if last.fix else [""])
    assert more[-1] == ("1 of 2 checks found a problem." if code else "All that is needed works.")
    assert run("doctor", "--json") == code
    assert [json.loads(line)["check"] for line in capsys.readouterr().out.splitlines()] == ["python", "ffmpeg"]
