"""The service behind a real nginx: as docs/operations.md sets it up, and with `proxy_pass` alone."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import psutil
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from httpx_ws import WebSocketUpgradeError

from serving.camera.messages import SUBPROTOCOL
from serving.routes.pages import WEB
from tests.conftest import ROOT, free_port, patience
from tests.dataset.fetch.test_certificates import issue
from tests.nginx import nginx
from tests.serving.camera.test_session import camera, watched
from tests.serving.conftest import NO_CERTIFICATES, Serve, Server
from tests.serving.routes.test_jobs import ended, follow, submit

FRONTS = ("documented", "documented, under a path", "proxy_pass alone", "proxy_pass alone, under a path")


def documented(service: str, folder: Path, port: int) -> str:
    """The server block of docs/operations.md, with its location under a path moved into it."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    server, location = re.findall(r"```nginx\n(.*?)```", text, re.DOTALL)
    server = server.rstrip().removesuffix("}") + location + "}"
    for before, after in (
        ("127.0.0.1:3000", urlsplit(service).netloc),
        ("listen 443", f"listen 127.0.0.1:{port}"),
        ("/etc/nginx", str(folder)),
    ):
        assert before in server
        server = server.replace(before, after)
    return server


@pytest.fixture(scope="module")
def fronts(narrow: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, httpx.Client]]:
    """A client for each way to put nginx in front of `narrow`; its base is the service's address there."""
    folder = tmp_path_factory.mktemp("nginx")
    identity = issue("localhost", ca=False)
    (folder / "actreel.pem").write_bytes(identity.pem)
    (folder / "actreel.key").write_bytes(identity.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    secure, plain = free_port(), free_port()
    alone = (
        f"server {{ listen 127.0.0.1:{plain}; location / {{ proxy_pass {narrow.address}; }} "
        f"location /actreel/ {{ proxy_pass {narrow.address}/; }} }}"
    )
    trusting = ssl.create_default_context(cadata=identity.pem.decode())
    bases = (f"https://127.0.0.1:{secure}", f"http://127.0.0.1:{plain}")
    with nginx(folder, documented(narrow.address, folder, secure) + alone, plain):
        clients = [
            httpx.Client(
                base_url=base + path, verify=trusting if base.startswith("https") else NO_CERTIFICATES,
                timeout=patience(10), trust_env=False,
            )
            for base in bases
            for path in ("", "/actreel")
        ]  # fmt: skip
        yield dict(zip(FRONTS, clients, strict=True))
        for client in clients:
            client.close()


def origin(client: httpx.Client) -> str:
    return f"{client.base_url.scheme}://{client.base_url.netloc.decode()}"


@pytest.mark.parametrize("front", FRONTS)
def test_the_pages_upload_is_accepted_and_another_sites_is_not(
    fronts: dict[str, httpx.Client], films: Path, front: str
) -> None:
    client = fronts[front]
    video = {"video": (films / "grey.avi").read_bytes()}
    own = {"Origin": origin(client)}
    evil = {"Origin": "https://evil.example"}
    # Over TLS, browsers say where a call comes from; over plain HTTP only the page's own header does.
    for headers in (own | {"Sec-Fetch-Site": "same-origin"}, own | {"X-Requested-With": "actreel"}, {}):
        answer = client.post("/predict_file", files=video, headers=headers)
        assert answer.status_code == 200, answer.text
    for headers in (evil, evil | {"Sec-Fetch-Site": "cross-site"}, own | {"Sec-Fetch-Site": "same-site"}):
        answer = client.post("/predict_file", files=video, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "cross_origin")
    preflight = client.options("/predict_file", headers=evil | {"Access-Control-Request-Headers": "x-requested-with"})
    assert preflight.status_code == 405, "so no other site's page can send the page's own header"
    assert "access-control-allow-headers" not in preflight.headers


@pytest.mark.parametrize("front", FRONTS)
def test_events_arrive_as_they_happen(
    fronts: dict[str, httpx.Client], halted: psutil.Process, films: Path, front: str
) -> None:
    client = fronts[front]
    job = submit(client, films / "grey.avi")
    events = follow(client, job)
    name, data = next(events)  # the job stands still: a buffered event would not be here before the time-out
    assert (name, data["state"]) in {("progress", "queued"), ("progress", "running")}
    client.delete(f"/jobs/{job}").raise_for_status()
    assert [name for name, _ in events][-1] == "cancelled"
    assert ended(client, job)["state"] == "cancelled"


@pytest.mark.parametrize("front", FRONTS)
def test_a_camera_passes_a_documented_proxy_and_another_sites_does_not(
    fronts: dict[str, httpx.Client], narrow: Server, front: str
) -> None:
    client = fronts[front]
    address = str(client.base_url).rstrip("/")
    ticket = client.post("/camera", headers={"X-Requested-With": "actreel"}).json()["ticket"]
    own: dict[str, Any] = {"subprotocols": [SUBPROTOCOL, ticket], "headers": {"Origin": origin(client)}}
    if "alone" in front:
        with pytest.raises(WebSocketUpgradeError), camera(narrow, client, address, **own):
            pass
        return
    with camera(narrow, client, address, **own) as session:
        assert watched(session, 0)["answer"]["label"] == "dark"
    evil = {"Origin": "https://evil.example"}
    with pytest.raises(WebSocketUpgradeError) as refused, camera(narrow, client, address, headers=evil):
        pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("page", ["/", "/docs"])
def test_a_page_and_all_it_names_are_below_the_path(fronts: dict[str, httpx.Client], front: str, page: str) -> None:
    client = fronts[front]
    base = str(client.base_url)
    text = client.get(page).raise_for_status().text
    addresses = {urljoin(f"{base.rstrip('/')}{page}", name) for name in re.findall(r'(?:href|src)="([^"#]+)"', text)}
    assert len(addresses) >= 3
    for address in addresses:
        assert address.startswith(base)
        assert client.get(address).status_code == 200 or address.endswith("/model/card"), address  # there is none here


@pytest.mark.parametrize("front", FRONTS)
def test_the_openapi_document_leads_to_the_calls(fronts: dict[str, httpx.Client], front: str) -> None:
    client = fronts[front]
    (server,) = client.get("/docs.json").json()["servers"]
    base = urljoin(f"{str(client.base_url).rstrip('/')}/docs.json", server["url"])
    assert client.get(base.rstrip("/") + "/model").status_code == 200


def test_no_file_of_the_page_names_an_address_from_the_top() -> None:
    files = [path for path in WEB.iterdir() if path.suffix in (".html", ".js", ".css")]
    assert len(files) > 5
    absolute = {path.name: re.findall(r"""["'`(]/[a-z?][^"'`)]*""", path.read_text(encoding="utf-8")) for path in files}
    assert {name: found for name, found in absolute.items() if found} == {}


def test_visitors_have_a_rate_limit_each(serve: Serve, tmp_path: Path) -> None:
    server = serve(rate_per_minute=60)
    port = free_port()
    block = documented(server.address, tmp_path, port).replace(" ssl;", ";")
    block = re.sub(r"ssl_certificate.*;", "", block)  # as documented but for TLS, which needs a certificate
    with nginx(tmp_path, block, port):
        statuses = []
        for visitor, calls in [("127.0.0.2", 40), ("127.0.0.3", 1)]:
            transport = httpx.HTTPTransport(local_address=visitor, verify=NO_CERTIFICATES)
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", transport=transport) as client:
                statuses.append([client.get("/key").status_code for _ in range(calls)])
    assert statuses[0][:20] == [204] * 20
    assert statuses[0][-1] == 429
    assert statuses[1] == [204]
