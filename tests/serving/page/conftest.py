"""The page in a real Chromium, on the real service; YouTube is the double."""

from __future__ import annotations

import json
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page
from playwright.sync_api import expect as expect_for_long

from actreel.config import ClipSpec
from actreel.inference.classifier import ActionClassifier
from actreel.video.webm import write_webm
from actreel.youtube import fetch
from serving.answers import Served
from serving.api import create_app
from serving.bentoml_internals import socket_options
from serving.camera.messages import longest_message
from serving.settings import Settings
from tests.browser import chromium
from tests.conftest import grey_frames, patience, write_model_folder, write_video_file
from tests.performers import write_film
from tests.youtube_double import YouTubeDouble

LABELS = ("BaseballPitch", "JumpRope", "TaiChi", "HorseRiding", "JumpingJack", "GolfSwing")
ARGUMENTS = (
    "--disable-background-networking", "--no-first-run", "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP *.test 127.0.0.1",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
)  # fmt: skip


class _Soon:
    """Playwright's assertions, which look again within a tenth of a second: those that may wait long look each half."""

    def __init__(self, actual: Any) -> None:
        self._assertions = expect_for_long(actual)

    def __getattr__(self, name: str) -> Any:
        check = getattr(self._assertions, name)

        def look(*wanted: Any, timeout: float | None = None, **options: Any) -> None:
            end = time.monotonic() + (patience(10_000) if timeout is None else timeout) / 1000
            while True:
                try:
                    return check(*wanted, timeout=2000, **options)
                except AssertionError:
                    if time.monotonic() > end:
                        raise

        return look


expect = _Soon


@dataclass
class Site:
    """A service that pages are opened on."""

    address: str
    served: Served
    feedback: Path
    video: Path
    odd_video: Path


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The application on a port of loopback; 4 s of video are a clip, so its videos have several segments."""
    folder = tmp_path_factory.mktemp("site")
    spec = ClipSpec(num_frames=8, height=32, width=32)
    model = write_model_folder(folder / "model", spec, LABELS, max_distance=0.05)
    card = json.loads((model / "classifier.json").read_text())
    (model / "classifier.json").write_text(json.dumps({**card, "clip_duration_s": 2.0}))

    levels = np.repeat([51, 102, 153], 100)  # 4 s each of JumpRope, TaiChi and HorseRiding
    video = model / "samples" / "JumpRope" / "rope.webm"
    write_webm(write_video_file(folder / "rope.avi", grey_frames(levels)), video)
    write_video_file(model / "samples" / "TaiChi" / "tai-chi.avi", grey_frames(levels[:200]))
    (model / "model_card.html").write_text("<h1>What it is for</h1>", encoding="utf-8")
    odd_video = write_video_file(folder / "odd.avi", grey_frames([128] * 50))  # between TaiChi and HorseRiding
    labels = {
        "registered_model": "actreel-grey",
        "version": "3",
        "accuracy": "0.8750",
        "accuracy_low": "0.5600",
        "accuracy_high": "1",
        "mean_pool_accuracy": "0.7",
        "order_gain": "0.175",
        "order_gain_low": "0.09",
        "order_gain_high": "0.24",
        "num_test_clips": "40",
        "num_test_groups": "4",
        "protocol": "group_holdout",
    }
    served = Served(ActionClassifier.load(model, threads=1), "actreel:test", labels, model)
    settings = Settings(
        state_dir=folder / "state", feedback_dir=folder / "feedback", statistics_dir=folder / "statistics"
    )
    with running(served, settings) as address:
        yield Site(address, served, settings.feedback_dir, video, odd_video)


@contextmanager
def running(served: Served, settings: Settings) -> Iterator[str]:
    """The application on a port of loopback: its address."""
    app = create_app(settings)
    app.state.served = served
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        options = socket_options(longest_message(settings))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=2, **options))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        deadline = time.monotonic() + patience(30)
        while not app.state.ready:
            assert time.monotonic() < deadline, "the service did not become ready"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(20)


# For the package only: no asynchronous test may run beside it.
@pytest.fixture(scope="package")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser whose camera shows a performer's jumping jacks, over and over."""
    film = write_film(tmp_path_factory.mktemp("camera") / "film.mjpeg", "JumpingJack", performer=100)
    with chromium([*ARGUMENTS, f"--use-file-for-fake-video-capture={film}"]) as launched:
        yield launched


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch, site: Site) -> Iterator[YouTubeDouble]:
    with YouTubeDouble().running() as running:
        monkeypatch.setattr(fetch, "DOWNLOADER", running.downloader)
        yield running


@pytest.fixture
def name() -> str:
    """A video's id; another for each test, because the service keeps what it downloaded."""
    # Both cases: a bare id without them could be a word or a number.
    return f"aA{secrets.token_urlsafe(8)[2:]}"


@pytest.fixture
def options() -> dict[str, Any]:
    """Options of the browser; tests parametrize them."""
    return {}


@pytest.fixture
def host(site: Site) -> Site:
    """The site on which pages are opened; a test module may override it."""
    return site


class Contexts:
    """A browser's contexts, one for each set of options: the tests of a site share what its first page has compiled.

    A fresh context costs as much processor time as most tests need: a process, and all scripts compiled again.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._address = ""
        self._opened: dict[str, tuple[BrowserContext, Page]] = {}

    def lease(self, address: str, options: dict[str, Any]) -> BrowserContext:
        """A context as good as new: no pages but one of ours, nothing stored, no routes."""
        if address != self._address:
            self.close()
            self._address = address
        key = json.dumps(options, sort_keys=True)
        if key not in self._opened:
            context = self._browser.new_context(base_url=address, reduced_motion="reduce", **options)
            context.set_default_timeout(patience(10_000))
            context.grant_permissions(["clipboard-read", "clipboard-write"], origin=address)
            kept = context.new_page()  # as long as it is open, the next page is of its process
            kept.goto("/static/icon.svg")
            self._opened[key] = context, kept
        return self._opened[key][0]

    def give_back(self, context: BrowserContext) -> None:
        """Closes the pages, and forgets what the test has stored and set."""
        (kept,) = (kept for opened, kept in self._opened.values() if opened is context)
        for page in context.pages:
            if page is not kept:
                page.close()
        context.unroute_all()
        context.set_offline(False)
        context.clear_cookies()
        kept.evaluate("localStorage.clear()")  # a tab's own storage has gone with its page

    def close(self) -> None:
        for context, _ in self._opened.values():
            context.close()
        self._opened.clear()


@pytest.fixture(scope="package")
def contexts(browser: Browser) -> Iterator[Contexts]:
    made = Contexts(browser)
    yield made
    made.close()


@pytest.fixture
def context(contexts: Contexts, host: Site, options: dict[str, Any]) -> Iterator[BrowserContext]:
    """Fails the test at its end if the page asked another host, broke its own security policy, or ran into an error."""
    opened = contexts.lease(host.address, options)
    foreign: list[str] = []
    errors: list[str] = []

    def watch_request(request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("blob", "data") and f"{parts.scheme}://{parts.netloc}" != host.address:
            foreign.append(request.url)

    def watch_console(message: Any) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            errors.append(message.text)

    watched = (
        ("request", watch_request), ("weberror", lambda error: errors.append(str(error.error))),
        ("console", watch_console),
    )  # fmt: skip
    for event, watch in watched:
        opened.on(event, watch)
    yield opened
    contexts.give_back(opened)
    for event, watch in watched:
        opened.remove_listener(event, watch)
    assert not foreign
    assert not errors


@pytest.fixture
def page(context: BrowserContext) -> Page:
    opened = context.new_page()
    # Playwright takes the browser's dialog over once someone listens, but does not wait until it has: a key is faster.
    opened.on("filechooser", lambda chooser: None)
    opened.goto("/")
    expect(opened.get_by_role("button", name="Jump Rope", exact=True)).to_be_visible()  # the samples are here
    return opened


def ask_link(page: Page, link: str) -> None:
    page.get_by_label("YouTube link").fill(link)
    page.get_by_role("button", name="Recognise the action").click()


def upload(page: Page, path: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a video", exact=True).click()
    chooser.value.set_files(path)


def answer(page: Page) -> Any:
    heading = page.locator("#answer")
    expect(heading).to_be_visible()
    return heading


def seconds_played(page: Page) -> float:
    return float(page.locator("video").evaluate("player => player.currentTime"))


COLOUR_RULES = ("color-contrast", "link-in-text-block")
"""Those of axe-core's rules whose answer the colour scheme can change; the others look at what is on the page."""


def serious(page: Page, rules: Sequence[str] = ()) -> list[tuple[str, list[str]]]:
    """What axe-core finds seriously wrong by these rules, by default all of its own: rule and elements."""
    if not page.evaluate("'axe' in window"):  # to compile it takes as long as to run it
        page.evaluate(Axe().axe_script)
    options = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
    return [
        (found["id"], [node["html"] for node in found["nodes"]])
        for found in page.evaluate("options => axe.run(options)", options)["violations"]
        if found["impact"] in ("serious", "critical")
    ]
