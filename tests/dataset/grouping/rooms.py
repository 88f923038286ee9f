"""Films of people in rooms: each room has its own picture, and files are named so that the names tell nothing."""

from pathlib import Path
from random import Random

import numpy as np

from tests.conftest import write_video_file


def write_rooms(folder: Path, rooms: int = 5, clips: int = 2) -> dict[str, int]:
    """Writes films of two actions, and returns the room of each."""
    random, room_of = Random(1), {}  # noqa: S311
    for room in range(rooms):
        rng = np.random.default_rng(room)
        tint = rng.integers(30, 226, 3)
        cells = np.clip(tint + rng.integers(-25, 26, (6, 8, 3)), 0, 255)
        wall = np.kron(cells, np.ones((8, 8, 1))).astype(np.uint8)
        for action in ("Left", "Right"):
            for _ in range(clips):
                clip = f"{action}/{random.getrandbits(64):016x}.avi"
                frames = []
                for _ in range(6):  # large and jumping, or films of one room would be one recording
                    frame = wall.copy()
                    top, left = rng.integers(6, 14), rng.integers(8, 24)
                    shades = rng.integers(0, 256, (7, 8))[:, :, None]
                    frame[top : top + 28, left : left + 32] = np.kron(shades, np.ones((4, 4, 1)))
                    frames.append(frame)
                write_video_file(folder / clip, frames)
                room_of[clip] = room
    return room_of
