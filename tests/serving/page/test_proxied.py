"""The page behind nginx, with `proxy_pass` alone: under a path, on a host that is neither TLS nor this machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.conftest import free_port, patience
from tests.nginx import nginx
from tests.serving.page.conftest import Site, answer, expect, upload


@pytest.fixture(scope="module")
def address(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page's address: over plain HTTP, so the browser sends no `Sec-Fetch-Site`."""
    port = free_port()
    upgrade = 'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";'
    locations = (
        f"location /actreel/ {{ proxy_pass {site.address}/; }} "
        f"location /sockets/ {{ proxy_pass {site.address}/; {upgrade} }}"
    )
    with nginx(tmp_path_factory.mktemp("nginx"), f"server {{ listen 127.0.0.1:{port}; {locations} }}", port):
        yield f"http://actreel.test:{port}/actreel/"


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A page of the browser; at its end, all that it asked for was below the address."""
    context = browser.new_context(reduced_motion="reduce")
    context.set_default_timeout(patience(10_000))
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    yield context.new_page()
    context.close()
    assert [url for url in asked if not url.startswith((address, "blob:", "data:"))] == []


def test_an_upload_is_followed_to_its_answer_and_feedback_is_stored(page: Page, address: str, site: Site) -> None:
    page.goto(address)
    with page.expect_response(lambda response: response.url == f"{address}jobs") as accepted:
        upload(page, site.video)
    assert "sec-fetch-site" not in accepted.value.request.all_headers()
    expect(answer(page)).to_have_text("Tai Chi")
    expect(page.locator(".frames img").first).to_be_visible()
    assert page.url == address
    page.get_by_role("radio", name="Yes").check()
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#feedback")).to_contain_text("Thank you")
    page.get_by_role("button", name="Correct the timeline").click()
    page.get_by_role("button", name="Save the timeline").click()
    expect(page.locator("#labelling")).to_contain_text("Thank you")


def test_a_sample_is_sent_and_the_documentation_opens(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("button", name="Jump Rope", exact=True).click()
    expect(answer(page)).to_be_visible()
    page.get_by_role("link", name="API", exact=True).click()
    expect(page).to_have_url(f"{address}docs")
    call = page.locator(".opblock").filter(has=page.get_by_text("/model", exact=True))
    call.locator(".opblock-summary-control").click()
    call.get_by_role("button", name="Execute").click()
    expect(call.locator(".live-responses-table .response code").first).to_contain_text("clip_duration_s")
    page.get_by_role("link", name="Actreel", exact=True).click()
    expect(page).to_have_url(address)


def test_the_camera_behind_proxies(browser: Browser, address: str) -> None:
    page = browser.new_page()
    page.set_default_timeout(patience(10_000))
    here = address.replace("actreel.test", "127.0.0.1")  # for a browser as safe as HTTPS
    for base, told in (
        (address, "Browsers give the camera to pages over HTTPS only"),
        (here, "A proxy between this page and Actreel may not let WebSockets pass."),
    ):
        page.goto(base)
        page.get_by_role("button", name="Use the camera").click()
        expect(page.locator("#problem")).to_contain_text(told)
    # The host that the service sees is not the page's: its ticket lets it in.
    page.goto(here.replace("/actreel/", "/sockets/"))
    page.get_by_role("button", name="Use the camera").click()
    expect(page.locator("#camera .now")).to_be_visible()
    page.close()
