"""The model for visitors' own devices: what there is, the files, and the thread that runs them."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse

from actreel.inference.on_device import SCRIPT
from serving.answers import RefusalError
from serving.callers import check_key
from serving.on_device import OnDevice
from serving.routes.pages import WEB
from serving.running import Parts

router = APIRouter(tags=["Model"])

THREAD_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""The thread that runs the model may compile WebAssembly; it may ask no address for anything, not even ours."""

FOR_GOOD = "private, max-age=31536000, immutable"
"""Of files that the page asks for with their version."""


@router.get("/on_device")
def on_device(parts: Parts) -> OnDevice | None:
    """What a page needs to run the model on the visitor's device; null if this model is not handed out."""
    return parts.device_files.description


@router.get("/on_device/worker.js", include_in_schema=False)
async def worker() -> FileResponse:
    """The thread that runs the model."""
    headers = {"Content-Security-Policy": THREAD_POLICY, "Cache-Control": "no-cache"}
    return FileResponse(WEB / "device" / "worker.js", headers=headers)


@router.get("/on_device/{name}", response_class=FileResponse)
def device_file(name: str, request: Request, parts: Parts) -> FileResponse:
    """One of the files; those of the model need the key, if the service requires one."""
    files = parts.device_files
    if name in files.networks:
        check_key(parts.settings, request.headers)
    path = (files.runtime | files.networks).get(name)
    if path is None:
        raise RefusalError(404, "no_such_file", "There is no such file.", "See GET /on_device.")
    if name == SCRIPT:
        return FileResponse(path, media_type="text/javascript", headers={"Cache-Control": "no-cache"})
    return FileResponse(path, media_type="application/octet-stream", headers={"Cache-Control": FOR_GOOD})
