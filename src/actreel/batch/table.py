"""The answers of a batch: partitioned Parquet, one folder a model version, in files that are written whole.

    OUT/model=3f0c…/part-00000.parquet     one row a video
    OUT/_failed/model=3f0c….parquet        videos that failed, each with the reason

Readers of Parquet pass over names that start with `_`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet

from actreel.base.atomic import written_aside
from actreel.batch.items import is_url
from actreel.batch.job import Outcome
from actreel.errors import FileError, listed_names

_SCORED = pa.struct([("label", pa.string()), ("confidence", pa.float64())])
_SEGMENT = pa.struct(
    [("start_s", pa.float64()), ("end_s", pa.float64()), *_SCORED, ("known", pa.bool_())],
)
ANSWERS = pa.schema(
    [
        ("source", pa.string()),
        ("sha256", pa.string()),
        ("label", pa.string()),
        ("confidence", pa.float64()),
        ("known", pa.bool_()),
        ("top", pa.list_(_SCORED)),
        ("segments", pa.list_(_SEGMENT)),
        ("duration_s", pa.float64()),
        ("fps", pa.float64()),
        ("num_frames", pa.int64()),
        ("width", pa.int64()),
        ("height", pa.int64()),
        ("codec", pa.string()),
    ]
)
"""One row a video: the answer as `actreel predict --json` gives it; seconds, pixels, confidences in [0, 1]."""

FAILURES = pa.schema(
    [("source", pa.string()), ("sha256", pa.string()), ("reason", pa.string()), ("permanent", pa.bool_())]
)


class Place:
    """A folder, or an address of one for fsspec, whose files are written whole or not at all."""

    def __init__(self, out: str) -> None:
        self._local = None if is_url(out) else Path(out).expanduser()
        self._files: Any = None
        self._root = ""
        if self._local is None:
            self._files, self._root = fsspec.core.url_to_fs(out)

    @property
    def local(self) -> Path | None:
        """The folder; None for an address."""
        return self._local

    def names(self, folder: str) -> list[str]:
        """The Parquet files in one of its folders, sorted, as paths below it."""
        if self._local is not None:
            names = [path.name for path in (self._local / folder).glob("*.parquet") if not path.name.startswith(".")]
        else:
            found = self._files.glob(posixpath.join(self._root, folder, "*.parquet"))
            names = [posixpath.basename(path) for path in found]
        return [posixpath.join(folder, name) for name in sorted(names)]

    def folders(self, prefix: str) -> list[str]:
        """Its folders whose names begin so, sorted."""
        if self._local is not None:
            return sorted(path.name for path in self._local.glob(f"{prefix}*") if path.is_dir())
        return sorted(posixpath.basename(path) for path in self._files.glob(posixpath.join(self._root, f"{prefix}*")))

    def read(self, name: str) -> bytes | None:
        """A file's content; None if there is no such file."""
        try:
            if self._local is not None:
                return (self._local / name).read_bytes()
            return bytes(self._files.cat_file(posixpath.join(self._root, name)))
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Replaces a file. Stores of objects do so in one step."""
        if self._local is not None:
            with written_aside(self._local / name) as aside:
                aside.write_bytes(content)
        else:
            self._files.makedirs(posixpath.dirname(posixpath.join(self._root, name)), exist_ok=True)
            self._files.pipe_file(posixpath.join(self._root, name), content)

    def remove(self, name: str) -> None:
        """Removes a file."""
        if self._local is not None:
            (self._local / name).unlink()
        else:
            self._files.rm_file(posixpath.join(self._root, name))


def read_answers(out: str, columns: list[str]) -> Iterator[dict[str, Any]]:
    """The rows of a table of answers, file by file.

    Args:
        out: The folder or address of the table; with answers of several model versions, that of one of them.
        columns: What to read.

    Raises:
        FileError: There are no answers, those of several model versions, or a file is damaged.
    """
    place, own = Place(out), posixpath.basename(out.rstrip("/")).startswith("model=")
    folders = [""] if own else place.folders("model=")
    if len(folders) > 1:
        raise FileError(
            f"'{out}' holds the answers of {len(folders)} model versions. Name one of them: "
            f"{listed_names([posixpath.join(out, folder) for folder in folders])}."
        )
    names = [name for folder in folders for name in place.names(folder)]
    if not names:
        raise FileError(f"'{out}' holds no answers of a batch. Make them: actreel batch SOURCE '{out}'")
    for name in names:
        yield from _rows(place, name, columns)


class Answers:
    """The answers of one model version. New ones are held until `flush`.

    A source has one row, of its content when it was last seen.
    """

    def __init__(self, place: Place, version: str, metadata: Mapping[str, str]) -> None:
        """Reads which videos have an answer.

        Args:
            place: Where the table is.
            version: The model version.
            metadata: About the model; stands in the metadata of each file.

        Raises:
            FileError: A file is damaged.
        """
        self._place, self._folder = place, f"model={version}"
        self._schema = ANSWERS.with_metadata(dict(metadata))
        self._part_of: dict[str, str] = {}
        self._sha_of: dict[str, bytes] = {}
        self._source_of: dict[bytes, str] = {}
        self._new: dict[str, dict[str, Any]] = {}
        self._outdated: dict[str, set[str]] = {}
        self._next = 0
        for name in place.names(self._folder):
            self._next = max(self._next, _number(name) + 1)
            for row in _rows(place, name, ["source", "sha256"]):
                # Of a run that was killed between writing the new row and removing the old one, the new row stays.
                self._keep(row["source"], bytes.fromhex(row["sha256"]), name)

    def __len__(self) -> int:
        return len(self._sha_of)

    @property
    def contents(self) -> Iterable[bytes]:
        """The sha256 of each content with an answer."""
        return self._sha_of.values()

    @property
    def num_held(self) -> int:
        """Answers that are not on the disk yet."""
        return len(self._new)

    def sha256_of(self, source: str) -> str | None:
        """The content of a source when it was answered; None if it has no answer."""
        known = self._sha_of.get(source)
        return None if known is None else known.hex()

    def add(self, source: str, sha256: str, row: Mapping[str, Any]) -> None:
        """Holds a new answer."""
        self._keep(source, bytes.fromhex(sha256), None)
        self._new[source] = {**row, "source": source, "sha256": sha256}

    def copy(self, source: str, sha256: str) -> bool:
        """Gives a source the answer of another one of the same content; False if there is none."""
        if self.sha256_of(source) == sha256:
            return True
        twin = self._source_of.get(bytes.fromhex(sha256))
        if twin is None:
            return False
        self.add(source, sha256, self._row(twin))
        return True

    def discard(self, source: str) -> None:
        """Forgets the answer of a source whose content has changed and can no longer be answered."""
        if source in self._sha_of:
            self._forget(source)
            del self._sha_of[source]
            self._new.pop(source, None)

    def flush(self) -> None:
        """Writes what is held, then removes the rows that it replaces."""
        if self._new:
            name = posixpath.join(self._folder, f"part-{self._next:05d}.parquet")
            self._place.write(name, _parquet([self._new[source] for source in sorted(self._new)], self._schema))
            self._next += 1
            self._part_of.update(dict.fromkeys(self._new, name))
            self._new.clear()
        for name, gone in self._outdated.items():
            kept = [row for row in _rows(self._place, name) if row["source"] not in gone]
            if kept:
                self._place.write(name, _parquet(kept, self._schema))
            else:
                self._place.remove(name)
        self._outdated.clear()

    def _keep(self, source: str, sha256: bytes, part: str | None) -> None:
        self._forget(source)
        self._sha_of[source] = sha256
        self._source_of.setdefault(sha256, source)
        if part is not None:
            self._part_of[source] = part

    def _forget(self, source: str) -> None:
        """Marks the row of a source as outdated, if it has one."""
        before = self._part_of.pop(source, None)
        if before is not None:
            self._outdated.setdefault(before, set()).add(source)
        old = self._sha_of.get(source)
        if old is not None and self._source_of.get(old) == source:
            del self._source_of[old]

    def _row(self, source: str) -> dict[str, Any]:
        if source in self._new:
            return self._new[source]
        return next(row for row in _rows(self._place, self._part_of[source]) if row["source"] == source)


class Failures:
    """The videos that a model version could not answer, each with the reason."""

    def __init__(self, place: Place, version: str) -> None:
        """Reads the failures so far.

        Raises:
            FileError: The file is damaged.
        """
        self._place, self._name = place, f"_failed/model={version}.parquet"
        self._rows = {row["source"]: row for row in _rows(place, self._name)}
        self._changed = False

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def contents(self) -> Iterator[bytes]:
        """The sha256 of each content that would fail again."""
        return (bytes.fromhex(row["sha256"]) for row in self._rows.values() if row["permanent"] and row["sha256"])

    def reason_of(self, sha256: str) -> str | None:
        """Why this content would fail again; None if it is not known to."""
        rows = (row for row in self._rows.values() if row["permanent"] and row["sha256"] == sha256)
        return next((str(row["reason"]) for row in rows), None)

    def add(self, outcome: Outcome) -> None:
        """Holds a failure."""
        self._rows[outcome.source] = {
            "source": outcome.source,
            "sha256": outcome.sha256,
            "reason": outcome.failure,
            "permanent": outcome.permanent,
        }
        self._changed = True

    def discard(self, source: str) -> None:
        """Forgets the failure of a source that has an answer now."""
        self._changed |= self._rows.pop(source, None) is not None

    def flush(self) -> None:
        """Writes the failures."""
        if self._changed:
            self._place.write(self._name, _parquet([self._rows[each] for each in sorted(self._rows)], FAILURES))
            self._changed = False


def _number(name: str) -> int:
    digits = posixpath.basename(name).removeprefix("part-").removesuffix(".parquet")
    return int(digits) if digits.isdecimal() else -1


def _rows(place: Place, name: str, columns: list[str] | None = None) -> list[dict[str, Any]]:
    content = place.read(name)
    if content is None:
        return []
    try:
        return list(pyarrow.parquet.read_table(BytesIO(content), columns=columns).to_pylist())
    except pa.ArrowException as error:
        raise FileError(
            f"'{name}' of the batch is damaged: {error}. Delete it and run the same command again: "
            "its videos are recognised again."
        ) from error


def _parquet(rows: list[dict[str, Any]], schema: pa.Schema) -> bytes:
    content = BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows, schema), content)
    return content.getvalue()
