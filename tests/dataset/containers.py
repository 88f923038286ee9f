"""Real video files with something odd in their containers, patched in by hand: no encoder here writes such files."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path


def claim_frames(avi: Path, num_frames: int) -> Path:
    """Lets an AVI's headers claim another number of frames: dwTotalFrames of `avih`, dwLength of `strh`."""
    data = bytearray(avi.read_bytes())
    struct.pack_into("<I", data, data.index(b"avih") + 8 + 16, num_frames)
    struct.pack_into("<I", data, data.index(b"strh") + 8 + 32, num_frames)
    avi.write_bytes(data)
    return avi


def turn(mp4: Path, degrees: int) -> Path:
    """Lets an MP4 say that its picture is to be turned clockwise, as telephones do: the matrix of `tkhd`, version 0."""
    data = bytearray(mp4.read_bytes())
    cosine, sine = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    matrix = (cosine << 16, sine << 16, 0, -sine << 16, cosine << 16, 0, 0, 0, 1 << 30)
    struct.pack_into(">9i", data, data.index(b"tkhd") + 44, *matrix)
    mp4.write_bytes(data)
    return mp4


def show_frames_for(mp4: Path, durations_ms: list[int]) -> Path:
    """Gives each frame of an MP4 its own duration: a longer `stts`, which moves nothing where `moov` stands last."""
    data = bytearray(mp4.read_bytes())
    if data.index(b"moov") < data.index(b"mdat"):
        raise ValueError("moov must stand behind mdat")
    (scale,) = struct.unpack_from(">I", data, data.index(b"mdhd") + 16)
    ticks = [duration * scale // 1000 for duration in durations_ms]
    struct.pack_into(">I", data, data.index(b"mdhd") + 20, sum(ticks))
    struct.pack_into(">I", data, data.index(b"elst") + 12, sum(durations_ms))
    start = data.index(b"stts") - 4
    (old_size,) = struct.unpack_from(">I", data, start)
    body = struct.pack(">4sII", b"stts", 0, len(ticks)) + b"".join(struct.pack(">II", 1, tick) for tick in ticks)
    data[start : start + old_size] = struct.pack(">I", len(body) + 4) + body
    for box in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        place = data.index(box) - 4
        (size,) = struct.unpack_from(">I", data, place)
        struct.pack_into(">I", data, place, size + len(body) + 4 - old_size)
    mp4.write_bytes(data)
    return mp4


def show_frames_at(matroska: Path, times_ms: list[int]) -> Path:
    """Gives each frame of a Matroska or WebM file its own time, and takes the frame rate out of the header, as
    browsers record.
    """
    data = bytearray(matroska.read_bytes())
    rate = data.index(b"\x23\xe3\x83")  # DefaultDuration
    length = data[rate + 3] & 0x7F
    data[rate : rate + 4 + length] = bytes([0xEC, 0x80 | (2 + length)]) + bytes(2 + length)  # Void
    blocks = list(_blocks(data, 0, len(data), 0))
    for (place, cluster_ms), time in zip(blocks, times_ms, strict=True):
        struct.pack_into(">h", data, place + 1, time - cluster_ms)
    matroska.write_bytes(data)
    return matroska


def _blocks(data: bytearray, start: int, end: int, cluster_ms: int) -> Iterator[tuple[int, int]]:
    """Where the SimpleBlocks' contents are, each with the time of its cluster."""
    while start < end:
        id_length = 9 - data[start].bit_length()
        ident = data[start : start + id_length].hex()
        size_length = 9 - data[start + id_length].bit_length()
        body = start + id_length + size_length
        size = int.from_bytes(data[start + id_length : body]) & ((1 << 7 * size_length) - 1)
        if ident in ("18538067", "1f43b675"):  # Segment, Cluster
            yield from _blocks(data, body, body + size, cluster_ms)
        elif ident == "e7":
            cluster_ms = int.from_bytes(data[body : body + size])
        elif ident == "a3":
            yield body, cluster_ms
        start = body + size
