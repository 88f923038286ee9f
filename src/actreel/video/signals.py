"""Signals of sensors, beside a video or alone: read from a file, checked, and brought to the frames of a clip.

A clip may be such a file and no video: then it has no picture, and its time goes from the first to the last sample.

Such a file may come from a visitor, so nothing in it is believed: size, rows, columns, numbers and times are checked.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actreel.config import SignalSpec
from actreel.errors import SignalError
from actreel.video.endings import SIGNAL_ENDINGS, is_signal
from actreel.video.info import VideoInfo

TIME = "time"
"""The column, or the array, with the seconds since the first picture."""

MOST_BYTES = 16 * 2**20
MOST_ROWS = 500_000
MOST_COLUMNS = 64

_FORM = (
    "Give a header and one row a sample, with the seconds since the first picture in the column 'time': time,ax,ay,az"
)


@dataclass(frozen=True)
class Signal:
    """Samples of sensors.

    Attributes:
        times: float64 (N,), seconds since the first picture, ascending.
        values: float64 (N, C).
        columns: Names of the C channels.
    """

    times: NDArray[np.float64]
    values: NDArray[np.float64]
    columns: tuple[str, ...]


def signal_beside(video: Path) -> Path | None:
    """The file of signals that has a video's name; None if there is none, or the clip is such a file itself."""
    if is_signal(video):
        return None
    return next((file for ending in SIGNAL_ENDINGS if (file := video.with_suffix(ending)).is_file()), None)


def need_signal(clip: Path) -> Path:
    """The file of signals of a clip: beside its video, or the clip itself.

    Raises:
        SignalError: There is none.
    """
    found = clip if is_signal(clip) else signal_beside(clip)
    if found is None:
        names = ", ".join(f"'{clip.with_suffix(ending).name}'" for ending in SIGNAL_ENDINGS)
        raise SignalError(f"This model needs the signals beside a video: {names}. Received: none.")
    return found


def describe_signal(path: Path) -> VideoInfo:
    """What a clip without a picture holds: samples in place of frames, from the first to the last of them.

    Raises:
        SignalError: As for `read_signal`, or it lasts no time.
    """
    times = read_signal(path).times
    duration_s = float(times[-1] - times[0])
    if duration_s <= 0:
        raise SignalError(
            f"Signals without a video must last longer than 0 s. Received: all samples at {times[0]:g} s. Give the "
            f"seconds of each sample in the column '{TIME}'."
        )
    rows = len(times)
    return VideoInfo(
        fps=(rows - 1) / duration_s, num_frames=rows, header_frames=rows, width=0, height=0, duration_s=duration_s,
        codec=path.suffix.lower().removeprefix("."),
    )  # fmt: skip


def read_signal(path: Path) -> Signal:
    """Reads and checks a file of signals.

    `.csv` has a header; `.npz` has the arrays `time` (N,), `values` (N, C) and `columns` (C,); `.parquet` has columns.

    Raises:
        SignalError: It is missing, damaged, too large, or its times or numbers cannot be.
    """
    read = {".csv": _read_csv, ".npz": _read_npz, ".parquet": _read_parquet}[path.suffix.lower()]
    try:
        if path.stat().st_size > MOST_BYTES:
            raise SignalError(f"Signals must have at most {MOST_BYTES / 2**20:g} MB. Received: more. Lower their rate.")
        columns, table = read(path)
    except SignalError:
        raise
    except Exception as error:  # numpy's, zipfile's, zlib's and pyarrow's have no common base
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise SignalError(
            f"Signals must be a table of numbers as {path.suffix}. Received: {reason}. {_FORM}"
        ) from error
    return _checked(columns, table)


def _checked(columns: list[str], table: NDArray[np.float64]) -> Signal:
    if len(set(columns)) < len(columns) or columns.count(TIME) != 1 or not 2 <= len(columns) <= MOST_COLUMNS + 1:
        listed = ", ".join(columns[:5])[:120]
        raise SignalError(
            f"Signals must have a column '{TIME}' and 1 to {MOST_COLUMNS} others of different names. "
            f"Received: {len(columns)} columns ({listed}). {_FORM}"
        )
    if table.shape[1] != len(columns) or not 2 <= len(table) <= MOST_ROWS:
        raise SignalError(
            f"Signals must have 2 to {MOST_ROWS} rows of {len(columns)} numbers. Received: {len(table)} rows of "
            f"{table.shape[1]}. {_FORM}"
        )
    wrong = np.flatnonzero(~np.isfinite(table).all(axis=1))
    if len(wrong):
        raise SignalError(
            f"Signals must be finite numbers. Received: none in row {wrong[0] + 1}. Leave out the rows without them."
        )
    place = columns.index(TIME)
    times = table[:, place]
    back = np.flatnonzero(np.diff(times) < 0)
    if len(back):
        raise SignalError(
            f"The times of signals must not go backwards. Received: {times[back[0] + 1]:g} s after "
            f"{times[back[0]]:g} s, in row {back[0] + 2}. Sort the rows by '{TIME}'."
        )
    return Signal(times, np.delete(table, place, axis=1), tuple(each for each in columns if each != TIME))


def _read_csv(path: Path) -> tuple[list[str], NDArray[np.float64]]:
    with path.open(encoding="utf-8-sig") as file:
        columns = [name.strip().strip('"') for name in file.readline().rstrip("\n").split(",")]
        if len(columns) > MOST_COLUMNS + 1:
            return columns, np.empty((0, len(columns)))
        rows = [row for row in file if row.strip()]
    if not rows:  # numpy would warn
        return columns, np.empty((0, len(columns)))
    return columns, np.loadtxt(rows, delimiter=",", ndmin=2, comments=None, max_rows=MOST_ROWS + 1)


def _read_npz(path: Path) -> tuple[list[str], NDArray[np.float64]]:
    with zipfile.ZipFile(path) as archive:
        _check_numbers(sum(entry.file_size for entry in archive.infolist()) // 8)
    with np.load(path, allow_pickle=False) as arrays:
        times, values = np.asarray(arrays[TIME], np.float64), np.asarray(arrays["values"], np.float64)
        columns = [str(name) for name in arrays["columns"]]
    return [TIME, *columns], np.column_stack([times, values])


def _read_parquet(path: Path) -> tuple[list[str], NDArray[np.float64]]:
    try:
        parquet = import_module("pyarrow.parquet")  # it comes with the pipeline; prediction alone does not need it
    except ImportError as error:
        raise SignalError(
            f"'{path.name}' needs a library that is not installed. Run: pip install pyarrow; or save it as .csv"
        ) from error
    with parquet.ParquetFile(path) as file:
        _check_numbers(file.metadata.num_rows * file.metadata.num_columns)
        table = file.read()
    return table.column_names, np.column_stack([np.asarray(column, dtype=np.float64) for column in table.columns])


def _check_numbers(count: int) -> None:
    """Refuses small files that unpack to large ones before they are unpacked."""
    if count > MOST_BYTES:
        raise SignalError(f"Signals must have at most {MOST_BYTES} numbers. Received: {count}. Lower their rate.")


def signal_parts(clip: Path, spec: SignalSpec, duration_s: float, num_parts: int) -> Iterator[NDArray[np.float32]]:
    """The signals in each of `num_parts` equal parts of a clip.

    A part is cut into `spec.samples` equal pieces; of each, the mean of the straight lines between samples is taken, so
    the rate of the sensor does not matter. Before its first and after its last sample, a signal keeps their values.

    Args:
        clip: The video, or the signals alone, as for `need_signal`.
        spec: Which columns are taken, and how many pieces.
        duration_s: Seconds of the pictures; of signals alone, as `describe_signal` gives them.
        num_parts: Parts.

    Yields:
        float32 (samples * C,), piece by piece.

    Raises:
        SignalError: There are no signals, they cannot be read, lack a column, or lie outside the video's time.
    """
    signal = read_signal(need_signal(clip))
    missing = [name for name in spec.columns if name not in signal.columns]
    if missing:
        raise SignalError(
            f"The signals must have the columns that the model learned from: {', '.join(spec.columns)}. "
            f"Received: none called {', '.join(missing)}."
        )
    times = signal.times - (signal.times[0] if is_signal(clip) else 0)
    values = signal.values[:, [signal.columns.index(name) for name in spec.columns]]
    if times[-1] < 0 or times[0] > duration_s:
        raise SignalError(
            f"Signals must be of the video's time, in seconds since its first picture: 0 to {duration_s:g}. "
            f"Received: {times[0]:g} to {times[-1]:g}."
        )
    pieces = _means(times, values, np.linspace(0, duration_s, num_parts * spec.samples + 1))
    yield from pieces.reshape(num_parts, -1).astype(np.float32)


def _means(times: NDArray[Any], values: NDArray[Any], edges: NDArray[Any]) -> NDArray[Any]:
    """Means between edges, (len(edges) - 1, C), of the lines through samples, which go on level at both ends."""
    knots = np.union1d(times, edges)
    lines = np.stack([np.interp(knots, times, channel) for channel in values.T], axis=1)
    areas = np.diff(knots)[:, np.newaxis] * (lines[1:] + lines[:-1]) / 2
    sums = np.concatenate([np.zeros((1, areas.shape[1])), np.cumsum(areas, axis=0)])
    return np.asarray(np.diff(sums[np.searchsorted(knots, edges)], axis=0) / np.diff(edges)[:, np.newaxis])
