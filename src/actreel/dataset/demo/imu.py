"""Synthetic signals for the demo: what accelerometers at wrist and ankle of its drawn performers would measure.

    python -m actreel.dataset.demo.imu FOLDER    # a .csv beside each clip of a demo that was rendered into FOLDER

No sensor was ever worn: the signals are computed from the same joints that the clips are drawn from, with noise, a
bias for each clip and gravity. They prove the path from a folder to the service, and nothing about real sensors.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np

from actreel.base.atomic import written_aside
from actreel.dataset.demo.film import perform
from actreel.dataset.demo.render import Take, cast
from actreel.errors import DatasetError

RATE = 50.0
"""Samples a second."""

COLUMNS = ("wrist_x", "wrist_y", "ankle_x", "ankle_y")
_JOINTS = ("hand1", "ankle1")
_METRES = 1.7
"""Of a performer's height."""

_GRAVITY = 9.81
_NOISE, _BIAS = 0.5, 0.3
"""Standard deviations, in m/s²."""

_NAME = re.compile(r"v_(?P<action>\w+)_g(?P<group>\d+)_c(?P<clip>\d+)")


def write_imu(clip: Path, seed: int = 0) -> Path:
    """Writes the synthetic signals of one of the demo's clips beside it.

    Args:
        clip: `<Action>/v_<Action>_gNN_cMM.avi`, as `render_demo` names it.
        seed: That of the demo.

    Returns:
        The .csv, with the columns `time` and `COLUMNS`: seconds, and m/s² to the right and upwards in the picture.

    Raises:
        DatasetError: The clip is none of the demo's.
    """
    found = _NAME.fullmatch(clip.stem)
    if found is None:
        raise DatasetError(f"Synthetic signals are for the demo's clips only. Received: '{clip}'")
    take = Take(clip, clip.parent.name, int(found["group"]) - 1, int(found["clip"]) - 1)
    motion, group, rng = cast(take, seed)
    _, joints = perform(motion, group, rng)
    frames = np.arange(len(next(iter(joints.values()), np.empty(45)))) / group.fps
    times = np.arange(0, frames[-1], 1 / RATE)
    channels = [
        np.interp(times, frames, np.gradient(np.gradient(places[:, axis], frames), frames)) * sign * scale + constant
        for places in (joints.get(name, np.zeros((len(frames), 2))) for name in _JOINTS)
        for axis, sign, constant in ((0, 1, 0.0), (1, -1, _GRAVITY))
        for scale in (_METRES / group.height,)
    ]
    noise = np.random.default_rng([seed, take.group, take.clip, *clip.stem.encode()])
    values = np.stack(channels, axis=1)
    values += noise.normal(0, _BIAS, len(COLUMNS)) + noise.normal(0, _NOISE, values.shape)
    with written_aside(clip.with_suffix(".csv")) as aside:
        header = ",".join(("time", *COLUMNS))
        np.savetxt(aside, np.column_stack([times, values]), fmt="%.4f", delimiter=",", header=header, comments="")
    return clip.with_suffix(".csv")


if __name__ == "__main__":
    for each in sorted(Path(sys.argv[1]).rglob("v_*.avi")):
        write_imu(each)
