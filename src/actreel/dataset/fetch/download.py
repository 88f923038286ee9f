"""Downloads a large file over a network that fails: what has arrived is never asked for again.

Beside the target lie, until it is complete, `.<name>.part` (the bytes so far) and `.<name>.part.json` (which file they
belong to). A transfer goes on with an HTTP range request from the last byte; `If-Range` and the validators (ETag,
Last-Modified; RFC 9110 section 13.1.5) make sure that it is still the same file.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from ssl import SSLContext
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from tqdm import tqdm

from actreel.dataset.fetch.certificates import completing_context, lacks_issuer, verifying_context
from actreel.dataset.lock import exclusive_lock
from actreel.errors import FetchError

PIECE = 1 << 18
TIMEOUTS_S = (15, 60)
MOST_FAILURES = 8
"""Attempts in a row that bring no byte before the transfer is given up."""
LONGEST_PAUSE_S = 60.0

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})

log = logging.getLogger(__name__)


def download(
    url: str, target: Path, *, size: int | None = None, md5: str | None = None, first_pause_s: float = 1.0
) -> None:
    """Fetches a file, going on where an earlier attempt stopped; does nothing if it is there already.

    Args:
        url: http or https.
        target: The file; it appears only when it is complete and checked.
        size: Bytes that it must have, if known.
        md5: What its content must hash to, if known.
        first_pause_s: Seconds before the second attempt; they double with every failure in a row.

    Raises:
        FetchError: The server refuses, the file is not the one expected, or no byte came in many attempts. What has
            arrived is kept.
    """
    with exclusive_lock(target.with_name(f".{target.name}.lock")):
        if not target.exists():
            part = _Part(target.with_name(f".{target.name}.part"))
            _transfer_all(url, part, size, first_pause_s)
            _check(part.path, size, md5, url)
            part.path.replace(target)
            part.notes.unlink(missing_ok=True)
        else:
            _check(target, size, md5, url)


def adopt(file: Path, target: Path, *, size: int | None = None, md5: str | None = None) -> None:
    """Takes a file that the user has in place of a download: by link, never by copy.

    Args:
        file: The user's file.
        target: Becomes a hard link to it, or a symbolic one on another file system.
        size: Bytes that it must have, if known.
        md5: What its content must hash to, if known.

    Raises:
        FetchError: The file is missing or is not the one expected.
    """
    if not file.is_file():
        raise FetchError(f"what is adopted must be a file. Received: '{file}'")
    _check(file, size, md5, str(file))
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and target.samefile(file):
        return
    aside = target.with_name(f".{target.name}.link")
    aside.unlink(missing_ok=True)
    try:
        os.link(file.resolve(), aside)
    except OSError:
        aside.symlink_to(file.resolve())
        log.warning(f"'{target}' only points to '{file.resolve()}', on another file system: keep that file")
    aside.replace(target)


@dataclass(frozen=True)
class _Remote:
    """Which file a server offers."""

    url: str
    total: int
    etag: str | None
    last_modified: str | None

    def differs_from(self, other: _Remote) -> str | None:
        """How this file is another than `other`, or None. A mirror's validators are its own: only sizes count."""
        if self.total != other.total:
            return f"{other.total:,} bytes, then {self.total:,} bytes"
        if self.url == other.url:
            for name in ("etag", "last_modified"):
                before, now = getattr(other, name), getattr(self, name)
                if before and now and before != now:
                    return f"{name.replace('_', '-')} {before}, then {now}"
        return None


class _Part:
    """The bytes that have arrived, and which file they belong to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes = path.with_name(f"{path.name}.json")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def remote(self) -> _Remote | None:
        try:
            return _Remote(**json.loads(self.notes.read_text(encoding="utf-8"))) if self.size else None
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def note(self, remote: _Remote) -> None:
        aside = self.notes.with_name(f"{self.notes.name}.new")
        aside.write_text(json.dumps(asdict(remote)), encoding="utf-8")
        aside.replace(self.notes)


class _TransferError(Exception):
    """A failure that may pass."""

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


def _transfer_all(url: str, part: _Part, size: int | None, first_pause_s: float) -> None:
    failures = 0
    with (
        requests.Session() as session,
        tqdm(
            desc=url.rpartition("/")[2] or url,
            total=size,
            initial=part.size,
            unit="B",
            unit_scale=True,
            mininterval=0.5,
        ) as bar,
    ):
        session.mount("https://", _VerifyingAdapter(verifying_context()))
        while True:
            before = part.size
            try:
                _transfer(session, url, part, size, bar.update)
                return
            except _TransferError as error:
                failures = 0 if part.size > before else failures + 1
                if failures >= MOST_FAILURES:
                    raise FetchError(
                        f"a transfer must get on. Received: {error}, {failures} times in a row, from {url}. "
                        f"{part.size:,} bytes are kept in '{part.path}'. Run the same command again to go on, "
                        "or name a mirror."
                    ) from error
                pause = max(error.pause_s, first_pause_s * 2 ** max(0, failures - 1))
                log.warning(f"transfer interrupted at {part.size:,} bytes ({error}); going on")
                time.sleep(min(pause, LONGEST_PAUSE_S))


def _transfer(
    session: requests.Session, url: str, part: _Part, size: int | None, arrived: Callable[[int], object]
) -> None:
    """One request: returns when the part is complete."""
    have, known = part.size, part.remote
    wanted = size if size is not None else known.total if known else None
    if have == wanted:
        return
    if wanted is not None and have > wanted:
        raise _another_file(url, part, f"{wanted:,} bytes", f"{have:,} bytes so far")
    with _request(session, url, have, known) as answer:
        remote = _described(answer, url, have, size)
        if size is not None and remote.total != size:
            raise _another_file(url, part, f"{size:,} bytes", f"{remote.total:,} bytes")
        change = remote.differs_from(known) if known else None
        if change:
            raise _another_file(url, part, "one file from first to last", change)
        if have == remote.total:
            return  # complete, though nobody had told us the size
        if have > remote.total:
            raise _another_file(url, part, f"{remote.total:,} bytes", f"{have:,} bytes so far")
        if not have:
            part.path.parent.mkdir(parents=True, exist_ok=True)
            room = shutil.disk_usage(part.path.parent).free
            if room < remote.total:
                raise FetchError(
                    f"the disk must have room for {remote.total:,} bytes. Received: {room:,} free at "
                    f"'{part.path.parent}'. Free some, or put a link to a larger disk there."
                )
        if not have or known is None or known.url != url:
            part.note(remote)
        # A server that knows no ranges sends the file from its start: what we have is passed over, not lost.
        _append(answer, part, skip=have if answer.status_code == 200 else 0, total=remote.total, arrived=arrived)


def _request(session: requests.Session, url: str, have: int, known: _Remote | None) -> requests.Response:
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if known and known.url == url:
            strong = known.etag if known.etag and not known.etag.startswith("W/") else None
            validator = strong or known.last_modified
            if validator:
                headers["If-Range"] = validator
    try:
        answer = session.get(url, headers=headers, stream=True, timeout=TIMEOUTS_S)
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
        raise _TransferError(f"no answer: {error}") from error
    except requests.RequestException as error:
        raise FetchError(f"the archive's address must be one that can be fetched. Received: {url}: {error}") from error
    return answer


def _described(answer: requests.Response, url: str, have: int, size: int | None) -> _Remote:
    """What the answer is about."""
    if url.startswith("https:") and not answer.url.startswith("https:"):
        raise FetchError(f"an https address must not lead to an unsafe one. Received: {answer.url}, from {url}.")
    if answer.status_code in _PASSING:
        after = answer.headers.get("Retry-After", "")
        raise _TransferError(f"HTTP {answer.status_code}", float(after) if after.isdecimal() else 0)
    total: int | None = None
    if answer.status_code in (206, 416):
        span = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+)", answer.headers.get("Content-Range", ""))
        if span is None or (answer.status_code == 206 and int(span[1] or -1) != have):
            raise FetchError(
                f"a server must send the range that it is asked for. Received: {answer.status_code} with "
                f"'{answer.headers.get('Content-Range')}' for bytes from {have:,}, from {url}. Name a mirror."
            )
        total = int(span[2])
    elif answer.status_code == 200:
        length = answer.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else size
    else:
        raise FetchError(f"the archive must be at its address. Received: HTTP {answer.status_code} from {url}.")
    if total is None:
        raise FetchError(f"a server must say how large its file is. Received: no Content-Length, from {url}.")
    return _Remote(url, total, answer.headers.get("ETag"), answer.headers.get("Last-Modified"))


def _append(answer: requests.Response, part: _Part, *, skip: int, total: int, arrived: Callable[[int], object]) -> None:
    have = part.size
    with part.path.open("ab") as file:
        while have < total:
            try:
                # What is there at once, not a full piece: a kill loses no more than what is on the wire.
                piece = answer.raw.read1(PIECE, decode_content=False)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise _TransferError(str(error)) from error
            if not piece:
                raise _TransferError(f"the connection ended {total - have:,} bytes early")
            passed_over = min(skip, len(piece))
            skip -= passed_over
            kept = piece[passed_over:]
            file.write(kept)
            file.flush()
            have += len(kept)
            arrived(len(kept))


def _another_file(url: str, part: _Part, expected: str, received: str) -> FetchError:
    return FetchError(
        f"the file must be {expected}. Received: {received}, at {url}. The {part.size:,} bytes so far are kept in "
        f"'{part.path}'. Name a mirror; or if the file was renewed and you trust it, remove that part and mend the "
        "size and md5 in data.dvc."
    )


def _check(path: Path, size: int | None, md5: str | None, source: str) -> None:
    found = path.stat().st_size
    if size is not None and found != size:
        raise FetchError(
            f"the file must have {size:,} bytes. Received: {found:,} in '{path}', from {source}. It is kept; remove it "
            "to fetch it anew."
        )
    if md5 is not None:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if digest != md5:
            raise FetchError(
                f"the file's md5 must be {md5}. Received: {digest} in '{path}', from {source}. It is kept; remove it "
                "to fetch it anew."
            )
