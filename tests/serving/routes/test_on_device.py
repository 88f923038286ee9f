"""What browsers are handed to run the model themselves, over HTTP."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.browser_runtime import add_stand_in
from tests.serving.conftest import Serve, write_served_model


def test_the_files_are_handed_out_and_the_network_only_with_the_key(serve: Serve, tmp_path: Path) -> None:
    model = write_served_model(tmp_path / "model")
    add_stand_in(model)
    with serve(model, api_key="open sesame").client() as client:
        offer = client.get("/on_device").json()
        assert offer["runtime"] == {"name": "ort-wasm-simd-threaded.wasm.gz", "bytes": 30, "version": "1.30.0"}
        assert [network["name"] for network in offer["networks"]] == ["encoder.onnx", "head.onnx"]
        assert offer["clip"]["num_frames"] == 8
        for network in offer["networks"]:
            address = f"/on_device/{network['name']}?v={network['version']}"
            refused = client.get(address)
            assert (refused.status_code, refused.json()["error"]["code"]) == (401, "no_key")
            handed = client.get(address, headers={"X-API-Key": "open sesame"})
            assert handed.content == (model / network["name"]).read_bytes()
            assert len(handed.content) == network["bytes"]
            assert "immutable" in handed.headers["cache-control"]
        packed = client.get("/on_device/ort-wasm-simd-threaded.wasm.gz")
        assert packed.content == b"ort-wasm-simd-threaded.wasm.gz"
        assert "content-encoding" not in packed.headers  # the page unpacks it
        script = client.get("/on_device/ort.wasm.bundle.min.mjs")
        assert script.headers["content-type"].startswith("text/javascript")
        assert client.get("/on_device/model_card.html").json()["error"]["code"] == "no_such_file"


def test_the_thread_may_compile_and_ask_nobody(client: httpx.Client) -> None:
    policy = client.get("/on_device/worker.js").headers["content-security-policy"]
    assert "script-src 'self' 'wasm-unsafe-eval'" in policy
    assert "default-src 'none'" in policy
    assert "connect-src" not in policy  # so that default-src goes for it
    assert "wasm" not in client.get("/").headers["content-security-policy"]


def test_a_model_packaged_without_the_runtime_is_not_handed_out(client: httpx.Client) -> None:
    assert client.get("/on_device").json() is None
    for name in ("encoder.onnx", "head.onnx", "ort.wasm.bundle.min.mjs"):
        assert client.get(f"/on_device/{name}").status_code == 404
