"""A download in progress: the bytes received so far, and a note on the remote file that they belong to."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from actreel.base.atomic import written_aside
from actreel.errors import FetchError


@dataclass(frozen=True)
class RemoteFile:
    """Identifies the file that a server offers.

    Attributes:
        url: Its address.
        total: Its size in bytes.
        etag: The ETag header, if sent.
        last_modified: The Last-Modified header, if sent.
    """

    url: str
    total: int
    etag: str | None
    last_modified: str | None

    def difference_from(self, other: RemoteFile) -> str | None:
        """How this file differs from `other`, or None. Validators of a mirror are its own: only sizes are compared."""
        if self.total != other.total:
            return f"{other.total:,} bytes, then {self.total:,} bytes"
        if self.url == other.url:
            for name in ("etag", "last_modified"):
                before, now = getattr(other, name), getattr(self, name)
                if before and now and before != now:
                    return f"{name.replace('_', '-')} {before}, then {now}"
        return None


@dataclass(frozen=True)
class Advice:
    """What a user can do about a download that fails.

    Attributes:
        mirror: How another address is tried, a sentence.
        trust: What must be corrected for a new file, after "if you trust it, ".
    """

    mirror: str
    trust: str


UCF50 = Advice("Try a mirror: make ucf50 URL=https://…", "correct size and md5 in data.dvc")


class PartialFile:
    """The bytes received so far, in `.<name>.part` next to the target; the note is in `.<name>.part.json`.

    Attributes:
        path: The file with the bytes.
        note: The file with the note.
        advice: For errors.
    """

    def __init__(self, target: Path, advice: Advice = UCF50) -> None:
        self.advice = advice
        self.path = target.with_name(f".{target.name}.part")
        self.note = self.path.with_name(f"{self.path.name}.json")

    @property
    def size(self) -> int:
        """Bytes received so far."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def remote(self) -> RemoteFile | None:
        """The remote file that the bytes belong to; None if there are no bytes or the note is lost."""
        try:
            return RemoteFile(**json.loads(self.note.read_text(encoding="utf-8"))) if self.size else None
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def write_note(self, remote: RemoteFile) -> None:
        """Notes the remote file that the bytes belong to."""
        with written_aside(self.note) as aside:
            aside.write_text(json.dumps(asdict(remote)), encoding="utf-8")

    def other_file(self, url: str, expected: str, received: str) -> FetchError:
        """The error for a server whose file is not the one that these bytes belong to."""
        return FetchError(
            f"the file must be {expected}. Received: {received}, at {url}. The {self.size:,} bytes so far are kept in "
            f"'{self.path}'. {self.advice.mirror} Or, if you trust the new file, delete '{self.path}' and "
            f"{self.advice.trust}."
        )
