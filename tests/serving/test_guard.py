"""Rate limit, origin and key."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.guard import RateLimit
from tests.serving.conftest import Serve, Server


def test_a_bucket_holds_half_a_minute_and_refills() -> None:
    rate = RateLimit(per_minute=60)
    assert [rate.take("a", 10, 0.0) for _ in range(3)] == [0, 0, 0]
    assert rate.take("a", 10, 0.0) == pytest.approx(10)
    assert rate.take("b", 10, 0.0) == 0, "each client has its own"
    assert rate.take("a", 10, 9.9) > 0
    assert rate.take("a", 10, 10.0) == 0


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 5)), max_size=100))
def test_no_client_gets_more_than_its_rate(calls: list[tuple[str, float]]) -> None:
    rate = RateLimit(per_minute=60)
    now = 0.0
    taken = {"a": 0, "b": 0}
    for client, pause in calls:
        now += pause
        taken[client] += rate.take(client, 1, now) == 0
    assert max(taken.values()) <= 30 + now + 1


def test_the_number_of_known_clients_is_limited() -> None:
    rate = RateLimit(per_minute=60, max_clients=3)
    for number in range(1000):
        rate.take(str(number), 1, 0.0)
    assert len(rate._buckets) == 3


def test_a_client_over_its_rate_gets_429_with_retry_after(serve: Serve, films: Path) -> None:
    server = serve(rate_per_minute=60, rate_exempt="")
    with server.client() as client:
        answers = [client.post("/predict_file", files={"video": (films / "grey.avi").read_bytes()}) for _ in range(4)]
    assert [answer.status_code for answer in answers[:2]] == [200, 200]
    assert answers[-1].status_code == 429
    assert answers[-1].json()["error"]["code"] == "rate_limited"
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 12


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://[::1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "{own}"},
        {"Origin": "{own}.evil.example"},
    ],
)
@pytest.mark.parametrize(("method", "address"), [("POST", "/predict_file"), ("POST", "/jobs"), ("POST", "/feedback")])
def test_requests_from_other_sites_are_refused(
    server: Server, client: httpx.Client, headers: dict[str, str], method: str, address: str
) -> None:
    sent = {name: value.replace("{own}", server.address) for name, value in headers.items()}
    answer = client.request(method, address, headers=sent, content=b"{}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "cross_origin")


@pytest.mark.parametrize(
    "headers", [{}, {"Origin": "{own}", "Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}]
)
def test_requests_from_the_own_page_and_from_command_lines_are_accepted(
    server: Server, client: httpx.Client, films: Path, headers: dict[str, str]
) -> None:
    sent = {name: value.replace("{own}", server.address) for name, value in headers.items()}
    answer = client.post("/predict_file", files={"video": (films / "grey.avi").read_bytes()}, headers=sent)
    assert answer.status_code == 200


def test_any_key_passes_if_none_is_set(client: httpx.Client) -> None:
    assert client.get("/key", headers={"X-API-Key": "whatever"}).status_code == 204


def test_a_key_is_required_if_one_is_set(locked: Server, films: Path) -> None:
    video = {"video": (films / "grey.avi").read_bytes()}
    with locked.client() as client:
        for headers in ({}, {"X-API-Key": "guess"}, {"X-API-Key": ""}):
            answer = client.post("/predict_file", files=video, headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "no_key")
        assert client.post("/predict_file", files=video, headers={"X-API-Key": "open sesame"}).status_code == 200
        assert client.get("/model").status_code == 200
        assert client.get("/key").status_code == 401
        assert client.get("/key", headers={"X-API-Key": "open sesame"}).status_code == 204
    assert "sesame" not in locked.log
