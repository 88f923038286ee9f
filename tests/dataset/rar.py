"""Writes small RAR 4 archives with stored members, as UCF50's is one; no free tool can."""

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

SIGNATURE = b"Rar!\x1a\x07\x00"
UNIX, STORED = 3, 0x30
ARCHIVE, FILE, END = 0x73, 0x74, 0x7B
FILE_MODE, LINK_MODE = 0o100644, 0o120777


def _block(kind: int, flags: int, fields: bytes) -> bytes:
    head = struct.pack("<BHH", kind, flags, 7 + len(fields)) + fields
    return struct.pack("<H", zlib.crc32(head) & 0xFFFF) + head


def _member(name: str, content: bytes, mode: int) -> bytes:
    raw = name.encode()
    sizes = struct.pack("<II", len(content), len(content))
    facts = struct.pack("<BIIBBHI", UNIX, zlib.crc32(content), 0x3C210000, 20, STORED, len(raw), mode)
    return _block(FILE, 0x8000, sizes + facts + raw) + content


def write_rar(path: Path, members: Mapping[str, bytes], mode: int = FILE_MODE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = [_member(name, content, mode) for name, content in members.items()]
    path.write_bytes(b"".join([SIGNATURE, _block(ARCHIVE, 0, bytes(6)), *blocks, _block(END, 0x4000, b"")]))
    return path
