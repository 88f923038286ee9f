"""Which videos a batch is made of: those of a folder, a table's, or those of a store of objects."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
import pyarrow
import pyarrow.csv
import pyarrow.parquet

from actreel.dataset.folder import is_leftover, read_folder
from actreel.errors import ActreelError, listed_names
from actreel.video.endings import is_video
from actreel.youtube.errors import YouTubeError
from actreel.youtube.links import is_link, video_id

COLUMNS = ("source", "path", "url", "link", "video", "file")
"""Names of the column with the videos, in lower case; `--column` names another."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?::[A-Za-z0-9+.-]+:)?//")


def is_url(source: str) -> bool:
    """Whether a source is an address that fsspec reads, such as `s3://bucket/clips`, and no path."""
    return _URL.match(source) is not None


def is_youtube(source: str) -> bool:
    """Whether a source is a link to one video on YouTube; other `https://` addresses are files for fsspec."""
    try:
        video_id(source)
    except YouTubeError:
        return False
    return is_link(source)


def read_items(source: str, column: str | None = None) -> list[str]:
    """The videos of a batch, each once, in a fixed order.

    Args:
        source: A folder, a CSV or Parquet file with one video a row, or the address of either for fsspec (`s3://…`).
        column: The table's column with the videos; one of `COLUMNS` if None.

    Returns:
        Absolute paths, addresses and YouTube links. Relative paths in a table start at the table's folder.

    Raises:
        ActreelError: The source is missing, cannot be read, or names no video.
    """
    try:
        items = _in_table(source, column) if is_table(source) else _in_folder(source)
    except (OSError, ImportError, ValueError, pyarrow.ArrowException) as error:
        # ImportError: fsspec names the package that an address needs; ValueError: an unknown kind of address.
        raise ActreelError(f"The source of a batch must be readable. Received: '{source}'. {error}") from error
    if not items:
        raise ActreelError(f"'{source}' names no video. A batch is a folder of videos, or a CSV or Parquet file.")
    return list(dict.fromkeys(items))


def is_table(source: str) -> bool:
    """Whether a source is a table, by its ending."""
    return source.lower().endswith((".csv", ".parquet"))


def _in_folder(source: str) -> list[str]:
    if is_url(source):
        files, path = fsspec.core.url_to_fs(source)
        names = sorted(files.find(path))
        if not names and not files.exists(path):
            raise FileNotFoundError("There is no such folder.")
        return [files.unstrip_protocol(name) for name in names if _is_wanted(PurePosixPath(name), PurePosixPath(path))]
    folder = Path(source).expanduser().absolute()
    if folder.is_file():
        raise ActreelError(
            f"A batch is a folder of videos, or a CSV or Parquet file. Received: '{source}'. "
            f"For single videos: actreel predict '{source}'"
        )
    contents = read_folder(folder)
    return [str(folder / path) for path in sorted([*contents.loose, *contents.clips])]


def _is_wanted(name: PurePosixPath, below: PurePosixPath) -> bool:
    inner = name.parts[len(below.parts) :] if name.parts[: len(below.parts)] == below.parts else name.parts
    return is_video(name) and not any(map(is_leftover, inner))


def _in_table(source: str, column: str | None) -> list[str]:
    with fsspec.open(source if is_url(source) else str(Path(source).expanduser()), "rb") as file:
        table = _read_csv(file) if source.lower().endswith(".csv") else pyarrow.parquet.read_table(file)
    names = {name.lower(): name for name in reversed(table.column_names)}
    found = column if column in table.column_names else None
    if column is None:
        found = next((names[name] for name in COLUMNS if name in names), None)
    if found is None:
        raise ActreelError(
            f"A table of videos must have the column {column or listed_names(COLUMNS)}. "
            f"Received: '{source}' with {listed_names(table.column_names)}. Name it: --column {table.column_names[0]}"
        )
    values = [str(value).strip() for value in table[found].to_pylist() if value is not None]
    return [_from_table(value, source) for value in values if value]


def _read_csv(file: Any) -> pyarrow.Table:
    # Every column as text: `0123.mp4` is no number, and an empty cell is no video.
    names = pyarrow.csv.open_csv(file).schema.names
    file.seek(0)
    types = dict.fromkeys(names, pyarrow.string())
    return pyarrow.csv.read_csv(file, convert_options=pyarrow.csv.ConvertOptions(column_types=types))


def _from_table(value: str, table: str) -> str:
    if is_url(value) or is_youtube(value):
        return value
    if is_url(table):
        files, path = fsspec.core.url_to_fs(table)
        return str(files.unstrip_protocol(str(PurePosixPath(path).parent / value)))
    return str(Path(table).expanduser().absolute().parent / Path(value).expanduser())
