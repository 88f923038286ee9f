"""Teaching on the page: recordings by camera, and the operator's part; `actreel` in the project is the double."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Page
from pydantic import SecretStr

from actreel.feedback import Feedback, FeedbackStore
from actreel.video.decode import probe
from serving.settings import Settings
from serving.teaching import project as project_module
from tests.conftest import patience
from tests.serving.conftest import wait_for
from tests.serving.page.conftest import Site, expect, running, serious
from tests.serving.page.test_key import KEY, give
from tests.serving.teaching.double import TeachingDouble


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TeachingDouble]:
    made = TeachingDouble.make(tmp_path_factory.mktemp("school") / "project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(project_module, "PROGRAM", made.program)
        yield made


@pytest.fixture(scope="module")
def school(site: Site, project: TeachingDouble, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("teaching")
    settings = Settings(
        state_dir=folder / "state", feedback_dir=folder / "feedback", statistics_dir=folder / "statistics",
        project_dir=project.folder, api_key=SecretStr(KEY),
    )  # fmt: skip
    with running(site.served, settings) as address:
        yield replace(site, address=address, feedback=settings.feedback_dir)


@pytest.fixture
def host(school: Site) -> Site:
    return school


def test_the_operator_teaches_a_draft_and_promotes_it_by_keyboard(
    page: Page, school: Site, project: TeachingDouble
) -> None:
    FeedbackStore(school.feedback).add(Feedback("one", "TaiChi", 0.9, "actreel:1", False, "KeepStill"), school.video)
    part = page.get_by_role("region", name="Teach an action")
    said = part.locator(".operator > .said")
    part.get_by_text("For the operator").press("Enter")
    part.get_by_label("Operator's key").fill("guess")
    page.keyboard.press("Enter")
    expect(said).to_have_text("This key is not valid.")
    expect(part.get_by_label("Operator's key")).to_be_focused()
    page.keyboard.type(KEY)
    page.keyboard.press("Enter")
    choice = part.get_by_role("checkbox", name="Keep Still: 1 clip of 1 video")
    expect(choice).to_be_focused()
    begin = part.get_by_role("button", name="Teach a draft")
    expect(begin).to_be_disabled()
    page.keyboard.press("Space")
    assert not serious(page)

    answer = (project.folder / "answer").read_bytes()
    project.never_answer()
    begin.press("Enter")
    expect(part.locator(".learning .what")).to_have_text("Teaching the new last layer…")
    wait_for(lambda: project.process)
    page.reload()  # the lesson goes on, and whoever has the key finds it again
    part.get_by_text("For the operator").press("Enter")
    part.get_by_label("Operator's key").fill(KEY)
    page.keyboard.press("Enter")
    expect(part.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Enter")
    expect(said).to_have_text("Cancelled.")

    (project.folder / "answer").write_bytes(answer)
    choice.check()
    # The page does not wait for the service to end the lesson.
    lessons = "/teach/lessons"
    wait_for(lambda: page.request.get(lessons, headers={"X-API-Key": KEY}).json()["job"] is None)
    begin.press("Enter")
    expect(part.get_by_role("heading", name="actreel-grey version 4: a draft from version 3")).to_be_focused()
    row = part.get_by_role("row", name="Tai Chi")
    expect(row.get_by_role("cell")).to_have_text(["", "4 of 2 groups", "100% (36% to 100%)", "75% (20% to 98%)"])
    expect(part).to_contain_text("make try MODEL=actreel-grey@draft")
    assert not serious(page)
    part.get_by_label("Why it becomes champion").fill("visitors keep still")
    page.keyboard.press("Enter")
    expect(said).to_contain_text(
        "Version 4 of actreel-grey is champion now, in place of version 3. In the project, make"
    )
    assert "--reason=visitors keep still" in project.asked[-1]["words"]
    stored = "JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage)])"
    assert KEY not in page.evaluate(stored)


@pytest.mark.parametrize(
    "options", [{"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"}], ids=["phone"]
)
def test_a_recording_is_kept_with_consent(page: Page, school: Site) -> None:
    part = page.get_by_role("region", name="Teach an action")
    record = part.get_by_role("button", name="Record 2 s")
    part.get_by_label("Action that you will show").fill("Keep still")
    record.click()
    expect(part.get_by_text("Recording begins")).to_be_hidden()  # the box is not ticked
    part.get_by_label("Send these recordings").check()
    record.click()
    expect(part.locator(".record video")).to_be_visible()
    assert not serious(page)
    give(page, KEY)
    said = part.locator(".record .said")
    expect(said).to_have_text("Recordings of Keep still that are kept for training: 1.", timeout=patience(20_000))
    (kept,) = [(each, video) for each, video in FeedbackStore(school.feedback).all() if each.label == "Keep still"]
    assert kept[1] is not None
    assert 1 < probe(kept[1]).duration_s < 6
    part.get_by_role("button", name="Stop the camera").click()
    expect(said).to_have_text("The camera is stopped.")
    expect(part.locator(".record video")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
