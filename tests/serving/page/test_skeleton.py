"""A model that sees landmarks only, on a page in a real Chromium: a skeleton over the video, and in place of frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from playwright.sync_api import BrowserContext, Page

from actreel.inference.classifier import ActionClassifier
from actreel.video.opencv import cv2
from actreel.video.webm import write_webm
from actreel.youtube import fetch
from serving.answers import Served
from serving.settings import Settings
from tests.conftest import grey_frames, write_video_file
from tests.pose_model import TORSO, write_pose_model
from tests.serving.conftest import NO_CERTIFICATES, wait_for
from tests.serving.page.conftest import Site, answer, ask_link, expect, running, serious, upload
from tests.youtube_double import Uploaded, YouTubeDouble

WALKING = np.repeat([60, 120, 180, 240], 25)
"""Light, and so a person who moves to the right; the last second is too light for one person."""

FOUND = """canvas => {
  const {width, height} = canvas;
  const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  let [count, sum] = [0, 0];
  for (let place = 0; place < pixels.length; place += 4)
    // The colour of the left limbs.
    if (Math.abs(pixels[place] - 92) + Math.abs(pixels[place + 1] - 201) + Math.abs(pixels[place + 2] - 187) < 30) {
      count += 1;
      sum += (place / 4) % width / width;
    }
  return [count, count && sum / count];
}"""
"""How many pixels of the canvas are left limbs, and how far to the right they are, as a share."""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("skeletons")
    model = write_pose_model(folder / "model")
    served = Served(ActionClassifier.load(model, threads=1), "actreel:test", {}, model)
    settings = Settings(
        state_dir=folder / "state", feedback_dir=folder / "feedback", statistics_dir=folder / "statistics"
    )
    film = write_video_file(folder / "walking.avi", grey_frames(WALKING))
    write_webm(film, folder / "walking.webm")
    with running(served, settings) as address:
        yield Site(address, served, settings.feedback_dir, folder / "walking.webm", film)


@pytest.fixture
def page(context: BrowserContext) -> Page:
    opened = context.new_page()
    opened.on("filechooser", lambda chooser: None)
    opened.goto("/")
    return opened


def limbs(page: Page) -> tuple[int, float]:
    count, place = page.locator("canvas.skeleton").evaluate(FOUND)
    return count, place


def wait_until_at(page: Page, light: float) -> None:
    """Waits until the skeleton stands where a person is seen at this light."""
    hips = 0.25 + 0.5 * light / 255
    # The left limbs are beside the hips, and the video of 4:3 is in the middle of a stage of 16:9.
    expected = 0.5 + (hips + 0.44 * TORSO - 0.5) * 3 / 4
    wait_for(lambda: abs(limbs(page)[1] - expected) < 0.02)


def test_the_skeleton_follows_the_video_and_can_be_hidden_with_a_key(page: Page, host: Site) -> None:
    upload(page, host.video)
    expect(answer(page)).to_have_text("right")
    expect(page.locator(".about")).to_contain_text("2 at once; the largest is followed")
    wait_until_at(page, 60)
    page.locator("video").evaluate("player => { player.currentTime = 2.5; }")
    wait_until_at(page, 180)
    assert not serious(page)
    box = page.get_by_role("checkbox", name="Draw the skeleton")
    box.focus()
    page.keyboard.press("Space")
    expect(box).not_to_be_checked()
    assert limbs(page)[0] == 0
    page.keyboard.press("Space")
    assert limbs(page)[0] > 50
    expect(page.get_by_role("button", name="Play the skeleton")).to_be_hidden()


def test_frames_of_a_job_are_drawn_and_no_frame_is_kept(page: Page, host: Site) -> None:
    upload(page, host.video)
    expect(answer(page)).to_be_visible()
    expect(page.get_by_role("heading", name="Skeletons from the video")).to_be_visible()
    expect(page.locator(".frames li:visible")).to_have_count(8)
    address = page.locator(".frames img").first.evaluate("image => image.src")
    jpeg = np.frombuffer(httpx.get(address, verify=NO_CERTIFICATES).content, np.uint8)
    picture = cv2.imdecode(jpeg, cv2.IMREAD_COLOR_RGB)
    assert picture.shape == (240, 320, 3)
    assert picture[:20, :20].mean() == pytest.approx(230, abs=4)  # the video's frame is dark there
    assert picture.std() > 20


def test_a_video_from_youtube_is_a_skeleton_that_plays_and_is_not_cached(
    page: Page, host: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with YouTubeDouble().running() as double:
        monkeypatch.setattr(fetch, "DOWNLOADER", double.downloader)
        double.videos["aA0skeleton"] = Uploaded(host.video.read_bytes())
        ask_link(page, "https://youtu.be/aA0skeleton")
        expect(answer(page)).to_have_text("right")
    wait_until_at(page, 60)
    play = page.get_by_role("button", name="Play the skeleton")
    play.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Pause the skeleton")).to_be_focused()
    wait_until_at(page, 240)
    expect(play).to_be_visible()  # it has ended
    assert not list((host.served.folder.parent / "state").glob("youtube/*"))


def test_nobody_is_an_answer_without_a_skeleton(page: Page, host: Site, tmp_path: Path) -> None:
    film = write_video_file(tmp_path / "dark.avi", grey_frames([5] * 50))
    write_webm(film, tmp_path / "dark.webm")
    upload(page, tmp_path / "dark.webm")
    expect(answer(page)).to_be_visible()
    expect(page.locator(".about")).to_contain_text("None found")
    expect(page.locator("canvas.skeleton")).to_be_hidden()
    expect(page.get_by_role("checkbox", name="Draw the skeleton")).to_be_hidden()


def test_a_stored_result_holds_no_landmarks(page: Page, host: Site) -> None:
    upload(page, host.video)
    expect(answer(page)).to_be_visible()
    (stored,) = page.evaluate("JSON.parse(localStorage.getItem('actreel.recent'))")
    assert stored["prediction"]["people"] == 2
    assert "poses" not in stored["prediction"]
    page.reload()
    page.get_by_role("button", name="right").first.click()
    expect(answer(page)).to_have_text("right")
    expect(page.locator(".stage .still")).to_be_visible()  # a drawing of the service's


def test_the_answer_of_a_call_has_the_landmarks(host: Site) -> None:
    options: dict[str, Any] = {"base_url": host.address, "timeout": 30, "verify": NO_CERTIFICATES}
    with httpx.Client(**options) as client, host.odd_video.open("rb") as film:
        found: dict[str, Any] = client.post("/predict_file", files={"video": film}).json()
    assert (found["people"], found["video"]["width"], found["video"]["height"]) == (2, 64, 48)
    times = [pose["at_s"] for pose in found["poses"]]
    assert times == sorted(times)
    assert {len(pose["landmarks"]) for pose in found["poses"]} == {33}
    assert {len(mark) for pose in found["poses"] for mark in pose["landmarks"]} == {3}
