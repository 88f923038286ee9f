"""Clients that hang up: no error of the service, and counted as what they are."""

from __future__ import annotations

import json
import re
import socket
import struct
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from tests.serving.conftest import Server, wait_for
from tests.serving.routes.test_jobs import submit

FORM = (
    b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 500000\r\n\r\n"
    b'--b\r\nContent-Disposition: form-data; name="video"; filename="v.avi"\r\n\r\n' + b"x" * 20_000
)
JSON = b'Content-Type: application/json\r\nContent-Length: 500\r\n\r\n{"url": "https://youtu.be'
CHUNKED = b'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"url'


def lines(server: Server) -> list[dict[str, Any]]:
    """What the log says of each request."""
    return [json.loads(found) for found in re.findall(r'\{"request".*\}', server.log)]


def hang_up(connection: socket.socket, reset: bool) -> None:
    if reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.fixture
def quiet(server: Server) -> Iterator[Server]:
    """The server; the test fails if its log has a traceback more at the end."""
    before = server.log.count("Traceback")
    yield server
    assert server.log.count("Traceback") == before
    wait_for(lambda: server.leftovers() == [])


def gone(server: Server, route: str) -> int:
    """How many clients have left this route so far. A request before, of another test, may be logged only now."""
    return sum(line["route"] == route and line["status"] == 499 for line in lines(server))


def connect(server: Server) -> socket.socket:
    host, port = server.address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)))


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/predict_file", FORM), ("/jobs", FORM), ("/jobs", JSON), ("/jobs", CHUNKED), ("/predict_url", JSON),
        ("/feedback", JSON), ("/feedback", CHUNKED),
    ],
    ids=range(7),
)  # fmt: skip
def test_a_client_that_leaves_while_it_sends_is_counted_as_gone(
    quiet: Server, path: str, sent: bytes, reset: bool
) -> None:
    before = gone(quiet, path)
    jobs = set((quiet.state / "jobs").iterdir())
    connection = connect(quiet)
    connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\n".encode() + sent)
    if sent is FORM and path == "/predict_file":
        wait_for(quiet.leftovers)  # it is being received
    hang_up(connection, reset)
    wait_for(lambda: gone(quiet, path) > before)
    with quiet.client() as client:
        metrics = client.get("/metrics").text
        assert 'actreel_refusals_total{code="gone"}' in metrics
        assert f'route="{path}",status="499"' in metrics
        assert 'status="500"' not in metrics
    wait_for(lambda: set((quiet.state / "jobs").iterdir()) <= jobs)


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_client_that_leaves_an_event_stream_is_counted_as_gone(
    narrow: Server, halted: psutil.Process, films: Any, reset: bool
) -> None:
    route = "/jobs/{job}/events"
    before, seen = narrow.log.count("Traceback"), gone(narrow, route)
    with narrow.client() as client:
        job = submit(client, films / "grey.avi")
        connection = connect(narrow)
        connection.sendall(f"GET /jobs/{job}/events HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert b"200 OK" in connection.recv(100)
        hang_up(connection, reset)
        wait_for(lambda: gone(narrow, route) > seen)
        client.delete(f"/jobs/{job}")
    assert narrow.log.count("Traceback") == before


def test_a_client_that_leaves_while_it_receives_leaves_no_traceback(quiet: Server) -> None:
    before = len(lines(quiet))
    connection = connect(quiet)
    connection.sendall(b"GET /static/style.css HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
    connection.recv(100)
    hang_up(connection, reset=True)
    wait_for(lambda: len(lines(quiet)) > before)
    assert {line["status"] for line in lines(quiet)[before:]} <= {200, 499}
