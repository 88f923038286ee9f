"""Downloaded videos, kept for a while: the next request for one needs no download."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

_ABANDONED_S = 3600


class VideoCache:
    """A folder of recently used videos, bounded in bytes; several processes may share it.

    Args:
        folder: Where to keep them; created if missing.
        max_bytes: Limit on the bytes of all videos together.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    def copy_out(self, key: str, path: Path) -> str | None:
        """Copies a cached video to `path`; returns its title, or None if it is not cached."""
        entry = self._entry(key)
        try:
            shutil.copyfile(entry / "video", path)
            title = (entry / "title").read_text(encoding="utf-8")
            os.utime(entry)
        except FileNotFoundError:  # not cached, or just evicted by another process
            path.unlink(missing_ok=True)
            return None
        return title

    def copy_in(self, key: str, path: Path, title: str) -> None:
        """Caches a copy of the video at `path`, and evicts the least recently used beyond `max_bytes`."""
        if path.stat().st_size > self._max_bytes:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=".", dir=self._folder))
        shutil.copyfile(path, aside / "video")
        (aside / "title").write_text(title, encoding="utf-8")
        try:
            aside.rename(self._entry(key))
        except OSError:  # another process was faster
            shutil.rmtree(aside, ignore_errors=True)
        self._make_room()

    def _entry(self, key: str) -> Path:
        # In hexadecimal, because ids differ in case alone and some file systems do not.
        return self._folder / key.encode().hex()

    def _make_room(self) -> None:
        found: list[tuple[float, int, Path]] = []
        for entry in self._folder.iterdir():
            with suppress(FileNotFoundError):
                touched = entry.stat().st_mtime
                if not entry.name.startswith("."):
                    found.append((touched, (entry / "video").stat().st_size, entry))
                elif time.time() - touched > _ABANDONED_S:  # its writer was killed
                    shutil.rmtree(entry, ignore_errors=True)
        room = self._max_bytes
        for _, size, entry in sorted(found, reverse=True):
            room -= size
            if room < 0:
                shutil.rmtree(entry, ignore_errors=True)
