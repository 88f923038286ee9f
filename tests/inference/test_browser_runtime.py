"""ONNX Runtime for browsers, fetched by the real Deno from a registry on loopback."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from actreel.errors import FetchError
from actreel.inference import browser_runtime
from actreel.inference.browser_runtime import SHA256, fetch_runtime
from actreel.inference.on_device import PACKED_PROGRAM, PROGRAM, RUNTIME, RUNTIME_VERSION, SCRIPT
from tests.conftest import free_port

CONTENT = {SCRIPT: b"export {}", PROGRAM: b"\0asm" * 1000}


@contextmanager
def registry(files: dict[str, bytes]) -> Iterator[str]:
    """A registry of npm packages that holds one version of the runtime: its address."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        manifest = json.dumps({"name": RUNTIME, "version": RUNTIME_VERSION}).encode()
        for name, content in {"package.json": manifest, **{f"dist/{name}": files[name] for name in files}}.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    tarball = packed.getvalue()
    integrity = f"sha512-{base64.b64encode(hashlib.sha512(tarball).digest()).decode()}"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            dist = {"tarball": f"{address}/runtime.tgz", "integrity": integrity}
            version = {"name": RUNTIME, "version": RUNTIME_VERSION, "dist": dist}
            document = {"name": RUNTIME, "dist-tags": {}, "versions": {RUNTIME_VERSION: version}}
            body = tarball if self.path.endswith(".tgz") else json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing to tell."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        Thread(target=server.serve_forever, daemon=True).start()
        yield address
        server.shutdown()


def test_the_two_files_are_kept_if_they_are_the_ones_that_are_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with registry({**CONTENT, "ort.webgpu.mjs": b"not needed"}) as address:
        monkeypatch.setenv("NPM_CONFIG_REGISTRY", address)
        with pytest.raises(FetchError, match=f"'{SCRIPT}' of .* must have the sha256 {SHA256[SCRIPT]}"):
            fetch_runtime(tmp_path / "refused")
        assert not (tmp_path / "refused").exists()
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}
        monkeypatch.setattr(browser_runtime, "SHA256", digests)
        fetch_runtime(tmp_path / "kept")
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {SCRIPT, PACKED_PROGRAM}
    assert (tmp_path / "kept" / SCRIPT).read_bytes() == CONTENT[SCRIPT]
    packed = (tmp_path / "kept" / PACKED_PROGRAM).read_bytes()
    assert gzip.decompress(packed) == CONTENT[PROGRAM]
    assert packed == gzip.compress(CONTENT[PROGRAM], mtime=0)  # the same bytes whenever it is packaged


def test_without_the_package_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(FetchError, match=r"could not be fetched: .*package\.on_device=false"):
        fetch_runtime(tmp_path)
    with registry({SCRIPT: CONTENT[SCRIPT]}) as address:
        monkeypatch.setenv("NPM_CONFIG_REGISTRY", address)
        monkeypatch.setattr(browser_runtime, "SHA256", {PROGRAM: ""})
        with pytest.raises(FetchError, match=f"it holds no dist/{PROGRAM}"):
            fetch_runtime(tmp_path)
