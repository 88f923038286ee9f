"""The page of a service that requires a key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page
from pydantic import SecretStr

from serving.settings import Settings
from tests import youtube_double
from tests.serving.page.conftest import COLOUR_RULES, Site, answer, ask_link, expect, running, serious, upload
from tests.youtube_double import Uploaded, YouTubeDouble

KEY = "open sesame"


@pytest.fixture(scope="module")
def locked(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("locked")
    settings = Settings(
        state_dir=folder / "state",
        feedback_dir=folder / "feedback",
        statistics_dir=folder / "statistics",
        api_key=SecretStr(KEY),
        max_upload_bytes=2**26,
    )
    with running(site.served, settings) as address:
        yield replace(site, address=address, feedback=settings.feedback_dir)


@pytest.fixture
def host(locked: Site) -> Site:
    return locked


def dialog(page: Page) -> Any:
    found = page.get_by_role("dialog", name="This service requires a key")
    expect(found).to_be_visible()
    return found


def give(page: Page, key: str) -> None:
    dialog(page)
    expect(page.get_by_label("Key", exact=True)).to_be_focused()
    page.keyboard.type(key)
    page.keyboard.press("Enter")


def test_the_key_is_asked_for_and_stays_in_the_tab(page: Page, context: BrowserContext, site: Site) -> None:
    upload(page, site.video)
    give(page, "guess")
    expect(dialog(page).get_by_role("alert")).to_have_text("This key is not valid.")
    assert not serious(page)
    page.emulate_media(color_scheme="dark")
    assert not serious(page, COLOUR_RULES)
    give(page, KEY)
    expect(answer(page)).to_have_text("Tai Chi")  # the events came too
    group = page.get_by_role("group", name="Was this prediction correct?")
    group.get_by_role("radio", name="Yes").check()
    group.get_by_role("button", name="Send").click()
    expect(page.locator("#feedback")).to_contain_text("Thank you.")

    page.reload()
    upload(page, site.video)
    expect(answer(page)).to_have_text("Tai Chi")
    assert "sesame" not in page.evaluate("JSON.stringify(localStorage)")
    assert not context.cookies()
    other = context.new_page()
    other.goto("/")
    upload(other, site.video)
    dialog(other)


def test_without_a_key_the_problem_is_shown_and_can_be_tried_again(page: Page, site: Site) -> None:
    upload(page, site.video)
    dialog(page).get_by_role("button", name="Not now").click()
    problem = page.locator("#problem")
    expect(problem).to_contain_text("This service requires a key")
    expect(problem).to_contain_text("Ask the operator")
    page.get_by_role("button", name="Try again").click()
    give(page, "\u043a\u043b\u044e\u0447")  # no header can hold it
    expect(dialog(page).get_by_role("alert")).to_have_text("This key is not valid.")
    page.keyboard.press("Escape")
    expect(problem).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    give(page, KEY)
    expect(answer(page)).to_have_text("Tai Chi")


def test_a_video_too_large_to_be_drained_is_not_sent_before_the_key(page: Page, tmp_path: Path) -> None:
    (tmp_path / "large.avi").write_bytes(bytes(30_000_000))
    upload(page, tmp_path / "large.avi")
    give(page, KEY)
    expect(page.locator("#problem .message")).to_contain_text("This file cannot be decoded")


def test_a_link_and_its_cancel_carry_the_key(page: Page, double: YouTubeDouble, name: str) -> None:
    double.videos[name] = Uploaded(bytes(1_000_000), send=youtube_double.send_slowly)
    ask_link(page, f"https://youtu.be/{name}")
    give(page, KEY)
    expect(page.locator("#progress .what")).to_contain_text("Downloading the video from YouTube: ")
    with page.expect_response(lambda response: response.request.method == "DELETE") as deleted:
        page.get_by_role("button", name="Cancel").click()
    assert deleted.value.ok


def test_the_camera_starts_once_the_key_is_given(page: Page) -> None:
    page.get_by_role("button", name="Use the camera").click()
    give(page, KEY)
    expect(page.locator("#camera .now")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#camera-hint")).to_have_text("The camera is stopped.")
