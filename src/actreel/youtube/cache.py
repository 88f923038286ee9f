"""Videos that arrived, kept a while so that a second ask costs no download."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

_ABANDONED_S = 3600


class VideoCache:
    """A folder of the latest videos, bounded in bytes; several processes may share it.

    Args:
        folder: Where to keep them; made if missing.
        max_bytes: Most bytes that all videos together may take.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    def copy_out(self, key: str, path: Path) -> str | None:
        """Copies a kept video to `path`; gives its title, or None where there is no such video."""
        entry = self._entry(key)
        try:
            shutil.copyfile(entry / "video", path)
            title = (entry / "title").read_text(encoding="utf-8")
            os.utime(entry)
        except FileNotFoundError:  # never kept, or another process made room meanwhile
            path.unlink(missing_ok=True)
            return None
        return title

    def copy_in(self, key: str, path: Path, title: str) -> None:
        """Keeps a copy of the video at `path`, and makes room by removing those that nobody asked for the longest."""
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
