"""Teaching over HTTP; `actreel` in the project is the double."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from pydantic import SecretStr

from actreel.feedback import Feedback, FeedbackStore
from actreel.inference.classifier import ActionClassifier
from serving.answers import Served
from serving.settings import Settings
from serving.teaching import project as project_module
from tests.serving.conftest import NO_CERTIFICATES, wait_for
from tests.serving.page.conftest import running
from tests.serving.routes.test_jobs import ended, follow
from tests.serving.teaching.double import DRAFT, TeachingDouble

KEY = {"X-API-Key": "open sesame"}
NEW = "Keep still"


@dataclass
class School:
    """A service that teaches, and its project."""

    address: str
    project: TeachingDouble
    settings: Settings

    def client(self, **headers: str) -> httpx.Client:
        return httpx.Client(base_url=self.address, headers=headers, timeout=30, verify=NO_CERTIFICATES)


@pytest.fixture(scope="module")
def school(model_folder: Path, films: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[School]:
    folder = tmp_path_factory.mktemp("school")
    project = TeachingDouble.make(folder / "project")
    settings = Settings(
        state_dir=folder / "state", feedback_dir=folder / "feedback", statistics_dir=folder / "statistics",
        project_dir=project.folder, api_key=SecretStr(KEY["X-API-Key"]),
    )  # fmt: skip
    store = FeedbackStore(settings.feedback_dir)
    for name, label in (("one", NEW), ("two", NEW), ("three", None)):
        store.add(Feedback(name, "dark", 0.9, "actreel:1", False, label), films / "grey.avi")
    labels = {"registered_model": "actreel-grey", "version": "3"}
    served = Served(ActionClassifier.load(model_folder, threads=1), "actreel:test", labels, model_folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(project_module, "PROGRAM", project.program)
        with running(served, settings) as address:
            yield School(address, project, settings)


@pytest.fixture
def operator(school: School) -> Iterator[httpx.Client]:
    school.project.answer(json.dumps(DRAFT))
    with school.client(**KEY) as client:
        yield client


def teach(client: httpx.Client, *actions: str) -> str:
    answer = client.post("/teach", json={"actions": actions})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


CALLS: list[tuple[str, str, Any]] = [
    ("GET", "/teach/lessons", None),
    ("POST", "/teach", {"actions": [NEW]}),
    ("POST", "/teach/promote", {"job": "x" * 22, "reason": "why not"}),
]


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_without_a_project_there_is_nothing_to_teach(client: httpx.Client) -> None:
    assert client.get("/teach").json() is None
    for method, path, body in CALLS:
        assert code(client.request(method, path, json=body)) == (404, "no_teaching")


def test_each_call_needs_the_key_and_the_services_own_page(school: School) -> None:
    with school.client() as visitor:
        assert visitor.get("/teach").json() == {"model": "actreel-grey", "record_s": 2.0}
        for method, path, body in CALLS:
            assert code(visitor.request(method, path, json=body)) == (401, "no_key")
            wrong = visitor.request(method, path, json=body, headers={"X-API-Key": "open"})
            assert code(wrong) == (401, "no_key")
        for method, path, body in CALLS[1:]:
            foreign = visitor.request(method, path, json=body, headers={**KEY, "Origin": "http://elsewhere.test"})
            assert code(foreign) == (403, "cross_origin")
        security = visitor.get("/docs.json").json()["paths"]["/teach/lessons"]["get"]["security"]
        assert {"key": []} in security


def test_what_visitors_shared_becomes_a_draft_and_by_the_operators_word_champion(
    school: School, operator: httpx.Client
) -> None:
    before = len(school.project.asked) if (school.project.folder / "asked").exists() else 0
    marked = operator.get("/teach/lessons").json()
    assert marked == {
        "actions": [{"label": NEW, "clips": 2, "videos": 2}, {"label": "_unknown", "clips": 1, "videos": 1}],
        "job": None,
    }
    held = school.project.folder / "held"  # the first stage lasts until somebody listens
    held.touch()
    job = teach(operator, NEW, "_unknown")
    events = []
    for event in follow(operator, job):
        events.append(event)
        if event[0] == "progress" and event[1]["progress"]["stage"] == "lesson":
            held.unlink(missing_ok=True)
    assert events[-1][0] == "done"
    assert {told["progress"]["stage"] for name, told in events if name == "progress"} >= {"lesson", "teach"}
    draft = events[-1][1]["result"]
    assert (draft["version"], draft["table"], draft["to_try"]) == ("4", DRAFT["table"], DRAFT["try"])
    assert draft["notes"] == [*DRAFT["notes"], "feedback on 'b.avi' is left out: it is damaged"]
    assert (school.project.folder / "lesson").read_text(encoding="utf-8") == "Keep still"
    promoted = operator.post("/teach/promote", json={"job": job, "reason": " visitors keep still "})
    assert promoted.json() == {
        "name": "actreel-grey", "version": "4", "instead_of": "3",
        "next_step": "In the project, make repro && make reload packages it and serves it.",
    }  # fmt: skip
    export, taught, promotion = (each["words"] for each in school.project.asked[before:])
    lesson = Path(export[2])
    assert export == ["feedback", "export", str(lesson), "--action=Keep still", "--action=_unknown", "--json"]
    assert taught == ["teach", str(lesson), "--base=actreel-grey", "--json"]
    assert promotion == ["models", "promote", "actreel-grey@4", "--reason=visitors keep still", "--json"]
    assert lesson.parent.is_dir()
    assert not lesson.exists(), "the clips are in the feedback folder already"


def test_one_lesson_at_a_time_and_a_cancelled_one_is_killed(school: School, operator: httpx.Client) -> None:
    school.project.never_answer()
    job = teach(operator, NEW)
    process = wait_for(lambda: school.project.process)
    assert code(operator.post("/teach", json={"actions": [NEW]})) == (409, "teaching")
    assert operator.get("/teach/lessons").json()["job"] == job
    assert code(operator.post("/teach/promote", json={"job": job, "reason": "now"})) == (422, "no_draft")
    assert psutil.Process(process).nice() == 10, "visitors come first"
    operator.delete(f"/jobs/{job}").raise_for_status()
    assert ended(operator, job)["state"] == "cancelled"
    wait_for(lambda: not psutil.pid_exists(process))
    assert operator.get("/teach/lessons").json()["job"] is None


def test_what_cannot_be_taught_is_told(school: School, operator: httpx.Client) -> None:
    school.project.answer("", "error: A lesson needs clips of two groups. Received: one.")
    failed = ended(operator, teach(operator, NEW))
    assert (failed["state"], failed["error"]["code"]) == ("failed", "not_taught")
    assert failed["error"]["message"] == "A lesson needs clips of two groups. Received: one."
    assert code(operator.post("/teach/promote", json={"job": failed["id"], "reason": "now"})) == (422, "no_draft")
    for actions in (["Jump"], [NEW, "--base=other@1"]):
        assert code(operator.post("/teach", json={"actions": actions})) == (422, "not_marked")
    assert code(operator.post("/teach", json={"actions": []})) == (422, "bad_request")


@pytest.mark.parametrize("reason", ["", "  ", "a\nb", "a\u0000", "x" * 1001])
def test_a_reason_is_one_line(operator: httpx.Client, reason: str) -> None:
    given = {"job": "x" * 22, "reason": reason}
    assert code(operator.post("/teach/promote", json=given)) == (422, "bad_request")
    surrogate = b'{"job": "' + b"x" * 22 + b'", "reason": "\\ud800"}'
    refused = operator.post("/teach/promote", content=surrogate, headers={"Content-Type": "application/json"})
    assert code(refused) == (422, "bad_request")
