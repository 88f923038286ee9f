"""Finds the videos that other programs name, in a folder and nowhere else."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from actreel.dataset.folder import read_folder
from actreel.errors import DatasetError, listed_names
from actreel.video.endings import is_video

# What Label Studio puts before the name of a file that was uploaded.
_UPLOADED = re.compile(r"^[0-9a-f]{8}-")


class VideoFolder:
    """The videos in a folder and all folders below it.

    Names are compared with the folder's own list, so no name, however it is written, leads out of it.
    """

    def __init__(self, folder: Path) -> None:
        """Lists the folder.

        Raises:
            DatasetError: It is none, or holds no videos.
        """
        if not folder.is_dir():
            raise DatasetError(f"--videos must be the folder that holds the videos. Received: '{folder}'")
        contents = read_folder(folder)
        self._folder = folder
        self._named: dict[str, list[Path]] = defaultdict(list)
        for path in contents.clips + contents.loose:
            self._named[_spelt(path.name)].append(path)
            if not is_video(Path(path.stem)):  # a file of segments that names no video may be called as its video
                self._named[_spelt(path.stem)].append(path)
        if not self._named:
            raise DatasetError(f"--videos must be the folder that holds the videos. Received: '{folder}', without any.")

    def find(self, names: tuple[str, ...], file: Path) -> Path:
        """The video that one of the names stands for: the one whose path ends as the name does, for as long as can be.

        Args:
            names: Paths, addresses or file names.
            file: That names it, for messages.

        Returns:
            The path below the folder.

        Raises:
            DatasetError: There is none, or several that fit as well.
        """
        for parts in (parts for name in names for parts in _paths(name)):
            if found := self._ending(parts):
                if len(found) > 1:
                    raise DatasetError(
                        f"Each video must be named so that one file fits. Received: '{'/'.join(parts)}' in '{file}', "
                        f"which fits {listed_names(found)}. Name the folder with the right one: --videos"
                    )
                return found[0]
        raise DatasetError(
            f"--videos must hold each video that has segments. Received: '{file}' with segments of "
            f"{listed_names([name[:200] for name in names]) or 'a video without a name'}, which is not in "
            f"'{self._folder}'."
        )

    def _ending(self, parts: list[str]) -> list[Path]:
        """The videos whose paths share most of their last parts with these."""
        found = self._named.get(parts[-1], []) if parts else []
        for length in range(2, len(parts) + 1):
            longer = [path for path in found if [_spelt(part) for part in path.parts[-length:]] == parts[-length:]]
            if not longer:
                break
            found = longer
        return found


def _paths(name: str) -> list[list[str]]:
    """The paths that a name may mean, as their parts: as it stands, as an address, and without what uploads add."""
    texts = [name, unquote(name)]
    try:
        address = urlsplit(name)
        # Label Studio's local files: /data/local-files/?d=folder/clip.mp4
        texts += [*parse_qs(address.query).get("d", []), unquote(address.path)]
    except ValueError:  # half of an IPv6 address, as in "http://[x"
        pass
    paths = [[_spelt(part) for part in re.split(r"[/\\]", text) if part not in ("", ".", "..")] for text in texts]
    return paths + [[*path[:-1], _UPLOADED.sub("", path[-1])] for path in paths if path and _UPLOADED.match(path[-1])]


def _spelt(name: str) -> str:
    """One spelling: macOS decomposes accents."""
    return unicodedata.normalize("NFC", name)
