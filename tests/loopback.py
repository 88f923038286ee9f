"""An HTTP server on loopback that behaves as badly as it is told to."""

from __future__ import annotations

import hashlib
import re
import ssl
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SLICE = 4096


class Loopback(ThreadingHTTPServer):
    """Serves `content` at every path.

    Attributes:
        content: The file; change it and its ETag changes.
        breaks: After how many bytes each of the next answers breaks off; none are left, none breaks.
        statuses: What the next answers say in place of 200 or 206; 0 for no such thing.
        knows_ranges: Whether `Range` is heeded.
        validates: Whether ETag and Last-Modified are sent, and `If-Range` is heeded.
        claimed: The length that is claimed, in place of the true one; 0 for none at all.
        stops_at: The byte of the content at which answers stand still, for as long as this is so; None for nowhere.
        redirect: Where every request is sent to.
        sent: Bytes of content that went out, over all answers.
        requests: Headers of all requests.
    """

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.breaks: deque[int] = deque()
        self.statuses: deque[int] = deque()
        self.knows_ranges = True
        self.validates = True
        self.claimed: int | None = None
        self.stops_at: int | None = None
        self.redirect: str | None = None
        self.sent = 0
        self.requests: list[dict[str, str]] = []
        self.scheme = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}/UCF50.rar"

    @property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.content).hexdigest()[:8]}"'

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is no news here."""


class _Handler(BaseHTTPRequestHandler):
    server: Loopback
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        server = self.server
        server.requests.append(dict(self.headers))
        self.close_connection = True
        if server.redirect:
            return self._head(302, {"Location": server.redirect, "Content-Length": "0"})
        status = server.statuses.popleft() if server.statuses else 0
        if status:
            return self._head(status, {"Content-Length": "0", "Retry-After": "0"})
        start, total = 0, len(server.content)
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range", server.etag) == server.etag or not server.validates
        ranged = bool(wanted and server.knows_ranges and same)
        if wanted and ranged:
            start = int(wanted[1])
            if start >= total:
                return self._head(416, {"Content-Range": f"bytes */{total}", "Content-Length": "0"})
        claimed = total if server.claimed is None else server.claimed
        headers = {"ETag": server.etag} if server.validates else {}
        if claimed:
            headers["Content-Length"] = str(claimed - start)
        if ranged:
            headers["Content-Range"] = f"bytes {start}-{claimed - 1}/{claimed}"
        self._head(206 if ranged else 200, headers)
        left = server.breaks.popleft() if server.breaks else total
        content = server.content
        while body and start < total and left > 0:
            while server.stops_at is not None and start >= server.stops_at:
                time.sleep(0.01)
            piece = content[start : start + min(SLICE, left)]
            server.sent += len(piece)  # before the client can have it all and look
            try:
                self.wfile.write(piece)
            except OSError:
                return None
            start += len(piece)
            left -= len(piece)
        return None

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(content: bytes, context: ssl.SSLContext | None = None) -> Iterator[Loopback]:
    """Serves for as long as the context is open; over TLS where a TLS context is given."""
    with Loopback(content) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            server.scheme = "https"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
