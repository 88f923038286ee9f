"""The API's documentation in a browser: Swagger UI, with nothing from other hosts, and calls to try."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import BrowserContext

from tests.serving.page.conftest import Site, expect


def test_calls_can_be_read_and_tried_and_the_way_home_is_there(context: BrowserContext, site: Site) -> None:
    page = context.new_page()
    page.goto("/docs")
    blocks = page.locator(".opblock")
    document: Any = page.request.get("/docs.json").json()
    expect(blocks).to_have_count(sum(len(calls) for calls in document["paths"].values()))
    assert "`" not in page.locator("main").inner_text()

    call = blocks.filter(has=page.get_by_text("/predict_file", exact=True))
    call.locator(".opblock-summary-control").click()
    call.locator("input[type=file]").first.set_input_files(site.video)
    call.get_by_role("button", name="Execute").click()
    answer = call.locator(".live-responses-table .response .highlight-code code").first
    expect(answer).to_contain_text("prediction_id")
    assert json.loads(answer.inner_text())["label"] in ("JumpRope", "TaiChi", "HorseRiding")

    page.get_by_role("link", name="Actreel", exact=True).click()
    expect(page.get_by_role("heading", name="What is happening in this video?")).to_be_visible()
