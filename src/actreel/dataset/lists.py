"""Official split lists, in the form of UCF101's trainlist01.txt and testlist01.txt."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from actreel.errors import DatasetError
from actreel.video.endings import VIDEO_ENDINGS

_ENDINGS = "|".join(re.escape(ending) for ending in VIDEO_ENDINGS)

# In UCF101's training lists the class number follows the clip; file names may contain spaces.
_LINE = re.compile(rf"(?P<clip>.+(?:{_ENDINGS}))(?:\s+\d+)?", re.IGNORECASE)


def read_split_list(path: Path) -> list[str]:
    """Reads a list with one clip per line: `<Action>/<clip>`, and optionally the number of its class.

    Returns:
        Paths relative to the folder of class folders, with '/', in the order of the file.

    Raises:
        DatasetError: The file is missing, is not such a list, is empty, or names a clip twice.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise DatasetError(f"a split list must be a file. Received: '{path}'") from error
    except (UnicodeDecodeError, OSError) as error:
        raise DatasetError(f"a split list must be a text file in UTF-8. Received: '{path}': {error}") from error
    first_lines: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        clip = PurePosixPath(match["clip"].replace("\\", "/")) if match else PurePosixPath()
        if len(clip.parts) < 2 or clip.is_absolute() or ".." in clip.parts:
            raise DatasetError(
                f"each line must be <Action>/<clip>, with the ending of a video file. Received: "
                f"'{line.strip()}', line {number} of '{path}'."
            )
        if clip.as_posix() in first_lines:
            raise DatasetError(
                f"a split list must name each clip once. Received: '{clip}' in lines "
                f"{first_lines[clip.as_posix()]} and {number} of '{path}'."
            )
        first_lines[clip.as_posix()] = number
    if not first_lines:
        raise DatasetError(f"a split list must name at least 1 clip. Received: '{path}', which names none.")
    return list(first_lines)
