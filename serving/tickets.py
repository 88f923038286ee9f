"""Tickets for WebSockets, which no page can give a header of its own.

A ticket is the answer to a call that passed `serving.guard`: it proves the service's own page, behind any proxy, and
the key. A page of another site can neither make that call nor read its answer.
"""

from __future__ import annotations

import hmac
import os
import secrets
import tempfile
import time
from contextlib import suppress
from pathlib import Path

VALID_S = 30
"""Seconds between the call and the WebSocket."""

_FILE = "tickets"
_BYTES = 32


class Tickets:
    """Gives out and checks tickets, those of other workers with the same secret too."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    def shared(cls, folder: Path) -> Tickets:
        """Tickets of all workers that share a private folder."""
        path = folder / _FILE
        if not path.exists():
            with tempfile.NamedTemporaryFile(dir=folder, prefix=f".{_FILE}-") as aside:
                aside.write(secrets.token_bytes(_BYTES))
                aside.flush()
                with suppress(FileExistsError):  # another worker was faster
                    os.link(aside.name, path)
        return cls(path.read_bytes())

    def issue(self) -> str:
        """A new ticket: letters, digits and full stops."""
        body = f"{time.time() + VALID_S:.0f}.{secrets.token_hex(8)}"
        return f"{body}.{self._sign(body)}"

    def accepts(self, ticket: str) -> bool:
        """Whether this is a ticket of ours that is still valid."""
        body, _, signature = ticket.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(body).encode()):
            return False
        return time.time() <= int(body.partition(".")[0])

    def _sign(self, body: str) -> str:
        return hmac.digest(self._secret, body.encode(), "sha256").hex()
