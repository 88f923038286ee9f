"""Correcting a timeline on the page: by mouse, by keyboard alone, and while the video plays."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page

from actreel.base.marks import Mark
from actreel.feedback import FeedbackStore
from actreel.labelling.visitors import export_dataset
from actreel.video.decode import probe
from tests.conftest import patience
from tests.serving.conftest import wait_for
from tests.serving.page.conftest import Site, answer, expect, serious, upload


def parts(page: Page) -> list[str]:
    """What is on the bar, in order of time: label and times."""
    return page.locator(".strip .part").evaluate_all("all => all.map(part => part.getAttribute('aria-label'))")


def boundary(page: Page, place: int) -> Locator:
    return page.locator(".strip").get_by_role("slider").nth(place)


def stored(page: Page, site: Site) -> tuple[Mark, ...]:
    """The marks that the service has stored of the result on the page."""
    shown = page.evaluate("JSON.parse(localStorage.getItem('actreel.recent'))[0].prediction.prediction_id")
    (marks,) = [found.marks for found, _ in FeedbackStore(site.feedback).all() if found.prediction_id == shown]
    return marks


def test_a_timeline_is_corrected_by_keyboard_alone(page: Page, site: Site) -> None:
    upload(page, site.video)
    answer(page)
    wait_for(lambda: page.evaluate("document.querySelector('video').readyState >= 1"))
    before = page.evaluate("document.documentElement.scrollWidth")
    page.get_by_role("button", name="Correct the timeline").press("Enter")
    expect(page.locator(".strip .part").first).to_be_focused()
    expect(page.get_by_role("list", name="Timeline")).to_be_hidden()
    rope, tai_chi, riding = parts(page)
    assert (rope[:9], tai_chi[:7], riding[:12]) == ("Jump Rope", "Tai Chi", "Horse Riding")
    assert not serious(page)
    assert page.evaluate("document.documentElement.scrollWidth") == before

    boundary(page, 0).focus()
    was = float(boundary(page, 0).get_attribute("aria-valuenow") or "nan")
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("ArrowRight")
    expect(boundary(page, 0)).to_have_attribute("aria-valuenow", f"{was - 1 + 1 / 25:.2f}")
    expect(boundary(page, 0)).to_be_focused()
    page.keyboard.press("z")
    page.keyboard.press("z")
    assert parts(page) == [rope, tai_chi, riding]
    page.keyboard.press("y")
    expect(boundary(page, 0)).to_have_attribute("aria-valuenow", f"{was - 1:.2f}")
    page.keyboard.press("Control+z")

    page.locator(".strip .part").first.focus()
    page.keyboard.press(",")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("s")
    page.keyboard.press("n")
    assert parts(page)[:2] == [
        "Jump Rope, 0:00.0 to 0:01.0",
        re.sub("^Jump Rope, 0:00.0", "None of these actions, 0:01.0", rope),
    ]
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("i")
    expect(boundary(page, 0)).to_have_attribute("aria-valuenow", "2.00")
    page.keyboard.press("Delete")
    page.keyboard.press(".")
    page.keyboard.press("3")  # the third of the answer's own actions
    assert [part.partition(",")[0] for part in parts(page)] == ["Jump Rope", "Horse Riding", "Horse Riding"]
    expect(page.get_by_label("Action in this segment")).to_have_value("2")

    page.get_by_role("button", name="Save the timeline").press("Enter")
    expect(page.locator("#labelling .hint")).to_contain_text("the video is not kept")
    expect(page.get_by_role("button", name="Correct the timeline")).to_be_focused()
    expect(page.locator("#feedback fieldset")).to_be_hidden()
    marks = stored(page, site)
    assert [mark.label for mark in marks] == ["JumpRope", "HorseRiding", "HorseRiding"]
    assert (marks[0].start_s, marks[0].end_s, marks[2].end_s) == (0, marks[1].start_s, 12)


def test_a_boundary_is_dragged_an_action_named_and_labels_set_while_it_plays(
    page: Page, site: Site, tmp_path: Path
) -> None:
    upload(page, site.video)
    answer(page)
    page.get_by_role("list", name="Timeline").get_by_role("button").last.click()
    page.get_by_role("button", name="Correct the timeline").click()
    expect(page.locator(".strip .part").last).to_have_attribute("aria-current", "true")  # where the player stands
    track, knob = page.locator(".strip").bounding_box(), boundary(page, 1).bounding_box()
    assert track is not None
    assert knob is not None
    page.mouse.move(knob["x"] + knob["width"] / 2, knob["y"] + knob["height"] / 2)
    page.mouse.down()
    for share in (0.8, 0.9, 0.75):
        page.mouse.move(track["x"] + share * track["width"], track["y"] + 9)
    page.mouse.up()
    wait_for(lambda: abs(float(boundary(page, 1).get_attribute("aria-valuenow") or 0) - 9) < 0.1)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()  # a drag is one step
    assert float(boundary(page, 1).get_attribute("aria-valuenow") or 0) < 8.6

    page.locator(".strip .part").first.click(position={"x": 5, "y": 10})
    page.get_by_label("Action in this segment").select_option("Another action…")
    page.get_by_label("Name of the action").fill("Two <b>jumps</b>")
    page.get_by_role("button", name="Use it").click()
    assert parts(page)[0].startswith("Two <b>jumps</b>, 0:00.0")
    page.keyboard.press("k")
    wait_for(
        lambda: page.evaluate(
            "!document.querySelector('video').paused && document.querySelector('video').currentTime > 0.5"
        )
    )
    page.keyboard.press("2")
    expect(page.locator(".strip .part")).to_have_count(4)
    page.keyboard.press("k")
    assert parts(page)[1].startswith("Tai Chi, 0:0")

    page.locator("#labelling").get_by_label("Keep this video").check()
    page.get_by_role("button", name="Save the timeline").click()
    expect(page.locator("#labelling .hint")).to_contain_text("stored with the video", timeout=patience(10_000))
    marks = stored(page, site)
    assert [mark.label for mark in marks] == ["Two <b>jumps</b>", "TaiChi", "TaiChi", "HorseRiding"]
    export_dataset(site.feedback, tmp_path / "clips")
    (clip,) = (tmp_path / "clips" / "Two <b>jumps<%2Fb>").iterdir()
    assert probe(clip).num_frames == round(25 * marks[0].end_s)
    # What the service refuses is told, and nothing is lost.
    page.get_by_role("button", name="Correct the timeline").click()
    problem = {"code": "no_such_prediction", "message": "It has expired.", "next_step": "Send the video again."}
    page.context.route("**/feedback/segments", lambda route: route.fulfill(status=404, json={"error": problem}))
    page.get_by_role("button", name="Save the timeline").click()
    expect(page.locator("#labelling .hint")).to_have_text("It has expired. Send the video again.")
    assert len(parts(page)) == 4
    page.get_by_role("button", name="Undo").click()
    left = parts(page)
    page.context.unroute("**/feedback/segments")
    upload(page, site.video)  # as the service kept it for no longer
    expect(page.locator("#labelling .hint")).to_contain_text("Your corrections of this video are here again")
    page.get_by_role("button", name="Correct the timeline").click()
    assert parts(page) == left


@pytest.mark.parametrize(
    "options", [{"viewport": {"width": 360, "height": 740}, "color_scheme": "dark", "has_touch": True}], ids=["phone"]
)
def test_without_a_player_the_frames_are_labelled(page: Page) -> None:
    page.get_by_role("button", name="Tai Chi", exact=True).click()  # the sample, an AVI
    answer(page)
    expect(page.locator(".still")).to_be_visible()
    page.get_by_role("button", name="Correct the timeline").click()
    expect(page.get_by_role("button", name="Play")).to_be_disabled()
    first = page.locator(".still").get_attribute("src")
    page.locator(".strip .part").last.tap()
    expect(page.locator(".still")).not_to_have_attribute("src", first or "")
    page.get_by_role("button", name="None of these").tap()
    assert parts(page)[-1].startswith("None of these actions")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert not serious(page)


def test_segments_never_leave_gaps_and_undo_leads_back_to_the_start(page: Page) -> None:
    faults = page.evaluate(
        """async () => {
            const { Segments } = await import("./static/segments.js");
            const part = ([start, end, label]) => ({ start, end, label });
            const start = [[0, 3.33, "a"], [3.33, 7, null], [7, 9.5, "b"]].map(part);
            const segments = new Segments(start, 9.5, 25);
            let seed = 1;
            const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
            const faults = [];
            for (let step = 0; step < 2000; step += 1) {
                const place = Math.floor(random() * segments.parts.length);
                const label = [null, "a", "b", "c"][Math.floor(random() * 4)];
                const time = random() * 10;
                const acts = [
                    () => segments.move(place, time - 1), () => segments.split(time), () => segments.begin(time, label),
                    () => segments.label(place, label), () => segments.remove(place),
                    () => segments.undo(), () => segments.redo(),
                ];
                acts[Math.floor(random() * acts.length)]();
                const { parts } = segments;
                const whole = parts[0].start === 0 && parts.at(-1).end === 9.5;
                const joined = parts.every((part, at) => at === 0 || part.start === parts[at - 1].end);
                const long = parts.every((part) => part.end - part.start > 0.039 && part.label !== undefined);
                if (!whole || !joined || !long) faults.push([step, parts]);
            }
            while (segments.canUndo) segments.undo();
            if (JSON.stringify(segments.parts) !== JSON.stringify(start)) faults.push(["undone", segments.parts]);
            return faults;
        }"""
    )
    assert faults == []
