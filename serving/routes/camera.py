"""The visitor's camera: what to send, a ticket, and the WebSocket of a session."""

from __future__ import annotations

import logging

from fastapi import APIRouter, WebSocket

from serving.answers import Problem, RefusalError
from serving.camera.messages import INTERNAL, SUBPROTOCOL, TRY_LATER, Camera, CameraTicket, ClosedError, describe
from serving.camera.session import CameraSession, close
from serving.guard import SOCKET_PATH
from serving.running import Parts, Running

log = logging.getLogger(__name__)

router = APIRouter(tags=["Camera"])


@router.get(SOCKET_PATH)
async def camera(parts: Parts) -> Camera | None:
    """What a page should send of a visitor's camera; null where there is no use for one."""
    return describe(parts.served.classifier, parts.settings) if parts.settings.max_cameras else None


@router.post(SOCKET_PATH)
async def camera_ticket(parts: Parts) -> CameraTicket:
    """A ticket for the WebSocket at this path; a page needs one, as it cannot send the key there."""
    if not parts.settings.max_cameras:
        raise RefusalError(404, "no_camera", "This service takes no cameras.", "Send a video file or a link.")
    return CameraTicket(ticket=parts.tickets.issue())


@router.websocket(SOCKET_PATH)
async def camera_session(socket: WebSocket) -> None:
    """Takes frames and answers each, until the client leaves."""
    parts: Running = socket.app.state.running
    offered = socket.scope["subprotocols"]
    await socket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
    try:
        with parts.cameras.admitted():
            await CameraSession(socket, parts.served.classifier, parts.settings, parts.camera_turn).run()
    except RefusalError as full:
        # Only now: a browser hides the status of a WebSocket that was not accepted from its page.
        await close(socket, ClosedError(TRY_LATER, full.problem))
    except Exception:
        log.exception("A camera's session failed.")
        await close(socket, ClosedError(INTERNAL, Problem.internal()))
