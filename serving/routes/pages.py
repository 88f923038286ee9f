"""The page, the API's documentation, the metrics, and the check of a key."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from serving.callers import check_key
from serving.metrics import exposition
from serving.running import Parts

WEB = Path(__file__).parents[1] / "web"
SWAGGER_UI = Path(str(files("fastapi_offline"))) / "static"
"""The folder with Swagger UI's script and style, as its package installs them."""

router = APIRouter(tags=["Service"])


@router.get("/key", status_code=204)
async def key(request: Request, parts: Parts) -> None:
    """Checks this X-API-Key: 204 if a call that changes something would be let in with it, else 401."""
    check_key(parts.settings, request.headers)


@router.get("/metrics", include_in_schema=False)
def metrics() -> Response:
    """The metrics of all workers."""
    content, kind = exposition()
    return Response(content, media_type=kind)


@router.get("/docs", include_in_schema=False)
async def docs() -> FileResponse:
    """The API to read and to try: Swagger UI, on the application's OpenAPI document."""
    return FileResponse(WEB / "docs.html", headers={"Cache-Control": "no-cache"})


@router.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """The web page."""
    return FileResponse(WEB / "index.html", headers={"Cache-Control": "no-cache"})
