"""Sending videos and reading results, on a page in a real Chromium."""

from __future__ import annotations

import base64
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from actreel.feedback import DATABASE
from tests import youtube_double
from tests.conftest import grey_frames, patience, write_video_file
from tests.serving.conftest import wait_for
from tests.serving.page.conftest import COLOUR_RULES, Site, answer, ask_link, expect, seconds_played, serious, upload
from tests.youtube_double import Uploaded, YouTubeDouble

HOSTILE = "<img src=x onerror=window.hacked=1><script>window.hacked=1</script>"


def test_an_upload_is_recognised_second_by_second(page: Page, site: Site) -> None:
    upload(page, site.video)
    expect(answer(page)).to_have_text("Tai Chi")
    expect(answer(page)).to_be_focused()
    expect(page.get_by_role("status").first).to_contain_text("Tai Chi")
    expect(page.locator(".confidence")).to_have_text(
        re.compile(r"^\d+% confidence for the whole video, which shows 3 actions$")
    )
    expect(page.locator(".top li")).to_have_count(5)
    expect(page.locator(".frames li:visible")).to_have_count(8)
    assert page.locator(".frames img").evaluate_all("all => all.every(image => image.naturalWidth > 0)")
    expect(page.locator(".eyebrow")).to_have_text("rope.webm")
    expect(page.get_by_role("button", name="Copy link")).to_be_hidden()  # nothing to share
    about = page.locator(".about")
    for fact in ("actreel-grey 3", "88% on 40 held-out clips of 4 groups", "56% to 100%", "group holdout", "6 actions",
                 "Adds 18 points (95%: 9 to 24 points): 88% with it, 70% without"):  # fmt: skip
        expect(about).to_contain_text(fact)
    expect(page.get_by_role("link", name="Model details")).to_have_attribute("href", "model")
    expect(about).to_contain_text("Reported as unknown")
    with page.expect_popup() as beside:
        page.get_by_role("link", name="Model card").click()
    expect(beside.value.get_by_role("heading", name="What it is for")).to_be_visible()
    beside.value.close()
    expect(answer(page)).to_have_text("Tai Chi")  # still there


def test_what_the_model_knows_and_cannot_know_is_told(page: Page, context: BrowserContext, site: Site) -> None:
    expect(page.locator("#teach")).to_be_hidden()  # this service is for no project
    scope = page.locator("#scope")
    expect(scope.locator("summary")).to_have_text("The 6 actions that this model knows")
    expect(scope.get_by_role("listitem")).to_have_text(
        ["Baseball Pitch", "Golf Swing", "Horse Riding", "Jump Rope", "Jumping Jack", "Tai Chi"]
    )
    expect(scope.locator(".limits")).to_have_text("")
    described = page.request.get("/model").json()
    assert described["can_reject"] is True
    demo = {**described, "dataset": "demo", "can_reject": False, "labels": [f"Action{n}" for n in range(101)]}
    context.route("**/model", lambda route: route.fulfill(json=demo))
    page.reload()
    expect(scope.locator("summary")).to_have_text("The 101 actions that this model knows")
    expect(scope.get_by_role("listitem").first).to_be_hidden()  # until the list is opened
    expect(scope).to_contain_text("drawn figures")
    expect(scope).to_contain_text("It cannot say that a video shows none of its actions")
    assert not serious(page)
    upload(page, site.video)
    answer(page)
    expect(page.locator(".about")).to_contain_text("Drawn figures, not people")
    expect(page.locator(".about")).to_contain_text("each video gets one of its actions")


@pytest.mark.parametrize("takes", ["video_and_signal", "signal"])
def test_a_model_of_signals_gets_them_with_a_video_or_alone(
    page: Page, context: BrowserContext, site: Site, takes: str
) -> None:
    expect(page.get_by_label("Signals of sensors")).to_be_hidden()
    described = {**page.request.get("/model").json(), "takes": takes}
    context.route("**/model", lambda route: route.fulfill(json=described))
    sent: list[list[bytes]] = []

    def refuse(route: Any) -> None:
        sent.append(re.findall(rb'; name="(\w+)"; filename="([^"]+)"', route.request.post_data_buffer))
        route.fulfill(status=422, json={"error": {"code": "bad_signal", "message": "Bad.", "next_step": "Next."}})

    context.route("**/jobs", refuse)
    page.reload()
    signal = {"name": "wrist.csv", "mimeType": "text/csv", "buffer": b"time,x\n0,1\n1,1\n"}
    alone = page.get_by_role("button", name="Recognise the signals")
    expect(alone).to_be_hidden()
    page.get_by_label("Signals of sensors").set_input_files(signal)
    if takes == "signal":
        alone.click()
        expect(page.locator("#problem .message")).to_have_text("Bad.")
        page.get_by_label("Signals of sensors").set_input_files(signal)
    else:
        expect(alone).to_be_hidden()
    with page.expect_response("**/jobs"):  # the words on the page may be those of the request before
        upload(page, site.video)
    expect(page.locator("#problem .message")).to_have_text("Bad.")
    wanted = [[(b"signal", b"wrist.csv")], [(b"video", b"rope.webm"), (b"signal", b"wrist.csv")]]
    assert sent == wanted[takes != "signal" :]
    assert not serious(page)


LONG_LABEL = "carryingaveryheavyboxupthestairsofanoldhousewithoutanyhelpfromanybodyelse" * 2
ARABIC = "\u0642\u0641\u0632 \u0627\u0644\u062d\u0628\u0644"


@pytest.mark.parametrize("options", [{"viewport": {"width": 360, "height": 740}}], ids=["360 px"])
def test_any_label_fits_and_stays_text(page: Page, context: BrowserContext, site: Site) -> None:
    names = {"JumpRope": LONG_LABEL, "TaiChi": ARABIC, "HorseRiding": "Salt & <b>Pepper</b>"}

    def rename(route: Any) -> None:
        text = route.fetch().text()
        for old, new in names.items():
            text = text.replace(old, new)
        route.fulfill(body=text, content_type="text/event-stream" if "/events" in route.request.url else None)

    for address in ("**/model", "**/samples", "**/events"):
        context.route(address, rename)
    page.reload()
    expect(page.locator("#scope").get_by_text("Salt & <b>Pepper</b>")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    upload(page, site.video)
    expect(answer(page)).to_have_text(ARABIC)
    expect(page.locator(".legend li").last).to_have_text("Salt & <b>Pepper</b>")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    lines = page.locator(".top .share").evaluate_all(
        """all => all.map((share) => {
            const range = document.createRange();
            range.selectNodeContents(share);
            return range.getClientRects().length;
        })"""
    )
    assert lines == [1] * 5, "a confidence stays on one line"
    assert not serious(page)


def test_a_model_card_is_shown_without_its_scripts(browser: Browser, site: Site) -> None:
    card = site.served.card
    plain = card.read_text(encoding="utf-8")
    card.write_text(
        "<style>h1 { color: rgb(1, 2, 3); }</style><h1 style='margin: 7px'>A card</h1>"
        "<script>document.title = 1</script>"
        "<img src='data:image/gif;base64,R0lGODlhAQABAAAAACw=' onerror='document.title = 2'>"
        "<img src='/static/icon.svg' id='other'>",
        encoding="utf-8",
    )
    try:
        page = browser.new_page(base_url=site.address)
        page.goto("/model/card")
        look = page.locator("h1").evaluate("e => { const s = getComputedStyle(e); return [s.color, s.marginTop]; }")
        assert look[0] == "rgb(1, 2, 3)", "its own style applies"
        assert look[1] != "7px"
        assert page.title() == "", "no script runs"
        assert page.locator("#other").evaluate("e => e.naturalWidth") == 0
        page.close()
    finally:
        card.write_text(plain, encoding="utf-8")


def test_the_timeline_seeks_in_the_local_preview(page: Page, site: Site) -> None:
    upload(page, site.video)
    answer(page)
    segments = page.get_by_role("list", name="Timeline").get_by_role("button")
    expect(segments).to_have_count(3)
    last = page.get_by_role("button", name=re.compile(r"^Horse Riding, 0:0[789] to 0:12, \d+% confidence$"))
    wait_for(lambda: page.evaluate("document.querySelector('video').readyState >= 1"))
    assert seconds_played(page) == 0
    last.click()
    wait_for(lambda: seconds_played(page) > 6)
    assert 7 <= seconds_played(page) <= 9.5
    expect(last).to_have_attribute("aria-current", "true")
    expect(page.locator(".now")).to_have_text("Horse Riding")
    page.get_by_role("button", name="Show 0:00").click()
    wait_for(lambda: seconds_played(page) < 2)
    expect(segments.first).to_have_attribute("aria-current", "true")


def test_the_segments_cover_their_share_of_the_timeline(page: Page, site: Site) -> None:
    upload(page, site.video)
    answer(page)
    expect(page.locator(".viewer .timeline li")).to_have_count(3)
    edges, width = page.locator(".viewer .timeline").evaluate(
        """timeline => {
            const { left, width } = timeline.getBoundingClientRect();
            return [[...timeline.querySelectorAll("li")].map(part => part.getBoundingClientRect().left - left), width];
        }"""
    )
    assert edges[0] == pytest.approx(0, abs=1)
    assert edges[1] / width == pytest.approx(1 / 3, abs=0.08)
    assert edges[2] / width == pytest.approx(2 / 3, abs=0.08)
    colours = page.locator(".viewer .part").evaluate_all(
        "all => all.map(part => getComputedStyle(part).backgroundColor)"
    )
    assert len(set(colours)) == 3


def test_a_packaged_sample_plays_in_the_browser(page: Page) -> None:
    page.get_by_role("button", name="Jump Rope", exact=True).click()
    answer(page)
    expect(page.locator(".eyebrow")).to_have_text("Sample: Jump Rope")
    player = page.locator("video")
    expect(player).to_be_visible()
    player.evaluate("player => player.play()")
    wait_for(lambda: seconds_played(page) > 0.2)
    assert player.evaluate("player => [player.error, player.videoWidth]") == [None, 64]
    expect(page.locator(".viewer-hint")).to_have_text("Select a segment to jump to it.")


def test_a_format_that_the_browser_cannot_play_still_has_its_frames(page: Page) -> None:
    page.get_by_role("button", name="Tai Chi", exact=True).click()  # the sample, an AVI
    answer(page)
    still = page.locator(".still")
    expect(still).to_be_visible()
    expect(page.locator("video")).to_be_hidden()
    first = still.get_attribute("src")
    page.get_by_role("list", name="Timeline").get_by_role("button").last.click()
    expect(still).not_to_have_attribute("src", first or "")
    expect(page.locator(".viewer-hint")).to_contain_text("cannot play")


def test_a_file_can_be_dropped_anywhere(page: Page, site: Site) -> None:
    transfer = page.evaluate_handle(
        """([name, bytes]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([Uint8Array.from(atob(bytes), c => c.charCodeAt(0))], name));
            return transfer;
        }""",
        ["dropped.webm", base64.b64encode(site.video.read_bytes()).decode()],
    )
    page.dispatch_event("footer", "dragover", {"dataTransfer": transfer})
    expect(page.locator("body")).to_have_class("dropping")
    page.dispatch_event("footer", "drop", {"dataTransfer": transfer})
    expect(page.locator("body")).not_to_have_class("dropping")
    answer(page)
    expect(page.locator(".eyebrow")).to_have_text("dropped.webm")


def test_a_link_is_answered_and_can_be_shared(page: Page, site: Site, double: YouTubeDouble, name: str) -> None:
    double.videos[name] = Uploaded(site.video.read_bytes(), title="Somebody jumps rope")
    ask_link(page, f"https://youtu.be/{name}")
    expect(answer(page)).to_have_text("Tai Chi")
    expect(page.locator(".eyebrow")).to_have_text("Somebody jumps rope")
    segments = page.get_by_role("list", name="Timeline").get_by_role("link")
    expect(segments.first).to_have_attribute("href", f"https://youtu.be/{name}?t=0")
    expect(segments.last).to_have_attribute("href", re.compile(rf"^https://youtu\.be/{name}\?t=[789]$"))
    expect(segments.first).to_have_attribute("target", "_blank")
    expect(segments.first).to_have_attribute("rel", "noopener noreferrer")
    expect(page.locator(".still")).to_be_visible()

    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    shared = page.evaluate("navigator.clipboard.readText()")
    assert shared == f"{site.address}/?v={name}" == page.url
    page.evaluate("localStorage.clear()")
    page.goto(shared)
    expect(answer(page)).to_have_text("Tai Chi")
    assert len(double.downloads) == 1  # the second ask costs no download


def test_the_json_can_be_copied(page: Page, site: Site) -> None:
    upload(page, site.video)
    answer(page)
    page.get_by_role("button", name="Copy JSON").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert (copied["label"], copied["video"]["title"], len(copied["segments"])) == ("TaiChi", "rope.webm", 3)


def test_progress_is_shown_and_cancel_ends_it(page: Page, double: YouTubeDouble, name: str) -> None:
    double.videos[name] = Uploaded(bytes(1_000_000), send=youtube_double.send_slowly)
    ask_link(page, f"https://www.youtube.com/watch?v={name}&t=3s")
    expect(page.locator("#progress .what")).to_have_text(re.compile(r"^Downloading the video from YouTube: [1-9]\d?%$"))
    bar = page.get_by_role("progressbar")
    assert 0 < float(bar.get_attribute("value") or 0) < 1
    expect(page.get_by_role("status").first).to_have_text("Downloading the video from YouTube.")
    cancel = page.get_by_role("button", name="Cancel")
    expect(cancel).to_be_focused()
    with page.expect_response(lambda response: response.request.method == "DELETE") as deleted:
        cancel.click()
    assert deleted.value.ok
    expect(page.locator("#progress")).to_be_hidden()
    expect(page.get_by_role("status").first).to_have_text("Cancelled.")
    expect(page.get_by_label("YouTube link")).to_be_focused()


def test_partial_segments_show_while_a_long_video_is_decoded(page: Page, tmp_path: Path) -> None:
    levels = np.resize(np.repeat([51, 102, 153], 100), 10_000)  # as of the site's video, again and again
    video = write_video_file(tmp_path / "long.avi", grey_frames(levels, 120, 160))
    seen = page.evaluate_handle(
        """() => {
            const seen = [];
            const list = document.querySelector("#progress .partial");
            new MutationObserver(() => seen.push(list.textContent)).observe(list, { childList: true });
            return seen;
        }"""
    )
    upload(page, video)
    expect(page.locator("#answer")).to_be_visible(timeout=patience(30_000))
    assert any("Tai Chi?" in text for text in seen.json_value())


def test_a_refused_link_shows_the_reason_and_a_way_out(
    page: Page, site: Site, double: YouTubeDouble, name: str
) -> None:
    reason = "Sign in to confirm you\u2019re not a bot"
    double.videos[name] = Uploaded(playability={"status": "LOGIN_REQUIRED", "reason": reason})
    problem = page.locator("#problem")
    for link, message, again in (
        ("https://vimeo.com/1", "This is not a YouTube link.", False),
        (f"https://youtu.be/{name}", "YouTube takes Actreel for a bot", True),
        (f"http://127.0.0.1:3000/watch?v={name}", "This is not a YouTube link.", False),
        ("https://www.youtube.com/@somebody", "The link must lead to one video", False),
    ):
        ask_link(page, link)
        expect(problem).to_contain_text(message)
        expect(problem).to_be_focused()
        expect(problem).to_contain_text("or give the video file itself instead.")
        expect(page.locator("#progress")).to_be_hidden()
        expect(page.get_by_role("button", name="Try again")).to_be_visible(visible=again)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a video file instead").click()
    chooser.value.set_files(site.video)
    answer(page)
    expect(problem).to_be_hidden()


def test_try_again_sends_the_same_again(page: Page, site: Site, double: YouTubeDouble, name: str) -> None:
    double.videos[name] = Uploaded(playability={"status": "LOGIN_REQUIRED", "reason": "Confirm you are not a bot"})
    ask_link(page, f"https://youtu.be/{name}")
    expect(page.locator("#problem")).to_be_visible()
    double.videos[name] = Uploaded(site.video.read_bytes())
    page.get_by_role("button", name="Try again").click()
    expect(answer(page)).to_have_text("Tai Chi")


def test_a_file_that_is_not_a_video_shows_a_problem(page: Page, tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_bytes(b"no video at all" * 100)
    upload(page, tmp_path / "notes.mp4")
    expect(page.locator("#problem .message")).to_contain_text("video")
    expect(page.locator("#problem .next-step")).not_to_be_empty()


def test_an_empty_link_shows_a_hint_at_the_field(page: Page) -> None:
    page.get_by_role("button", name="Recognise the action").click()
    expect(page.get_by_role("alert")).to_contain_text("Paste a YouTube link first")
    expect(page.get_by_label("YouTube link")).to_be_focused()


def test_a_lost_connection_is_shown(page: Page, context: BrowserContext, site: Site, name: str) -> None:
    context.route("**/jobs", lambda route: route.abort())
    upload(page, site.video)
    expect(page.locator("#problem")).to_contain_text("The connection to Actreel was lost.")
    ask_link(page, f"https://youtu.be/{name}")
    expect(page.locator("#problem")).to_contain_text("The connection to Actreel was lost.")


def test_a_full_service_is_asked_again(page: Page, context: BrowserContext, site: Site) -> None:
    context.route("**/events", lambda route: route.fulfill(status=429), times=1)
    upload(page, site.video)
    expect(answer(page)).to_have_text("Tai Chi")


def test_an_action_that_the_model_does_not_know(page: Page, site: Site) -> None:
    upload(page, site.odd_video)
    expect(answer(page)).to_have_text("Unknown action")
    expect(page.get_by_role("status").first).to_contain_text(
        "Unknown action. This video is unlike the model's training clips"
    )
    part = page.get_by_role("list", name="Timeline").get_by_role("button")
    expect(part).to_have_count(1)
    expect(part).to_have_accessible_name("Unknown action, 0:00.0 to 0:02.0")
    assert "gradient" in part.evaluate("part => getComputedStyle(part).backgroundImage"), "hatched"
    part.click()
    expect(page.locator(".now")).to_have_text("Unknown action")
    expect(page.get_by_role("heading", name="Nearest actions, none of them recognised")).to_be_visible()
    expect(page.locator(".top li")).to_have_count(5)
    assert page.locator(".fill").count() == 0
    assert "%" not in page.locator(".answer").inner_text()
    # A frame is shown when its picture has loaded, which may be after the answer.
    expect(page.locator(".frames li:visible")).to_have_text(
        ["0:00.1", "0:00.3", "0:00.6", "0:00.8", "0:01.1", "0:01.3", "0:01.6", "0:01.8"]
    )
    page.reload()
    expect(page.get_by_role("button", name="Unknown action odd.avi")).to_be_visible()


def test_a_part_that_the_model_does_not_know_is_no_action(page: Page, tmp_path: Path) -> None:
    levels = [102] * 150 + [128] * 75  # 6 s of TaiChi, then 3 s between it and HorseRiding
    upload(page, write_video_file(tmp_path / "partly.avi", grey_frames(levels)))
    expect(answer(page)).to_have_text("Tai Chi")
    expect(page.locator(".confidence")).to_contain_text("which shows 1 action and parts that are unknown")
    parts = page.get_by_role("list", name="Timeline").get_by_role("button")
    expect(parts).to_have_text(["Tai Chi", "Unknown action"])
    images = parts.evaluate_all("all => all.map(part => getComputedStyle(part).backgroundImage)")
    assert ["gradient" in image for image in images] == [False, True], "hatched"
    expect(page.locator(".legend li")).to_have_text(["Tai Chi", "Unknown action"])


def test_a_shared_link_to_a_video_of_an_unknown_action(
    page: Page, site: Site, double: YouTubeDouble, name: str
) -> None:
    double.videos[name] = Uploaded(site.odd_video.read_bytes())
    page.goto(f"/?v={name}")
    expect(answer(page)).to_have_text("Unknown action")
    part = page.get_by_role("list", name="Timeline").get_by_role("link")
    expect(part).to_have_accessible_name("Unknown action, 0:00.0 to 0:02.0. Opens YouTube in a new tab")
    assert not serious(page)


def test_whatever_names_a_video_can_be_shared(page: Page, site: Site, double: YouTubeDouble, name: str) -> None:
    for number, pasted in enumerate(
        ("{name}", "<https://www.youtube.com/live/{name}?si=a>,", "www.youtube-nocookie.com/embed/{name}")
    ):
        video = f"{name[:-1]}{number}"
        double.videos[video] = Uploaded(site.video.read_bytes())
        ask_link(page, pasted.replace("{name}", video))
        expect(page).to_have_url(f"{site.address}/?v={video}")
        expect(answer(page)).to_have_text("Tai Chi")


def test_feedback_is_stored(page: Page, site: Site) -> None:
    upload(page, site.video)
    answer(page)
    group = page.get_by_role("group", name="Was this prediction correct?")
    expect(group.get_by_role("button", name="Send")).to_be_hidden()
    group.get_by_role("radio", name="No").check()
    group.get_by_label("What is the correct action?").select_option("Golf Swing")
    assert not group.get_by_role("checkbox").is_checked()
    group.get_by_role("button", name="Send").click()
    expect(page.locator("#feedback")).to_contain_text("Thank you.")
    with closing(sqlite3.connect(site.feedback / DATABASE)) as database:
        database.row_factory = sqlite3.Row
        (row,) = database.execute("SELECT * FROM feedback ORDER BY rowid DESC LIMIT 1")  # other tests send some too
    assert (row["predicted"], row["correct"], row["label"], row["video"]) == ("TaiChi", 0, "GolfSwing", None)


def test_text_from_outside_stays_text(page: Page, site: Site, double: YouTubeDouble, name: str) -> None:
    double.videos[name] = Uploaded(site.video.read_bytes(), title=HOSTILE)
    ask_link(page, f"https://youtu.be/{name}")
    answer(page)
    expect(page.locator(".eyebrow")).to_have_text(HOSTILE)
    page.goto("/")  # no reload: the address names the video, so that would send it again and store another result
    recent = page.locator("#recent button .title")
    expect(recent).to_have_text(re.compile("^" + re.escape(HOSTILE)))
    page.evaluate("localStorage.setItem('actreel.recent', '[1, null, {\"prediction\": {\"video\": {}}}]')")
    page.reload()
    expect(page.locator("#recent")).to_be_hidden()
    assert page.evaluate("window.hacked") is None


def test_recent_results_stay_in_this_browser_until_cleared(page: Page, context: BrowserContext, site: Site) -> None:
    upload(page, site.video)
    answer(page)
    page.reload()
    entry = page.get_by_role("button", name="Tai Chi rope.webm, 0:12")
    entry.click()
    expect(answer(page)).to_have_text("Tai Chi")
    expect(answer(page)).to_be_focused()
    expect(page.locator(".frames li:visible")).to_have_count(8)
    assert not context.cookies()
    page.get_by_role("button", name="Clear list").click()
    expect(page.locator("#recent")).to_be_hidden()
    assert page.evaluate("localStorage.length") == 0


def test_everything_by_keyboard(page: Page, site: Site, double: YouTubeDouble, name: str) -> None:
    def tab_to(name: str, limit: int = 40) -> None:
        for _ in range(limit):
            page.keyboard.press("Tab")
            focused = page.evaluate(
                "(document.activeElement.getAttribute('aria-label') ?? document.activeElement.labels?.[0]?.textContent"
                " ?? document.activeElement.textContent).trim()"
            )
            if focused.startswith(name):
                return
        pytest.fail(f"Tab never reaches {name!r}")

    double.videos[name] = Uploaded(site.video.read_bytes())
    tab_to("Skip to content")
    tab_to("YouTube link")
    page.keyboard.type(f"https://youtu.be/{name}")
    page.keyboard.press("Enter")
    expect(answer(page)).to_be_focused()
    expect(page.locator(".frames li:visible")).to_have_count(8)  # their buttons are between the others
    tab_to("Copy JSON")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    tab_to("Show 0:03")
    page.keyboard.press("Space")
    tab_to("Yes")
    page.keyboard.press("Space")
    tab_to("Send")
    page.keyboard.press("Enter")
    expect(page.locator("#feedback .hint")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.reload()
    expect(answer(page)).to_be_focused()  # the address names the video, so the page sends it again and takes the focus
    tab_to("Choose a video")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(site.video)
    expect(answer(page)).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("button", name="Correct the timeline")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.closest('.timeline') !== null")
    page.keyboard.press("Enter")
    wait_for(lambda: seconds_played(page) > 6)


PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.mark.parametrize("options", [PHONE], ids=["phone"])
def test_it_fits_a_phone(page: Page, site: Site) -> None:
    def check() -> None:
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        for control in page.locator("button:visible, input:visible:not([type=radio]):not([type=checkbox])").all():
            box = control.bounding_box()
            assert box is not None
            assert box["height"] >= 40, control.text_content()

    check()
    upload(page, site.video)
    answer(page)
    page.get_by_role("radio", name="No").check()
    check()
    ask_link(page, "https://vimeo.com/1")
    expect(page.locator("#problem")).to_be_visible()
    check()


@pytest.mark.parametrize("options", [{}, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_serious(
    page: Page, site: Site, options: dict[str, Any], double: YouTubeDouble, name: str
) -> None:
    schemes: tuple[Literal["dark", "light"], ...] = ("dark",) if options else ("dark", "light")

    def check(state: str) -> None:
        for number, scheme in enumerate(schemes):
            page.emulate_media(color_scheme=scheme)
            colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
            red, green, blue = map(int, re.findall(r"\d+", colour)[:3])
            assert (red + green + blue < 3 * 60) == (scheme == "dark"), state
            assert not serious(page, COLOUR_RULES if number else ()), (state, scheme)

    check("home")
    ask_link(page, "https://vimeo.com/1")
    expect(page.locator("#problem")).to_be_visible()
    check("problem")
    double.videos[name] = Uploaded(bytes(1_000_000), send=youtube_double.send_slowly)
    ask_link(page, f"https://youtu.be/{name}")
    expect(page.locator("#progress .what")).to_contain_text("Downloading the video from YouTube: ")
    check("progress")
    page.get_by_role("button", name="Cancel").click()
    upload(page, site.video)
    answer(page)
    page.get_by_role("radio", name="No").check()
    check("result")
    upload(page, site.odd_video)
    expect(answer(page)).to_have_text("Unknown action")
    check("unknown action")
    for number, scheme in enumerate(schemes):  # before the page is opened: Swagger UI's colours change slowly
        page.emulate_media(color_scheme=scheme)
        page.goto("/docs")
        expect(page.locator(".opblock").first).to_be_visible()
        assert not serious(page, COLOUR_RULES if number else ()), ("docs", scheme)
