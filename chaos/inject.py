"""The faults: what is put before a command, into its environment, or done to its files while it runs."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.loopback import serving

SITE = str(Path(__file__).parent / "site")
YEAR_S = 365 * 86400
PLAIN_USER = (
    ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all") if os.geteuid() == 0 else ()
)
"""Takes root's right to write where the permissions forbid it."""

Around = Callable[[Path], AbstractContextManager[object]]


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        name: For the report.
        prefix: Put before the command.
        environment: Added to the command's.
        around: Given the project's or service's folder: what is wrong from before the command's start to its end.
        kill_after_s: When the command and its children are killed, in seconds; None never.
        fails: Whether the command may fail; a slow disk or a bad clock is no reason to.
    """

    name: str
    prefix: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    around: Around = nullcontext
    kill_after_s: float | None = None
    fails: bool = True


def largest_file(num_bytes: int) -> Fault:
    """A full disk, for whoever may not mount one."""
    return Fault(f"no room for files over {num_bytes} bytes", ("prlimit", f"--fsize={num_bytes}", "--"))


def memory(num_bytes: int) -> Fault:
    return Fault(f"{num_bytes / 2**30:.2f} GB of memory", ("prlimit", f"--as={num_bytes}", "--"))


def killed(after_s: float) -> Fault:
    return Fault(f"killed after {after_s:g} s", kill_after_s=after_s)


def clock(jump_s: float) -> Fault:
    jump = {"CHAOS_CLOCK_JUMP_S": str(jump_s)}
    return Fault(f"clock jumps by {jump_s / YEAR_S:+.1f} years", environment=jump, fails=False)


def slow_disk(pause_s: float) -> Fault:
    return Fault(f"{pause_s:g} s for each file", environment={"CHAOS_SLOW_DISK_S": str(pause_s)}, fails=False)


def read_only(*names: str) -> Fault:
    """Folders, and all in them, may not be written."""

    @contextmanager
    def around(root: Path) -> Iterator[None]:
        paths = [path for name in names for path in (root / name, *(root / name).rglob("*")) if path.exists()]
        modes = {path: path.stat().st_mode for path in paths if not path.is_symlink()}
        for path, mode in modes.items():
            path.chmod(mode & ~0o222)
        try:
            yield
        finally:
            for path, mode in modes.items():
                if path.exists():
                    path.chmod(mode)

    return Fault(f"{', '.join(names)} read-only", PLAIN_USER, around=around)


def full_disk(name: str, num_bytes: int) -> Fault:
    """A real file system without room, in place of a folder; needs root."""

    @contextmanager
    def around(root: Path) -> Iterator[None]:
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        with mounted(folder, num_bytes):
            yield

    return Fault(f"{name} on a disk of {num_bytes} bytes", around=around)


@contextmanager
def mounted(folder: Path, num_bytes: int) -> Iterator[None]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={num_bytes}", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def can_mount(folder: Path) -> bool:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with mounted(folder, 4096):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def locked(name: str, seconds: float | None = None) -> Fault:
    """Another process has a transaction open in a database, for so long or to the end."""

    @contextmanager
    def around(root: Path) -> Iterator[None]:
        with closing(sqlite3.connect(root / name, isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN EXCLUSIVE")
            waker = threading.Timer(seconds or 0, lambda: other.execute("ROLLBACK"))
            if seconds:
                waker.start()
            yield
            if seconds:
                waker.join()

    return Fault(f"{name} locked" + (f" for {seconds:g} s" if seconds else ""), around=around, fails=seconds is None)


def network_gone(*after_bytes: int) -> Fault:
    """A server that breaks off each of its first answers after so many bytes; `data.dvc` has its address."""

    @contextmanager
    def around(root: Path) -> Iterator[None]:
        with serving(bytes(range(256)) * 1000) as server:
            server.breaks.extend(after_bytes)
            described = yaml.safe_load((root / "data.dvc").read_text(encoding="utf-8"))
            described["deps"][0]["path"] = server.url
            described["outs"][0] = {"path": described["outs"][0]["path"], "size": len(server.content)}
            (root / "data.dvc").write_text(yaml.safe_dump(described), encoding="utf-8")
            yield

    return Fault(f"network gone after {', '.join(map(str, after_bytes))} bytes", around=around, fails=False)


def cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def overwritten(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"\0chaos\xff" * 20)


def removed(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def damaged(pattern: str, damage: Callable[[Path], None]) -> Fault:
    """The first file or folder that matches is damaged before the command starts."""

    @contextmanager
    def around(root: Path) -> Iterator[None]:
        damage(min(root.glob(pattern)))
        yield

    return Fault(f"{pattern} {damage.__name__.replace('_', ' ')}", around=around)
