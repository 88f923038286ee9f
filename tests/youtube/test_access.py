"""Cookies, a proxy and a plug-in for PO tokens, with the real yt-dlp; nothing of them is logged or passed on."""

from __future__ import annotations

import logging
import os
import textwrap
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import psutil
import pytest

from actreel.errors import ConfigError
from actreel.youtube.access import YouTubeAccess
from actreel.youtube.fetch import YouTubeError
from tests import youtube_double
from tests.conftest import children_running
from tests.youtube.test_fetch import ID, content, double, playability, try_fetch
from tests.youtube_double import Uploaded, YouTubeDouble

__all__ = ["content", "double"]  # fixtures

COOKIES = "# Netscape HTTP Cookie File\n.youtube.com\tTRUE\t/\tTRUE\t4000000000\tVISITOR\tsesame\n"


def access(**variables: str | Path) -> YouTubeAccess:
    return YouTubeAccess.from_environment({f"ACTREEL_YOUTUBE_{name}": str(value) for name, value in variables.items()})


@pytest.fixture
def cookies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("secret") / "cookies.txt"
    path.write_text(COOKIES, encoding="utf-8")
    path.chmod(0o600)
    return path


class Proxy(ThreadingHTTPServer):
    """An HTTP proxy that wants a password and counts what passes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.passed = 0


class _Passing(BaseHTTPRequestHandler):
    server: Proxy

    def do_GET(self) -> None:
        if self.headers.get("Proxy-Authorization") != "Basic " + b64encode(b"somebody:sesame").decode():
            return self.send_error(407)
        self.server.passed += 1
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
        with urllib.request.urlopen(urllib.request.Request(self.path, body)) as answer:  # noqa: S310
            content = answer.read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        return None

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy() as server:
        thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_cookies_are_sent_and_their_file_stays_as_it_is(
    double: YouTubeDouble, tmp_path: Path, content: bytes, cookies: Path
) -> None:
    double.videos[ID] = Uploaded(content)
    assert try_fetch(tmp_path, access=access(COOKIES=cookies)).path.read_bytes() == content
    assert any("VISITOR=sesame" in sent for sent in double.cookies)
    assert cookies.read_text(encoding="utf-8") == COOKIES
    assert list(cookies.parent.iterdir()) == [cookies]


def test_all_goes_through_the_proxy(double: YouTubeDouble, tmp_path: Path, content: bytes, proxy: Proxy) -> None:
    double.videos[ID] = Uploaded(content)
    try_fetch(tmp_path, access=access(PROXY=f"http://somebody:sesame@127.0.0.1:{proxy.server_port}"))
    assert proxy.passed == len(double.asked) > 1


@pytest.mark.parametrize("wrong", ["password", "address", "cookies in JSON", "cookies that are gone"])
def test_what_is_set_wrongly_is_a_hint_to_the_operator_without_a_secret(
    double: YouTubeDouble,
    tmp_path: Path,
    cookies: Path,
    proxy: Proxy,
    wrong: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    double.videos[ID] = Uploaded()
    port = proxy.server_port if wrong == "password" else 1
    if wrong == "cookies in JSON":
        cookies.write_text('[{"name": "VISITOR", "value": "guess42"}]', encoding="utf-8")
    given = access(COOKIES=cookies) if "cookies" in wrong else access(PROXY=f"http://someone:guess42@127.0.0.1:{port}")
    if wrong == "cookies that are gone":
        cookies.unlink()
    with pytest.raises(YouTubeError) as refused, caplog.at_level(logging.WARNING):
        try_fetch(tmp_path, access=given)
    assert refused.value.code == "misconfigured"
    assert "ACTREEL_YOUTUBE" not in str(refused.value), "this is for the visitor"
    assert "ACTREEL_YOUTUBE_PROXY" in caplog.text
    for secret in ("someone", "guess42", "127.0.0.1", str(cookies), ID):
        assert secret not in caplog.text


def test_a_plug_in_gets_its_options_and_its_po_token_is_used(
    double: YouTubeDouble,
    tmp_path: Path,
    content: bytes,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path_factory.mktemp("plugin")
    plugin = folder / "yt_dlp_plugins" / "extractor" / "getpot_test.py"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(
        textwrap.dedent("""
            from yt_dlp.extractor.youtube.pot.provider import PoTokenProvider, PoTokenResponse, register_provider

            @register_provider
            class DoublePTP(PoTokenProvider):
                PROVIDER_NAME, PROVIDER_VERSION, BUG_REPORT_LOCATION = "double", "1", ""
                _SUPPORTED_CLIENTS = _SUPPORTED_CONTEXTS = None

                def is_available(self):
                    return True

                def _real_request_pot(self, request):
                    return PoTokenResponse(self._configuration_arg("token", casesense=True)[0])
        """),
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(folder)  # where the downloader finds what is installed
    double.videos[ID] = Uploaded(content)
    given = access(EXTRACTOR_ARGS="youtubepot-double:token=c2VzYW1lc2VzYW1l youtube:fetch_pot=always")
    assert "c2Vz" not in repr(given)
    try_fetch(tmp_path, access=given)
    assert double.po_tokens == {"c2VzYW1lc2VzYW1l"}


def test_the_downloader_alone_is_told_and_gets_none_of_the_services_variables(
    double: YouTubeDouble, tmp_path: Path, cookies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTREEL_API_KEY", "open sesame")
    monkeypatch.setenv("ACTREEL_YOUTUBE_COOKIES", str(cookies))
    double.videos[ID] = Uploaded(bytes(10_000), send=youtube_double.send_and_hang)
    seen: list[tuple[list[str], dict[str, str]]] = []

    def look() -> bool:
        with suppress(psutil.Error):  # a process may not be ready to be looked at yet
            seen.extend(
                (one.cmdline(), one.environ()) for one in children_running(os.getpid(), youtube_double.__file__)
            )
        return bool(seen)

    with pytest.raises(YouTubeError, match="cancelled"):
        try_fetch(tmp_path, cancelled=look, access=YouTubeAccess.from_environment())
    (command, environment), *_ = seen
    assert not [name for name in environment if name.startswith("ACTREEL_")]
    assert str(cookies) not in str(command) + str(environment)
    assert "sesame" not in str(command) + str(environment)


def test_a_bot_check_is_one_answer_to_the_visitor_and_one_hint_to_the_operator(
    double: YouTubeDouble, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    double.videos[ID] = playability("LOGIN_REQUIRED", "Sign in to confirm you\u2019re not a bot")
    with pytest.raises(YouTubeError) as refused, caplog.at_level(logging.WARNING):
        try_fetch(tmp_path)
    assert (refused.value.code, "ACTREEL" in str(refused.value)) == ("bot_check", False)
    (said,) = caplog.messages
    for hint in ("make youtube", "ACTREEL_YOUTUBE_COOKIES", "ACTREEL_YOUTUBE_PROXY", "PO-token"):
        assert said.count(hint) == 1


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("PROXY", "sesame.example:8080", "address such as"),
        ("PROXY", "ftp://sesame.example", "address such as"),
        ("PROXY", "http://sesame:70000", "address such as"),
        ("PROXY", "http://", "address such as"),
        ("COOKIES", "/no/such/file", "cannot be read"),
        ("COOKIES", "/", "must be a file"),
        ("EXTRACTOR_ARGS", "sesame", "must look like"),
    ],
)
def test_a_bad_value_names_its_variable_and_not_itself(variable: str, value: str, said: str) -> None:
    with pytest.raises(ConfigError, match=rf"ACTREEL_YOUTUBE_{variable}: .*{said}") as refused:
        access(**{variable: value})
    assert "sesame" not in str(refused.value)


def test_cookies_that_others_can_read_are_refused(cookies: Path) -> None:
    cookies.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod o= "):
        access(COOKIES=cookies)
    cookies.chmod(0o640)
    assert access(COOKIES=cookies).youtube_cookies == cookies
