"""The page of `actreel watch --page` in a real Chromium."""

from __future__ import annotations

import numpy as np
from playwright.sync_api import Browser

from actreel.live.page import LivePage
from tests.serving.page.conftest import expect, serious

SIGHT = {"known": True, "confidence": 0.91, "lag_ms": 12.4, "fps": 30.0, "dropped": 2, "reconnects": 1, "end_s": 75.2}


def test_label_picture_and_lag_are_shown_live(browser: Browser) -> None:
    with LivePage("rtsp://camera.local/live") as live:
        page = browser.new_page(viewport={"width": 390, "height": 740})
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(live.address)
        expect(page).to_have_title("rtsp://camera.local/live: Actreel, live")
        expect(page.locator("#state")).to_have_text("Waiting for the first window…")
        live.picture(np.full((48, 64, 3), 99, np.uint8))
        expect(page.locator("#picture")).to_have_js_property("naturalWidth", 64)
        live.tell({**SIGHT, "label": "Wave"})
        expect(page.locator("#label")).to_have_text("Wave")
        expect(page.locator("#numbers")).to_contain_text("12 ms")
        expect(page.locator("#numbers")).to_contain_text("91%")
        live.tell({**SIGHT, "label": "Wave", "known": False, "confidence": 0.0, "end_s": 80.0})
        expect(page.locator("#label")).to_have_text("Unknown action")
        expect(page.locator("#labels li")).to_have_text(["1:20 Unknown action", "1:15 Wave"])
        assert not serious(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert not errors
    expect(page.locator("#state")).to_have_text("actreel watch has ended.")
    page.close()
