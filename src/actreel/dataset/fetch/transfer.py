"""One HTTP request of a download: asks for the missing bytes and appends them to the partial file.

A range request continues from the last byte; `If-Range` and the validators (ETag, Last-Modified; RFC 9110 section
13.1.5) make sure that the file is still the same.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from ssl import SSLContext
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from actreel.dataset.fetch.certificates import completing_context, lacks_issuer, verifying_context
from actreel.dataset.fetch.partial import PartialFile, RemoteFile
from actreel.errors import FetchError

PIECE = 1 << 18
TIMEOUTS_S = (15, 60)
"""Seconds to connect, and between two pieces."""

_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})


class TransferError(Exception):
    """A failure that a retry may overcome.

    Attributes:
        pause_s: Seconds that the server asks to wait.
    """

    def __init__(self, reason: str, pause_s: float = 0) -> None:
        super().__init__(reason)
        self.pause_s = pause_s


class _VerifyingAdapter(HTTPAdapter):
    """Requests with our TLS settings: roots of the machine and of certifi, verification on."""

    def __init__(self, context: SSLContext, *, chain_completed: bool = False) -> None:
        self.chain_completed = chain_completed
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        return super().proxy_manager_for(proxy, **kwargs, ssl_context=self._context)


def open_session() -> requests.Session:
    """A session that verifies certificates with the TLS settings of `certificates`."""
    session = requests.Session()
    session.mount("https://", _VerifyingAdapter(verifying_context()))
    return session


def transfer(
    session: requests.Session, url: str, part: PartialFile, size: int | None, arrived: Callable[[int], object]
) -> None:
    """Makes one request for the missing bytes; returns when the partial file is complete.

    Args:
        session: From `open_session`.
        url: http or https.
        part: The bytes so far; new ones are appended.
        size: The expected size of the whole file in bytes, if known.
        arrived: Called with the number of new bytes, piece by piece.

    Raises:
        TransferError: The request failed in a way that a retry may overcome.
        FetchError: The server refuses, or its file is not the expected one.
    """
    have, known = part.size, part.remote
    wanted = size if size is not None else known.total if known else None
    if have == wanted:
        return
    if wanted is not None and have > wanted:
        raise part.other_file(url, f"{wanted:,} bytes", f"{have:,} bytes so far")
    with _request(session, url, have, known) as answer:
        remote = _remote_file(answer, url, part, size)
        if size is not None and remote.total != size:
            raise part.other_file(url, f"{size:,} bytes", f"{remote.total:,} bytes")
        change = remote.difference_from(known) if known else None
        if change:
            raise part.other_file(url, "one file from first to last", change)
        if have == remote.total:
            return  # complete, but its size was unknown until now
        if have > remote.total:
            raise part.other_file(url, f"{remote.total:,} bytes", f"{have:,} bytes so far")
        if not have:
            _make_room(part, remote.total)
        if not have or known is None or known.url != url:
            part.write_note(remote)
        # A server without range support sends the file from its start: the bytes that we have are skipped.
        _append(answer, part, skip=have if answer.status_code == 200 else 0, total=remote.total, arrived=arrived)


def _make_room(part: PartialFile, total: int) -> None:
    folder = part.path.parent
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < total:
        raise FetchError(
            f"the disk must have room for {total:,} bytes. Received: {free:,} free at '{folder}'. Free some space, or "
            f"replace '{folder}' by a link to a folder on a larger disk."
        )


def _request(session: requests.Session, url: str, have: int, known: RemoteFile | None) -> requests.Response:
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if known and known.url == url:
            strong = known.etag if known.etag and not known.etag.startswith("W/") else None
            validator = strong or known.last_modified
            if validator:
                headers["If-Range"] = validator
    try:
        return session.get(url, headers=headers, stream=True, timeout=TIMEOUTS_S)
    except requests.exceptions.SSLError as error:
        if not lacks_issuer(error):
            raise FetchError(f"the server's certificate must be valid. Received: {error}") from error
        adapter = session.get_adapter(url)
        if isinstance(adapter, _VerifyingAdapter) and adapter.chain_completed:
            raise FetchError(
                f"the server's certificate must lead to a root that this machine trusts. Received: {error}"
            ) from error
        session.mount("https://", _VerifyingAdapter(completing_context(url), chain_completed=True))
        return _request(session, url, have, known)
    except (requests.ConnectionError, requests.Timeout) as error:
        raise TransferError(f"no answer: {error}") from error
    except requests.RequestException as error:
        raise FetchError(f"the file's address must be an http or https URL. Received: {url}: {error}") from error


def _remote_file(answer: requests.Response, url: str, part: PartialFile, size: int | None) -> RemoteFile:
    """The file that the answer is about."""
    have = part.size
    if url.startswith("https:") and not answer.url.startswith("https:"):
        raise FetchError(f"an https address must not redirect to an unsafe one. Received: {answer.url}, from {url}.")
    if answer.status_code in _TEMPORARY:
        after = answer.headers.get("Retry-After", "")
        raise TransferError(f"HTTP {answer.status_code}", float(after) if after.isdecimal() else 0)
    total: int | None = None
    if answer.status_code in (206, 416):
        span = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+)", answer.headers.get("Content-Range", ""))
        if span is None or (answer.status_code == 206 and int(span[1] or -1) != have):
            raise FetchError(
                f"the server must send the requested range, from byte {have:,} on. Received: {answer.status_code} with "
                f"Content-Range '{answer.headers.get('Content-Range')}', from {url}. {part.advice.mirror}"
            )
        total = int(span[2])
    elif answer.status_code == 200:
        length = answer.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else size
    else:
        raise FetchError(
            f"the file must be at its address. Received: HTTP {answer.status_code} from {url}. {part.advice.mirror}"
        )
    if total is None:
        raise FetchError(f"the server must send the size of its file. Received: no Content-Length, from {url}.")
    return RemoteFile(url, total, answer.headers.get("ETag"), answer.headers.get("Last-Modified"))


def _append(
    answer: requests.Response, part: PartialFile, *, skip: int, total: int, arrived: Callable[[int], object]
) -> None:
    have = part.size
    with part.path.open("ab") as file:
        while have < total:
            try:
                # Reads what is available instead of a full piece: a kill loses only the bytes on the wire.
                piece = answer.raw.read1(PIECE, decode_content=False)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise TransferError(str(error)) from error
            if not piece:
                raise TransferError(f"the connection ended {total - have:,} bytes early")
            skipped = min(skip, len(piece))
            skip -= skipped
            kept = piece[skipped:]
            file.write(kept)
            file.flush()
            have += len(kept)
            arrived(len(kept))
