"""Shards: the arrays of some clips in one .npy file, which is whole or not there.

Until all of its clips are done, their arrays lie one after the other in a file beside it, each with a checksum: work
that is interrupted loses the clip at hand only.
"""

from __future__ import annotations

import io
import logging
import mmap
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actreel.base.atomic import written_aside
from actreel.base.faults import naming
from actreel.base.kept_warnings import REPAIRED

log = logging.getLogger(__name__)

_RECORD = struct.Struct(">QI")
"""What precedes an array in an unfinished shard: its length in bytes as .npy, and the checksum of these bytes."""


def write_shard(shard: Path, arrays: Iterable[NDArray[Any]], num_clips: int) -> int:
    """Writes the arrays that are still missing, then the shard.

    Args:
        shard: The file.
        arrays: Those after the first `finished_arrays(shard)`, all of one shape and dtype.
        num_clips: Arrays in the whole shard.

    Returns:
        The shard's checksum.
    """
    unfinished = _unfinished(shard)
    with naming(shard), unfinished.open("ab") as file:
        for array in arrays:
            np.save(content := io.BytesIO(), array, allow_pickle=False)
            file.write(_RECORD.pack(content.tell(), zlib.crc32(content.getbuffer())))
            file.write(content.getbuffer())
            file.flush()
    with written_aside(shard) as aside:
        with aside.open("wb") as file:
            for position, (array, _) in enumerate(_finished(unfinished)):
                if position == 0:
                    shape, kind = (num_clips, *array.shape), np.lib.format.dtype_to_descr(array.dtype)
                    header = {"shape": shape, "fortran_order": False, "descr": kind}
                    np.lib.format.write_array_header_1_0(file, header)
                file.write(np.ascontiguousarray(array).data)
        whole = _checksum(aside)
    unfinished.unlink()
    return whole


def finished_arrays(shard: Path) -> int:
    """How many arrays of an unfinished shard are done; what a killed process wrote after them is cut off."""
    unfinished = _unfinished(shard)
    if not unfinished.exists():
        return 0
    ends = [end for _, end in _finished(unfinished)]
    with unfinished.open("r+b") as file:
        file.truncate(ends[-1] if ends else 0)
    return len(ends)


def open_shard(shard: Path, num_clips: int) -> NDArray[Any]:
    """Opens a shard as a memory map, (num_clips, ...).

    Raises:
        OSError: The file is missing.
        EOFError: It is empty.
        ValueError: It is cut off, or holds another number of clips.
    """
    arrays: NDArray[Any] = np.load(shard, mmap_mode="r")
    if len(arrays) != num_clips:
        raise ValueError(f"{len(arrays)} clips in place of {num_clips}")
    return arrays


def release(arrays: NDArray[Any]) -> None:
    """Gives back the memory that reading a shard took, which would grow to its whole size; it can be read again.

    Args:
        arrays: As `open_shard` returns them.
    """
    if isinstance(arrays.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):  # Windows has none
        arrays.base.madvise(mmap.MADV_DONTNEED)


def intact(shard: Path, num_clips: int, expected: int | None) -> int | None:
    """A shard's checksum; None if it is missing, or damaged, which is told."""
    if not shard.exists():
        return None
    try:
        open_shard(shard, num_clips)
        checksum = _checksum(shard)
    except (ValueError, EOFError):
        checksum = None
    if checksum is None or expected not in (None, checksum):
        log.warning(f"'{shard}' is damaged and is made again", extra=REPAIRED)
        return None
    return checksum


def _unfinished(shard: Path) -> Path:
    return shard.with_suffix(".unfinished")


def _finished(unfinished: Path) -> Iterator[tuple[NDArray[Any], int]]:
    """Each array that was written whole, and where its record ends."""
    with unfinished.open("rb") as file:
        while len(record := file.read(_RECORD.size)) == _RECORD.size:
            length, checksum = _RECORD.unpack(record)
            content = file.read(min(length, unfinished.stat().st_size))  # a damaged length may be huge
            if not length or len(content) != length or zlib.crc32(content) != checksum:
                return
            yield np.load(io.BytesIO(content), allow_pickle=False), file.tell()


def _checksum(file: Path) -> int:
    checksum = 0
    with file.open("rb") as content:
        while block := content.read(2**20):
            checksum = zlib.crc32(block, checksum)
    return checksum
