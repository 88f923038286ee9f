"""Decoder processes: limited, killable, replaced, and holding nothing worth stealing."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import httpx
import psutil
import pytest

from tests.serving.conftest import Serve, Server, wait_for


def ask(client: httpx.Client, video: Path) -> httpx.Response:
    return client.post("/predict_file", files={"video": video.read_bytes()})


def test_a_killed_decoder_is_replaced_and_nobody_notices(serve: Serve, films: Path) -> None:
    server = serve()
    with server.client() as client:
        for _ in range(3):
            wait_for(lambda: server.decoders)
            for decoder in server.decoders:
                decoder.send_signal(signal.SIGKILL)
            assert ask(client, films / "grey.avi").json()["label"] == "middle"


def test_a_decoder_killed_in_the_middle_is_tried_once_more(serve: Serve, films: Path) -> None:
    server = serve(decoders=1)
    (decoder,) = server.decoders
    decoder.suspend()
    answers: list[httpx.Response] = []

    def call() -> None:
        with server.client() as client:
            answers.append(ask(client, films / "grey.avi"))

    caller = threading.Thread(target=call)
    caller.start()
    wait_for(lambda: list((server.state / "workers").glob("*/request-*/video")))
    decoder.send_signal(signal.SIGKILL)
    caller.join(10)
    assert answers[0].json()["label"] == "middle"
    assert "a decoder died" in server.log
    assert server.leftovers() == []


def test_a_decoder_knows_no_secret_and_has_limits(serve: Serve) -> None:
    server = serve(api_key="open sesame", decoder_memory_bytes=2**30)
    (decoder,) = server.decoders
    environment = decoder.environ()
    assert not [name for name in environment if name.startswith("ACTREEL")]
    assert "sesame" not in str(environment)
    assert decoder.rlimit(psutil.RLIMIT_AS) == (2**30, 2**30)
    assert decoder.rlimit(psutil.RLIMIT_FSIZE) == (0, 0)
    assert decoder.rlimit(psutil.RLIMIT_CORE) == (0, 0)
    assert decoder.rlimit(psutil.RLIMIT_NOFILE)[0] <= 64
    assert decoder.rlimit(psutil.RLIMIT_CPU)[0] < 120


def test_decoders_stay_few_under_load(serve: Serve, films: Path) -> None:
    server = serve(decoders=2)

    def call() -> None:
        with server.client() as client:
            assert ask(client, films / "long.avi").status_code == 200

    callers = [threading.Thread(target=call) for _ in range(6)]
    for caller in callers:
        caller.start()
    most = 0
    while any(caller.is_alive() for caller in callers):
        most = max(most, len(server.decoders))
    assert 1 <= most <= 2
    for caller in callers:
        caller.join()


@pytest.fixture
def server(serve: Serve) -> Server:
    return serve(max_requests=2, decoders=1)


def test_more_than_can_be_taken_on_is_429(server: Server, films: Path) -> None:
    server.decoders[0].suspend()
    with server.client() as client:
        callers = [threading.Thread(target=lambda: ask_alone(server, films / "grey.avi")) for _ in range(2)]
        for caller in callers:
            caller.start()
        wait_for(lambda: len(list((server.state / "workers").glob("*/request-*/video"))) == 2)
        answer = ask(client, films / "grey.avi")
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "busy")
        assert answer.headers["retry-after"] == "1"
        assert client.get("/model").status_code == 200, "pages are still served"
        server.decoders[0].send_signal(signal.SIGKILL)
        for caller in callers:
            caller.join(10)
        assert ask(client, films / "grey.avi").status_code == 200


def ask_alone(server: Server, video: Path) -> None:
    with server.client() as client:
        ask(client, video)
