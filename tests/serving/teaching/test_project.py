"""Commands of a project, run by the service."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from actreel.inference.classifier import ActionClassifier
from serving.answers import Served
from serving.settings import Settings
from serving.teaching import project as project_module
from serving.teaching.project import CommandError, Project
from tests.serving.teaching.double import TeachingDouble


@pytest.fixture
def double(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TeachingDouble:
    made = TeachingDouble.make(tmp_path / "project")
    monkeypatch.setattr(project_module, "PROGRAM", made.program)
    return made


def teach(double: TeachingDouble) -> tuple[dict[str, Any], list[str]]:
    project = Project(double.folder, double.folder / "feedback", "actreel-grey")
    return asyncio.run(project.run("teach", str(double.folder)))


def test_a_command_is_answered_with_what_it_warned_of(double: TeachingDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTREEL_API_KEY", "open sesame")
    double.answer('{"version": "4"}', "warning: 'long.avi' is long: cut it\nencoded\nwarning: another\n")
    assert teach(double) == ({"version": "4"}, ["'long.avi' is long: cut it", "another"])
    (asked,) = double.asked
    assert asked["words"] == ["teach", str(double.folder), "--json"]
    assert asked["settings"] == {"ACTREEL_FEEDBACK_DIR": str(double.folder / "feedback")}, "the key stays here"


def test_a_refusal_is_told_and_a_bug_is_logged(double: TeachingDouble, caplog: pytest.LogCaptureFixture) -> None:
    double.answer("", "warning: one\nerror: A lesson needs clips.\nTry: actreel teach\n")
    with pytest.raises(CommandError, match=r"^A lesson needs clips\.\nTry: actreel teach$"):
        teach(double)
    assert not caplog.records
    double.answer("", 'Traceback (most recent call last):\n  File "/secret.py"\nKeyError: 3')
    with pytest.raises(CommandError, match=r"^'actreel teach' failed\. The service's log says how\.$"):
        teach(double)
    assert "KeyError: 3" in caplog.text


@pytest.mark.parametrize(
    ("given", "labels", "why"),
    [
        ({"api_key": SecretStr("sesame")}, {"registered_model": "actreel-grey"}, ""),
        ({}, {"registered_model": "actreel-grey"}, "ACTREEL_API_KEY is not set"),
        ({"api_key": SecretStr("sesame")}, {}, "the served model is not registered"),
        ({"api_key": SecretStr("sesame")}, {"registered_model": "x"}, "the training code is not installed"),
    ],
    ids=["all is there", "no key", "not registered", "a container"],
)
def test_where_something_is_missing_nothing_is_offered(
    double: TeachingDouble, model_folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch,
    given: dict[str, Any], labels: dict[str, str], why: str,
) -> None:  # fmt: skip
    if "installed" in why:
        monkeypatch.setattr(project_module, "find_spec", lambda name: importlib.util.find_spec("no_such_module"))
    served = Served(ActionClassifier.load(model_folder, threads=1), "actreel:1", labels, model_folder)
    assert Project.of(Settings(**given), served) is None
    assert not caplog.records, "nobody asked for it"
    with caplog.at_level(logging.WARNING):
        project = Project.of(Settings(project_dir=double.folder, **given), served)
    assert (project is None) == bool(why)
    assert why in caplog.text
    assert project is None or (project.folder, project.model) == (double.folder, "actreel-grey")
