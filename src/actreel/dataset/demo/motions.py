"""What performers do: key poses, the motions made of them, and `play`, which performs a motion once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from actreel.dataset.demo.performers import Floats, Group


class Pose(NamedTuple):
    """The direction of each body part, as an angle in the world and not relative to the part it is attached to.

    Angles are in degrees: of the torso from straight up, of the limbs from straight down. Positive is to the right of
    the world, the way a performer in profile faces. Limb 1 is closer to the camera. `lift` is the height of a jump, in
    body heights.
    """

    torso: float
    arm1: float
    forearm1: float
    arm2: float
    forearm2: float
    thigh1: float
    shin1: float
    thigh2: float
    shin2: float
    lift: float = 0


@dataclass(frozen=True)
class Motion:
    """What a performer does.

    Attributes:
        keys: Poses at equal intervals. A cyclic motion ends with the pose it starts with.
        seconds: Duration of one cycle, or of the whole motion if it is not cyclic.
        cyclic: Repeats from a random phase; otherwise the motion happens once, with the performer still before and
            after it.
        frontal: Seen from the front instead of in profile.
        fixed: The joint that does not move.
        prop: An object: the chair stands where the hip is lowest, the crate stays at the hands.
        travel: Distance walked during the clip, in body heights.
        backward: Plays the finished performance in reverse, with no other difference.
    """

    keys: tuple[Pose, ...]
    seconds: float
    cyclic: bool = True
    frontal: bool = False
    fixed: str = "hip"
    prop: Literal["chair", "crate"] | None = None
    travel: float = 0
    backward: bool = False


STANDING = Pose(0, 0, 8, 0, 8, 3, 0, -3, -5)
STOOPING = Pose(38, 40, 65, 35, 60, 52, -18, 48, -22)
SEATED = Pose(4, 25, 75, 20, 70, 90, 2, 86, -4)
CRATE_NEAR = Pose(2, -40, 95, -35, 100, 30, 5, -22, -32)
CRATE_FAR = Pose(34, 78, 84, 80, 88, 42, 2, -34, -42)
GUARD = Pose(6, 25, 140, 35, 145, 22, 4, -18, -30)
KNEE_UP = GUARD._replace(torso=-6, thigh1=85, shin1=-10)
KICKED = GUARD._replace(torso=-22, thigh1=98, shin1=100)
PLANK = Pose(64, 2, -2, -2, -6, -64, -64, -66, -66)
LOW_PLANK = Pose(84, -72, 72, -70, 70, -84, -84, -85, -85)
STRIDE1 = Pose(14, -55, 35, 50, 135, 72, -5, -22, -75, 0.05)
STRIDE2 = Pose(14, 50, 135, -55, 35, -22, -75, 72, -5, 0.05)
STEP1 = Pose(3, -25, -12, 25, 40, 28, 12, -20, -35)
STEP2 = Pose(3, 25, 40, -25, -12, -20, -35, 28, 12)
REACHING_UP = Pose(-6, 172, 178, 165, 172, 8, 4, -6, -8)
TOUCHING_TOES = Pose(118, 12, 4, 6, -2, 2, 8, -8, -2)
AT_EASE = Pose(0, 10, 4, -10, -4, 5, 3, -5, -3)
HOP = Pose(0, 72, 82, -72, -82, 16, 14, -16, -14, 0.06)
STAR = Pose(0, 135, 155, -135, -155, 32, 28, -32, -28)
WAVE_OUT = AT_EASE._replace(arm1=115, forearm1=125)
WAVE_IN = AT_EASE._replace(arm1=140, forearm1=215)
HAND_TO_CHIN = AT_EASE._replace(torso=5, arm1=35, forearm1=165)

PUSH = Motion((CRATE_NEAR, CRATE_FAR), 1.0, cyclic=False, fixed="ankle2", prop="crate")
SIT_DOWN = Motion((STANDING, STOOPING, SEATED), 1.1, cyclic=False, fixed="ankle2", prop="chair")

MOTIONS = {
    "JumpingJack": Motion((AT_EASE, HOP, STAR, HOP, AT_EASE), 1.1, frontal=True),
    "Kick": Motion((GUARD, KNEE_UP, KICKED, KNEE_UP, GUARD), 1.4, fixed="ankle2"),
    "Pull": replace(PUSH, backward=True),
    "Push": PUSH,
    "PushUps": Motion((PLANK, LOW_PLANK, PLANK), 1.3, fixed="ankle2"),
    "Running": Motion((STRIDE1, STRIDE2, STRIDE1), 0.9),
    "SitDown": SIT_DOWN,
    "StandUp": replace(SIT_DOWN, backward=True),
    "ToeTouch": Motion((REACHING_UP, TOUCHING_TOES, REACHING_UP), 1.6),
    "Wave": Motion((WAVE_OUT, WAVE_IN, WAVE_OUT), 0.9, frontal=True),
}
ACTIONS: tuple[str, ...] = tuple(MOTIONS)
ORDERED_PAIRS: tuple[tuple[str, str], ...] = (("SitDown", "StandUp"), ("Push", "Pull"))

UNKNOWN_MOTIONS: tuple[Motion | None, ...] = (
    Motion((STANDING, STANDING._replace(torso=3, arm1=5, thigh1=0), STANDING), 2.5),
    Motion((STEP1, STEP2, STEP1), 1.1, travel=2),
    Motion((AT_EASE, HAND_TO_CHIN, AT_EASE), 3.0, frontal=True),
    None,  # an empty scene
    Motion((SEATED, SEATED._replace(torso=10, arm1=35), SEATED), 2.5, prop="chair"),
)
"""Motions that are none of the actions; the clips of a group take them in turn."""


def play(motion: Motion, group: Group, rng: np.random.Generator, count: int) -> Floats:
    """Performs the motion in the manner of the group, a little differently each time.

    Returns:
        float64 (count, 10): a `Pose` for each frame.
    """
    pace = group.speed * rng.uniform(0.9, 1.1) / motion.seconds
    time = np.arange(count) / group.fps
    if motion.cyclic:
        progress = (pace * np.maximum(time - rng.uniform(0, 0.25), 0) + rng.uniform()) % 1
    else:
        # The pauses before and after have the same distribution, and the easing below is symmetric: in reverse, the
        # same frames are equally likely, and only their order shows the direction.
        duration = min(1 / pace, 0.75 * time[-1])
        start = (time[-1] - duration) * rng.uniform(0.15, 0.85)
        progress = np.clip((time - start) / duration, 0, 1)

    keys = np.array(motion.keys, dtype=np.float64)
    passed = np.minimum((progress * (len(keys) - 1)).astype(int), len(keys) - 2)
    part = (progress * (len(keys) - 1) - passed)[:, None]
    ease = part * part * (3 - 2 * part)
    track: Floats = keys[passed] * (1 - ease) + keys[passed + 1] * ease

    sway = np.sin(2 * np.pi * (rng.uniform(0.3, 0.8, 9) * time[:, None] + rng.uniform(size=9)))
    track[:, :9] += group.manner + rng.normal(0, 2.5, 9) + 1.5 * sway
    return track[::-1] if motion.backward else track
