"""The page of `actreel watch --page`, over HTTP; tests/serving/page/test_live_page.py opens it in a browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest

from actreel.errors import ConfigError
from actreel.live import page as page_module
from actreel.live.page import LONGEST_SIDE, NEXT_PART, LivePage, Newest
from actreel.video.opencv import cv2
from tests.serving.conftest import NO_CERTIFICATES


@pytest.fixture
def page() -> Iterator[LivePage]:
    with LivePage("rtsp://camera.local/live") as opened:
        yield opened


def port_of(page: LivePage) -> int:
    return urlsplit(page.address).port or 0


def test_the_page_and_its_files_are_there_for_who_knows_the_address(page: LivePage) -> None:
    shown = httpx.get(page.address, verify=NO_CERTIFICATES)
    assert shown.status_code == 200
    assert "script-src 'self'" in shown.headers["content-security-policy"]
    assert shown.headers["content-type"] == "text/html; charset=utf-8"
    for name in ("page.js", "style.css"):
        assert name in shown.text
        assert httpx.get(page.address + name, verify=NO_CERTIFICATES).status_code == 200
    named = httpx.get(
        page.address.replace("127.0.0.1", "localhost"),
        headers={"Host": f"localhost:{port_of(page)}"},
        verify=NO_CERTIFICATES,
    )
    assert named.text == shown.text


def test_nobody_else_sees_anything(page: LivePage) -> None:
    port = port_of(page)
    secret = urlsplit(page.address).path
    for path in ("/", "/events", "/é/", secret[:-2] + "/", f"{secret}page.py", f"{secret}../page.py"):
        assert httpx.get(f"http://127.0.0.1:{port}{path}", verify=NO_CERTIFICATES).status_code == 404, path
    for host in (f"rebound.example:{port}", "127.0.0.1", f"127.0.0.1:{port + 1}", ""):
        assert httpx.get(page.address, headers={"Host": host}, verify=NO_CERTIFICATES).status_code == 404, host
    assert httpx.post(page.address, verify=NO_CERTIFICATES).status_code == 501
    assert page._server.server_address[0] == "127.0.0.1"
    with LivePage("0") as other:
        assert urlsplit(other.address).path != secret


def test_what_is_seen_arrives_as_it_is_told(page: LivePage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "SILENCE_S", 0.01)
    with httpx.stream("GET", f"{page.address}events", verify=NO_CERTIFICATES) as stream:
        lines = stream.iter_lines()
        assert [next(lines), next(lines)] == ["event: source", 'data: "rtsp://camera.local/live"']
        assert next(line for line in lines if line) == ":"  # so that a browser that has gone is noticed
        for label in ("dark", "bright"):
            page.tell({"label": label})
            assert json.loads(next(line for line in lines if line.startswith("data:"))[5:]) == {"label": label}


def test_frames_arrive_as_pictures_no_larger_than_needed(page: LivePage) -> None:
    frame = np.zeros((600, 1200, 3), np.uint8)
    frame[..., 0] = 200  # red
    page.picture(frame)
    received = b""
    with httpx.stream("GET", f"{page.address}pictures", verify=NO_CERTIFICATES) as stream:
        assert stream.headers["content-type"] == "multipart/x-mixed-replace; boundary=frame"
        for piece in stream.iter_raw():
            received += piece
            if received.endswith(b"\xff\xd9\r\n" + NEXT_PART):
                break
    head, _, jpeg = received.partition(b"\r\n\r\n")
    assert head == b"--frame\r\nContent-Type: image/jpeg"
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (LONGEST_SIDE // 2, LONGEST_SIDE, 3)
    assert picture[0, 0].tolist() == pytest.approx([0, 0, 200], abs=3)  # BGR


def test_streams_end_with_the_page() -> None:
    with LivePage("0") as page:
        page.tell({"label": "dark"})
        events, pictures = page.events(), page.pictures()
        assert [b"source" in next(events), b"dark" in next(events)] == [True, True]
    assert list(events) == []
    assert list(pictures) == [NEXT_PART]


def test_who_is_late_gets_the_newest_only() -> None:
    newest = Newest()
    values = newest.each()
    for value in (1, 2, 3):
        newest.put(value)
    assert next(values) == 3
    newest.put(4)
    newest.end()
    assert list(values) == [4]


def test_a_port_that_is_taken_is_a_sentence(page: LivePage) -> None:
    with pytest.raises(ConfigError, match=rf"cannot listen at 127\.0\.0\.1, port {port_of(page)}: .*Leave --port out"):
        LivePage("0", port_of(page))
