"""The camera on the page, in a real Chromium whose camera shows a demo performer's jumping jacks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, WebSocketRoute

from actreel.inference.classifier import ActionClassifier
from serving.answers import Served
from serving.settings import Settings
from tests.performers import write_performers_model
from tests.serving.conftest import wait_for
from tests.serving.page.conftest import COLOUR_RULES, Site, answer, expect, running, serious, upload

SELF_ONLY = "camera=(self)"


@pytest.fixture(scope="module")
def studio(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A service that knows what performers do, and takes one camera at once."""
    folder = tmp_path_factory.mktemp("studio")
    model = write_performers_model(folder / "model")
    served = Served(ActionClassifier.load(model, threads=1), "actreel:test", {}, model)
    settings = Settings(state_dir=folder / "state", feedback_dir=folder / "feedback", max_cameras=1)
    with running(served, settings) as address:
        yield replace(site, address=address, served=served)


@pytest.fixture
def host(studio: Site) -> Site:
    return studio


@pytest.fixture
def page(context: BrowserContext) -> Page:
    opened = context.new_page()
    opened.on("filechooser", lambda chooser: None)
    return at_the_door(opened)


def at_the_door(page: Page) -> Page:
    page.add_init_script(
        """{
            const devices = navigator.mediaDevices;
            const open = devices.getUserMedia.bind(devices);
            window.streams = [];
            devices.getUserMedia = async (wanted) => {
                const stream = await open(wanted);
                window.streams.push(stream);
                return stream;
            };
        }"""
    )
    page.goto("/")
    expect(page.get_by_role("button", name="Use the camera")).to_be_visible()
    return page


def now(page: Page) -> Any:
    return page.locator("#camera .now")


def sessions_ended(page: Page) -> float:
    """Sessions that the service has seen the end of."""
    rows = page.request.get("/metrics").text().splitlines()
    counts = [row for row in rows if row.startswith("actreel_request_seconds_count") and "WEBSOCKET" in row]
    return sum(float(row.rsplit(" ", 1)[1]) for row in counts)


def camera_is_off(page: Page) -> bool:
    """Whether a camera was opened, and is no longer in use."""
    states = page.evaluate("window.streams.flatMap((stream) => stream.getTracks()).map((track) => track.readyState)")
    return set(states) == {"ended"}


def test_a_performer_is_recognised_live_by_keyboard_and_a_visitor_too_many_is_refused(
    page: Page, context: BrowserContext
) -> None:
    opened = page.request.get("/")
    assert SELF_ONLY in opened.headers["permissions-policy"]
    before = sessions_ended(page)
    told = page.evaluate_handle(
        """() => {
            const told = [];
            const what = document.querySelector("#camera .what");
            new MutationObserver(() => told.push(what.textContent)).observe(what, { childList: true });
            return told;
        }"""
    )
    page.get_by_role("button", name="Choose a video", exact=True).focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Use the camera")).to_be_focused()
    page.keyboard.press("Enter")
    stop = page.get_by_role("button", name="Stop")
    expect(stop).to_be_focused()
    expect(page.locator("#camera .where")).to_contain_text("never stored")
    expect(now(page)).to_have_text("Jumping Jack")
    expect(page.get_by_role("status").first).to_have_text("The camera shows: Jumping Jack.")
    lag = re.compile(r"^\d+% confidence, over the last 1\.6 s\. Lag: [\d.]+ m?s\.$")
    expect(page.locator("#camera .what")).to_have_text(lag)
    assert "Watching. The first answer comes when the camera has been seen for 1.6 s." in told.json_value()
    page.emulate_media(color_scheme="dark")
    assert not serious(page, COLOUR_RULES)
    page.emulate_media(color_scheme="light")
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 740})
        assert not serious(page), width
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    second = at_the_door(context.new_page())
    second.get_by_role("button", name="Use the camera").click()
    expect(second.locator("#problem .message")).to_have_text(
        "The service is full: it accepts at most 1 cameras at once."
    )
    expect(second.locator("#camera")).to_be_hidden()
    assert camera_is_off(second)
    expect(now(page)).to_have_text("Jumping Jack")

    expect(stop).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#camera")).to_be_hidden()
    expect(page.get_by_role("button", name="Use the camera")).to_be_focused()
    expect(page.locator("#camera-hint")).to_have_text("The camera is stopped.")
    assert camera_is_off(page)
    wait_for(lambda: sessions_ended(page) == before + 2)
    second.get_by_role("button", name="Try again").click()
    expect(now(second)).to_have_text("Jumping Jack")
    second.close()  # the tab's end is the session's
    wait_for(lambda: sessions_ended(page) == before + 3)


def test_it_stops_when_the_tab_is_hidden_and_when_a_video_is_sent(page: Page, site: Site) -> None:
    before = sessions_ended(page)
    page.get_by_role("button", name="Use the camera").click()
    expect(now(page)).to_be_visible()
    # A browser without a window hides no tab, so it is told that it has.
    page.evaluate(
        """() => {
            Object.defineProperty(document, "hidden", { configurable: true, get: () => true });
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    expect(page.locator("#camera-hint")).to_have_text("The camera was stopped, as this tab was hidden.")
    expect(page.locator("#camera")).to_be_hidden()
    assert camera_is_off(page)
    wait_for(lambda: sessions_ended(page) == before + 1)

    page.evaluate("delete document.hidden")
    page.get_by_role("button", name="Use the camera").click()
    expect(now(page)).to_be_visible()
    upload(page, site.video)
    expect(page.locator("#camera")).to_be_hidden()
    assert camera_is_off(page)
    answer(page)
    wait_for(lambda: sessions_ended(page) == before + 2)


def test_what_stands_in_the_way_is_told(page: Page, context: BrowserContext) -> None:
    page.evaluate("""() => {
            const blocked = new DOMException("", "NotAllowedError");
            navigator.mediaDevices.getUserMedia = () => Promise.reject(blocked);
        }""")
    page.get_by_role("button", name="Use the camera").click()
    problem = page.locator("#problem")
    expect(problem).to_contain_text("The camera is blocked for this page. Allow it in the browser's address bar")
    expect(problem).to_be_focused()

    def hang_up(socket: WebSocketRoute) -> None:
        socket.on_message(lambda _: socket.close(code=1012))

    page.route_web_socket("**/camera", hang_up)
    at_the_door(page)
    page.get_by_role("button", name="Use the camera").click()
    expect(problem).to_contain_text("The connection to Actreel was lost.")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    assert camera_is_off(page)

    context.route("**/camera", lambda route: route.fulfill(json=None))
    with page.expect_response("**/camera"):
        page.reload()
    expect(page.get_by_role("button", name="Use the camera")).to_be_hidden()
