"""Writes the demo's videos, on all cores."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from actreel.base.atomic import written_aside
from actreel.base.places import UNKNOWN
from actreel.dataset.demo.film import draw_frames
from actreel.dataset.demo.motions import ACTIONS, MOTIONS, UNKNOWN_MOTIONS, Motion
from actreel.dataset.demo.performers import FRAME_SIZE, Group, draw_group
from actreel.dataset.parallel import map_on_cores
from actreel.errors import DatasetError
from actreel.video.opencv import cv2


class Take(NamedTuple):
    """One clip to render; `group` and `clip` count from 0."""

    path: Path
    action: str
    group: int
    clip: int


def render_demo(
    target: Path, *, num_groups: int = 48, clips_per_group: int = 1, seed: int = 0, workers: int | None = None
) -> list[Path]:
    """Writes the clips as `target/<Action>/v_<Action>_gNN_cMM.avi`, in parallel and with a progress bar.

    The same arguments give the same bytes, whatever the number of workers. Clips that exist are skipped, which lets an
    interrupted run resume; use another folder for another seed.

    Args:
        target: The folder to write to.
        num_groups: Number of performers; each performs every action.
        clips_per_group: Clips of each action by each performer, and as many of no action (in the folder `UNKNOWN`).
        seed: Seed of everything that varies.
        workers: Number of spawned processes, so a script that calls this must be safe to import. All cores if None.

    Returns:
        All clips, ordered by action, group and clip; those of no action come last.

    Raises:
        DatasetError: An argument is out of range, or a clip cannot be written.
    """
    for name, value, least in (
        ("num_groups", num_groups, 3),  # one each for train, val and test
        ("clips_per_group", clips_per_group, 1),
        ("seed", seed, 0),
        ("workers", workers, 1),
    ):
        if value is not None and value < least:
            raise DatasetError(f"{name} must be at least {least}. Received: {value}.")
    names = {action: action for action in ACTIONS} | {UNKNOWN: "Unknown"}
    takes = [
        Take(target / action / f"v_{name}_g{group + 1:02}_c{clip + 1:02}.avi", action, group, clip)
        for action, name in names.items()
        for group in range(num_groups)
        for clip in range(clips_per_group)
    ]
    try:
        for action in names:
            (target / action).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatasetError(f"target must be a folder that you can write to. Received: '{target}'.") from error
    missing = [take for take in takes if not take.path.exists()]
    for _ in map_on_cores(partial(_render, seed=seed), missing, label="demo", workers=workers):
        pass
    return [take.path for take in takes]


def _render(take: Take, seed: int) -> None:
    cv2.setNumThreads(1)  # there is one process a core already
    motion, group, rng = cast(take, seed)
    try:
        with written_aside(take.path) as aside:
            # OpenCV's own writer keeps the quality constant; FFmpeg's rate control would mark early frames.
            codec = cv2.VideoWriter.fourcc(*"MJPG")
            writer = cv2.VideoWriter(os.fspath(aside), cv2.CAP_OPENCV_MJPEG, codec, group.fps, FRAME_SIZE)
            if not writer.isOpened():
                raise OSError("OpenCV cannot open a file there")
            writer.set(cv2.VIDEOWRITER_PROP_QUALITY, 50)
            for frame in draw_frames(motion, group, rng):
                writer.write(frame)
            writer.release()
    except OSError as error:
        raise DatasetError(f"the folder of a clip must be writable. Received: '{take.path.parent}': {error}") from error


def cast(take: Take, seed: int) -> tuple[Motion | None, Group, np.random.Generator]:
    """What is performed in a clip, by whom, and its random stream."""
    rng = _generator(seed, take.group, (*ACTIONS, UNKNOWN).index(take.action), take.clip)
    group = draw_group(_generator(seed, take.group), mirrored=take.group % 2 == 1)
    idle = UNKNOWN_MOTIONS[(take.group + take.clip) % len(UNKNOWN_MOTIONS)]
    return MOTIONS.get(take.action, idle), group, rng


def _generator(seed: int, *key: int) -> np.random.Generator:
    """A random stream for each clip, which makes it independent of worker and order."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
