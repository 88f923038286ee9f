"""BentoML's own clients against the service; tests/pipelines/test_package.py uses one on a real Bento."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from pathlib import Path
from typing import Any

import bentoml
import httpx
import pytest
from bentoml.exceptions import BentoMLException, UnprocessableEntity

from serving.guard import DRAIN_BYTES
from tests.conftest import free_port, patience
from tests.nginx import nginx
from tests.serving.conftest import MAX_UPLOAD_BYTES, Server, wait_for

KEY = "open sesame"
NO_WAIT = {"server_ready_timeout": 0, "timeout": patience(30)}
"""/readyz is BentoML's own, and the test servers run without it."""


def same(answer: dict[str, Any]) -> dict[str, Any]:
    """What two answers for one video have in common."""
    return {key: value for key, value in answer.items() if key not in ("prediction_id", "timings_ms")}


def test_the_client_answers_what_curl_gets(server: Server, client: httpx.Client, films: Path) -> None:
    film = films / "dark_bright.avi"
    expected = client.post("/predict_file", files={"video": (film.name, film.read_bytes())}).json()
    with bentoml.SyncHTTPClient(server.address, **NO_WAIT) as ours:
        answers = [ours.predict_file(video=film), ours.predict_file(film), ours.predict_file(video=str(film))]

    async def asked() -> dict[str, Any]:
        async with bentoml.AsyncHTTPClient(server.address, **NO_WAIT) as ours:
            answer: dict[str, Any] = await ours.predict_file(video=film)
            return answer

    for answer in [*answers, asyncio.run(asked())]:
        assert answer.keys() == expected.keys()
        assert same(answer) == same(expected)


def test_a_job_through_the_client(server: Server, films: Path) -> None:
    with bentoml.SyncHTTPClient(server.address, **NO_WAIT) as client:
        address = f"/jobs/{client.create_job(video=films / 'grey.avi')['id']}"
        job = wait_for(lambda: (seen := client.request("GET", address).json())["state"] == "done" and seen, 30)
    assert job["result"]["label"] == "middle"


@pytest.mark.parametrize("link", ["https://example.com/", "http://127.0.0.1:1/"])
def test_a_refusal_is_bentoml_s_exception_with_our_words(server: Server, client: httpx.Client, link: str) -> None:
    refusal = client.post("/predict_url", json={"url": link})
    assert refusal.json()["error"]["code"] == "not_youtube"

    async def asked() -> None:
        async with bentoml.AsyncHTTPClient(server.address, **NO_WAIT) as ours:
            await ours.predict_url(url=link)

    with bentoml.SyncHTTPClient(server.address, **NO_WAIT) as ours:
        with pytest.raises(UnprocessableEntity) as sync:
            ours.predict_url(url=link)
        with pytest.raises(TypeError, match="Missing required arguments"):
            ours.predict_url()
    with pytest.raises(UnprocessableEntity) as later:
        asyncio.run(asked())
    assert sync.value.message == later.value.message == refusal.text


@pytest.mark.parametrize("size", [MAX_UPLOAD_BYTES + 1, MAX_UPLOAD_BYTES + DRAIN_BYTES // 2])
def test_an_oversize_upload_is_refused_while_it_is_sent(server: Server, tmp_path: Path, size: int) -> None:
    with (tmp_path / "large.avi").open("wb") as file:
        file.truncate(size)

    async def asked() -> None:
        async with bentoml.AsyncHTTPClient(server.address, **NO_WAIT) as client:
            await client.predict_file(video=tmp_path / "large.avi")

    with (
        bentoml.SyncHTTPClient(server.address, **NO_WAIT) as client,
        pytest.raises(BentoMLException, match='"code":"too_large"') as sync,
    ):
        client.predict_file(video=tmp_path / "large.avi")
    with pytest.raises(BentoMLException, match='"code":"too_large"') as later:
        asyncio.run(asked())
    assert sync.value.error_code == later.value.error_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    wait_for(lambda: server.leftovers() == [])


def test_the_key_is_the_client_s_token(locked: Server, films: Path) -> None:
    with bentoml.SyncHTTPClient(locked.address, token=KEY, **NO_WAIT) as client:
        assert client.predict_file(video=films / "grey.avi")["label"] == "middle"
    for token in (None, "guess"):
        with (
            bentoml.SyncHTTPClient(locked.address, token=token, **NO_WAIT) as client,
            pytest.raises(BentoMLException, match="the key is missing or wrong") as refusal,
        ):
            client.predict_file(video=films / "grey.avi")
        assert refusal.value.error_code == HTTPStatus.UNAUTHORIZED
    basic = {"Authorization": "Basic open sesame"}
    with locked.client() as plain:
        assert plain.get("/key", headers=basic).status_code == 401


def test_the_client_works_under_a_path(server: Server, films: Path, tmp_path: Path) -> None:
    port = free_port()
    under = f"server {{ listen 127.0.0.1:{port}; location /actreel/ {{ proxy_pass {server.address}/; }} }}"
    with (
        nginx(tmp_path, under, port),
        bentoml.SyncHTTPClient(f"http://127.0.0.1:{port}/actreel", **NO_WAIT) as client,
    ):
        assert client.predict_file(video=films / "grey.avi")["label"] == "middle"


def test_every_call_of_the_document_is_one_of_the_application(client: httpx.Client) -> None:
    documented = client.get("/docs.json").json()["paths"]
    for route in client.get("/schema.json").json()["routes"]:
        assert documented[route["route"]]["post"]["operationId"] == route["name"]
        assert documented[route["route"]]["post"]["description"] == route["doc"]
