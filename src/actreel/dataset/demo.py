"""The demo dataset: seeded drawings of moving people, written as real videos.

It stands in for UCF50 where there is no network, or no time for 3 GB: the same folders and file names, groups that are
one performer in one place, and motions that a small network learns within a minute. Each pair of actions in
`ORDERED_PAIRS` shows the same pictures in opposite order, so that accuracy tells whether a model has learned time.

    render_demo(Path("artifacts/videos"))  # 480 clips of 48 performers in 10 actions, 48 of no action, about 10 s

A motion is a row of key poses (`MOTIONS`); `play` makes a performance of it, a pose a frame; `place_joints` sets that
into the world; `draw_frames` draws and films it. Images are uint8 BGR, as OpenCV draws and writes them.
"""

from __future__ import annotations

import colorsys
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from actreel.dataset.parallel import map_on_cores
from actreel.dataset.records import UNKNOWN
from actreel.errors import DatasetError
from actreel.video.opencv import cv2

Image = NDArray[np.uint8]
Floats = NDArray[np.float64]
Colour = tuple[float, float, float]

FRAME_SIZE = FRAME_WIDTH, FRAME_HEIGHT = 160, 120
# Drawn at twice the size of a frame, with a margin for the camera to move in.
WORLD_WIDTH, WORLD_HEIGHT = 420, 320
GROUND = 272
"""World pixels from the top."""


class Pose(NamedTuple):
    """Where each part points, as an angle to the world rather than to the part that it hangs from.

    Degrees, the torso's from straight up and the limbs' from straight down; positive is towards the right of the world,
    the way a performer in profile faces. Limb 1 is the nearer to the camera. `lift` is a jump's, in body heights.
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
        keys: Poses passed at equal intervals. A cyclic motion ends with the pose it began with.
        seconds: Time of one cycle, or of the whole of a motion made once.
        cyclic: Repeated from a random phase; otherwise made once, between two holds.
        frontal: Seen from the front instead of in profile.
        fixed: The joint that stays in place.
        prop: What is used: a chair stands where the hip comes lowest, a crate keeps to the hands.
        travel: Distance walked in the clip, in body heights.
        backward: The finished performance runs in reverse, and differs in nothing else.
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
    None,  # a scene that nobody enters
    Motion((SEATED, SEATED._replace(torso=10, arm1=35), SEATED), 2.5, prop="chair"),
)
"""None of the actions; a group's clips go through them in turn."""

LENGTHS = {"head": 0.075, "torso": 0.29, "arm": 0.17, "forearm": 0.18, "thigh": 0.235, "shin": 0.225, "foot": 0.075}
"""In body heights; the head's is its radius."""


def _limbs(side: str, shade: float) -> tuple[tuple[str, str, float, str, float], ...]:
    return (
        (f"leg{side}", f"knee{side}", 0.085, "trousers", shade),
        (f"knee{side}", f"ankle{side}", 0.07, "trousers", shade),
        (f"ankle{side}", f"toe{side}", 0.05, "shoes", shade),
        (f"shoulder{side}", f"elbow{side}", 0.065, "shirt", shade),
        (f"elbow{side}", f"hand{side}", 0.055, "skin", shade),
    )


BODY = (*_limbs("2", 0.72), ("hip", "neck", 0.15, "shirt", 1.0), ("neck", "head", 0.05, "skin", 1.0), *_limbs("1", 1.0))
"""Lines from joint to joint in the order of painting: start, end, thickness (body heights), colour, shade."""

CHAIR = (
    ((-0.19, 0.1), (0.12, 0.1), 0.045),
    ((-0.19, 0.1), (-0.22, -0.28), 0.04),
    ((-0.18, 0.1), (-0.18, 0.25), 0.035),
    ((0.1, 0.1), (0.1, 0.25), 0.035),
)
"""Lines from the hip of who sits on it, in body heights, y down: start, end, thickness."""


@dataclass(frozen=True)
class Group:
    """What all clips of a group share: the performer, the place and the camera.

    Attributes:
        backdrop: uint8 (WORLD_HEIGHT, WORLD_WIDTH, 3), BGR.
        colours: BGR, 0 to 255, by name.
        lengths: Body heights, by part as in `LENGTHS`.
        manner: (9,) degrees added to the angles of each pose.
        height: World pixels from sole to crown.
        girth: Thickness, 1 being usual.
        speed: Pace of all motions, 1 being usual.
        fps: Frames a second.
        mirrored: Faces left.
        zoom: Frame pixels to a world pixel, 0.5 being usual.
        offset: (2,) world pixels, x and y, from the middle of the world to what the camera looks at.
        drift: (3,) how far the camera pans (world pixels, x and y) and zooms (share) from the middle of a clip.
    """

    backdrop: Image
    colours: dict[str, Colour]
    lengths: dict[str, float]
    manner: Floats
    height: float
    girth: float
    speed: float
    fps: float
    mirrored: bool
    zoom: float
    offset: Floats
    drift: Floats


class Take(NamedTuple):
    """One clip to make; `group` and `clip` count from 0."""

    path: Path
    action: str
    group: int
    clip: int


def render_demo(
    target: Path, *, num_groups: int = 48, clips_per_group: int = 1, seed: int = 0, workers: int | None = None
) -> list[Path]:
    """Writes the clips as `target/<Action>/v_<Action>_gNN_cMM.avi`, in parallel and with a progress bar on stderr.

    The same arguments give the same bytes, whatever the number of workers. A clip that is there already is left alone,
    so that a killed run resumes; for another seed, take another folder.

    Args:
        target: The folder to fill.
        num_groups: Performers; each acts in every action.
        clips_per_group: Clips that a performer makes of each action, and of no action (in the folder `UNKNOWN`).
        seed: Draws everything that varies.
        workers: Processes, spawned: the script that asks for them must be safe to import. All cores if None.

    Returns:
        All clips, ordered by action, group and clip; those of no action come last.

    Raises:
        DatasetError: An argument is out of range, or a clip cannot be written.
    """
    for name, value, least in (
        ("num_groups", num_groups, 3),  # one each to train, validate and test
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
        raise DatasetError(f"target must be a folder that can be written to. Received: '{target}'.") from error
    missing = [take for take in takes if not take.path.exists()]
    for _ in map_on_cores(partial(_render, seed=seed), missing, label="demo", workers=workers):
        pass
    return [take.path for take in takes]


def _render(take: Take, seed: int) -> None:
    """Writes the clip beside its place under a hidden name, which no reader takes for a clip, then moves it there."""
    cv2.setNumThreads(1)  # there is a process a core already
    rng = _generator(seed, take.group, (*ACTIONS, UNKNOWN).index(take.action), take.clip)
    group = draw_group(_generator(seed, take.group), mirrored=take.group % 2 == 1)
    idle = UNKNOWN_MOTIONS[(take.group + take.clip) % len(UNKNOWN_MOTIONS)]
    motion = MOTIONS.get(take.action, idle)
    aside = take.path.with_name(f".{take.path.name}")
    try:
        # OpenCV's own writer keeps one quality throughout; FFmpeg's rate control would mark early frames.
        codec = cv2.VideoWriter.fourcc(*"MJPG")
        writer = cv2.VideoWriter(os.fspath(aside), cv2.CAP_OPENCV_MJPEG, codec, group.fps, FRAME_SIZE)
        if not writer.isOpened():
            raise DatasetError(f"a clip's folder must be writable. Received: '{take.path.parent}'.")
        writer.set(cv2.VIDEOWRITER_PROP_QUALITY, 50)
        for frame in draw_frames(motion, group, rng):
            writer.write(frame)
        writer.release()
        aside.replace(take.path)
    finally:
        aside.unlink(missing_ok=True)


def _generator(seed: int, *key: int) -> np.random.Generator:
    """A stream of its own for each clip, so that it matters not who makes it, nor when."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def draw_group(rng: np.random.Generator, *, mirrored: bool) -> Group:
    """Draws a performer, a place and a camera."""
    complexion = rng.uniform()
    clothes = {
        name: _colour(rng.uniform(), rng.uniform(0.05, 0.45), rng.uniform(0.7, 1)) for name in ("shirt", "trousers")
    }
    return Group(
        backdrop=_draw_backdrop(rng),
        colours=clothes
        | {
            "skin": _colour(0.06, 0.62 - 0.3 * complexion, 0.55 + 0.4 * complexion),
            "hair": _colour(0.08, rng.uniform(0.2, 0.7), rng.uniform(0.08, 0.4)),
            "shoes": _colour(0.1, 0.3, rng.uniform(0.4, 0.9)),
            "prop": _colour(rng.uniform(0.02, 0.12), rng.uniform(0.5, 0.8), rng.uniform(0.5, 0.8)),
        },
        lengths={part: length * rng.uniform(0.92, 1.08) for part, length in LENGTHS.items()},
        manner=rng.normal(0, 2.5, 9),
        height=rng.uniform(182, 196),
        girth=rng.uniform(0.95, 1.35),
        speed=rng.uniform(0.8, 1.2),
        fps=float(rng.integers(15, 26)),
        mirrored=mirrored,
        zoom=rng.uniform(0.48, 0.52),
        offset=rng.uniform((-8, -3), (8, 3)),
        drift=rng.uniform((-10, -3, -0.05), (10, 3, 0.05)),
    )


def _colour(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return 255 * blue, 255 * green, 255 * red


def _draw_backdrop(rng: np.random.Generator) -> Image:
    """Draws a dim wall, a floor and some furniture; every performer is brighter, or a small network learns slowly."""
    hue, light = rng.uniform(), rng.uniform(0.18, 0.36)

    def dim(darker: float) -> Colour:
        return _colour(hue + rng.uniform(-0.1, 0.1), rng.uniform(0.05, 0.4), max(light - darker, 0.03))

    top, bottom = np.array(dim(0)), np.array(dim(rng.uniform(0, 0.12)))
    fade = np.linspace(0, 1, WORLD_HEIGHT)[:, None, None]
    image = np.tile(top + (bottom - top) * fade, (1, WORLD_WIDTH, 1)).astype(np.uint8)
    if rng.uniform() < 0.5:  # wallpaper
        stripe = int(rng.integers(8, 30))
        for left in range(0, WORLD_WIDTH, 2 * stripe):
            cv2.rectangle(image, (left, 0), (left + stripe, GROUND), dim(0.05), cv2.FILLED)
    for _ in range(rng.integers(0, 4)):  # pictures and cupboards
        x, y, width, height = rng.integers((0, 20, 30, 30), (WORLD_WIDTH, 180, 90, 90)).tolist()
        corner = x + width, GROUND if rng.uniform() < 0.4 else y + height
        cv2.rectangle(image, (x, y), corner, dim(0.1), cv2.FILLED)
        cv2.rectangle(image, (x, y), corner, dim(0.2), 2)
    skirting = GROUND - int(rng.integers(8, 26))
    cv2.rectangle(image, (0, skirting), (WORLD_WIDTH, WORLD_HEIGHT), dim(rng.uniform(0.05, 0.15)), cv2.FILLED)
    cv2.line(image, (0, skirting), (WORLD_WIDTH, skirting), dim(0.2), 2)
    return image


def draw_frames(motion: Motion | None, group: Group, rng: np.random.Generator) -> Iterator[Image]:
    """Films one clip; with no motion, nobody is in it.

    Yields:
        30 to 50 frames, uint8 (FRAME_HEIGHT, FRAME_WIDTH, 3), BGR.
    """
    count = int(rng.integers(30, 51))
    camera = _move_camera(group, rng, count)
    joints = place_joints(play(motion, group, rng, count), motion, group) if motion else {}
    grain = int(rng.integers(2, 7))
    for index in range(count):
        world = group.backdrop.copy()
        if motion:
            _draw_figure(world, {name: places[index] for name, places in joints.items()}, motion, group)
        frame = cv2.warpAffine(world, camera[index], FRAME_SIZE, borderMode=cv2.BORDER_REPLICATE)
        noise = rng.integers(-grain, grain + 1, frame.shape, dtype=np.int16)
        yield cv2.add(frame, noise, dtype=cv2.CV_8U)  # saturates instead of wrapping around


def _move_camera(group: Group, rng: np.random.Generator, count: int) -> Floats:
    """The affine map from world to frame pixels for each frame, (count, 2, 3): drift and shake."""
    # Either way round, for each clip anew: else the drift would tell a model blind to order which frames come late.
    drift = group.drift * rng.choice((-1, 1)) * np.linspace(-1, 1, count)[:, None]
    zoom = group.zoom * (1 + drift[:, 2])
    middle = np.array((WORLD_WIDTH, WORLD_HEIGHT)) / 2 + group.offset + drift[:, :2] + rng.normal(0, 0.8, (count, 2))
    camera = np.zeros((count, 2, 3))
    camera[:, 0, 0] = -zoom if group.mirrored else zoom
    camera[:, 1, 1] = zoom
    camera[:, 0, 2] = FRAME_WIDTH / 2 - camera[:, 0, 0] * middle[:, 0]
    camera[:, 1, 2] = FRAME_HEIGHT / 2 - zoom * middle[:, 1]
    return camera


def play(motion: Motion, group: Group, rng: np.random.Generator, count: int) -> Floats:
    """Performs the motion in the group's manner, and a little differently each time.

    Returns:
        float64 (count, 10): a `Pose` for each frame.
    """
    pace = group.speed * rng.uniform(0.9, 1.1) / motion.seconds
    time = np.arange(count) / group.fps
    if motion.cyclic:
        progress = (pace * np.maximum(time - rng.uniform(0, 0.25), 0) + rng.uniform()) % 1
    else:
        # The holds before and after are drawn alike, and the easing below is symmetric: in reverse, the same pictures
        # are as likely as before, and nothing but their order tells which way it was.
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


def place_joints(track: Floats, motion: Motion, group: Group) -> dict[str, Floats]:
    """Sets poses into the world: on the ground, the fixed joint in place, in the middle as a whole.

    Args:
        track: float64 (count, 10), from `play`.
        motion: What is performed.
        group: Who performs it.

    Returns:
        World pixels (count, 2), x and y, of each joint and of the prop.
    """

    def reach(start: Floats, part: str, degrees: Floats) -> Floats:
        angle = np.deg2rad(degrees)
        return start + group.lengths[part] * np.stack((np.sin(angle), -np.cos(angle)), axis=1)

    # In body heights, y up, from the hip.
    torso, arm1, forearm1, arm2, forearm2, thigh1, shin1, thigh2, shin2, lift = track.T
    hip = np.zeros((len(track), 2))
    neck = reach(hip, "torso", 180 - torso)
    joints = {"hip": hip, "neck": neck, "head": reach(neck, "head", 180 - torso) * 1.5 - neck * 0.5}
    aside = np.array((0.085 if motion.frontal else 0.012, 0))
    for side, sign, arm, forearm, thigh, shin in (
        ("1", 1, arm1, forearm1, thigh1, shin1),
        ("2", -1, arm2, forearm2, thigh2, shin2),
    ):
        shoulder, leg = neck + sign * aside, hip + 0.55 * sign * aside
        elbow, knee = reach(shoulder, "arm", arm), reach(leg, "thigh", thigh)
        hand, ankle = reach(elbow, "forearm", forearm), reach(knee, "shin", shin)
        toe = reach(ankle, "foot", shin + (90 * sign if motion.frontal else 90))
        names = (f"{name}{side}" for name in ("shoulder", "elbow", "hand", "leg", "knee", "ankle", "toe"))
        joints |= zip(names, (shoulder, elbow, hand, leg, knee, ankle, toe), strict=True)

    everything = np.stack(list(joints.values()))
    fixed = joints[motion.fixed][:, 0]
    across = everything[:, :, 0] - fixed
    walked = motion.travel * np.linspace(-0.5, 0.5, len(track))
    x = walked - fixed - (across.min() + across.max()) / 2
    y = lift - everything[:, :, 1].min(axis=0) + 0.02  # half a shoe
    ground, down = np.array((WORLD_WIDTH / 2, GROUND)), np.array((1, -1))
    placed = {name: ground + group.height * down * (at + np.stack((x, y), axis=1)) for name, at in joints.items()}
    if motion.prop == "chair":
        hips = placed["hip"]
        placed["prop"] = np.tile(hips[hips[:, 1].argmax()], (len(hips), 1))
    elif motion.prop == "crate":
        placed["prop"] = np.maximum(placed["hand1"], placed["hand2"])
    return placed


def _draw_figure(world: Image, at: dict[str, Floats], motion: Motion, group: Group) -> None:
    """Draws the prop and the performer over the world, the farther parts first."""
    size, colours = group.height, group.colours

    def eighths(place: Floats) -> tuple[int, int]:
        x, y = np.rint(8 * place).astype(int).tolist()
        return x, y

    def line(start: Floats, end: Floats, thickness: float, colour: Colour) -> None:
        cv2.line(world, eighths(start), eighths(end), colour, round(thickness * size), cv2.LINE_AA, shift=3)

    def disc(middle: Floats, radius: float, colour: Colour) -> None:
        cv2.circle(world, eighths(middle), round(8 * radius * size), colour, cv2.FILLED, cv2.LINE_AA, shift=3)

    if motion.prop == "chair":
        for start, end, thickness in CHAIR:
            line(at["prop"] + size * np.array(start), at["prop"] + size * np.array(end), thickness, colours["prop"])
    elif motion.prop == "crate":
        left = round(at["prop"][0])
        corners = (left, round(GROUND - 0.72 * size)), (round(left + 0.4 * size), GROUND)
        cv2.rectangle(world, *corners, colours["prop"], cv2.FILLED)
        cv2.rectangle(world, *corners, colours["shoes"], 4)
    for first, second, thickness, name, shade in BODY:
        blue, green, red = colours[name]
        line(at[first], at[second], thickness * group.girth, (shade * blue, shade * green, shade * red))
    head = group.lengths["head"]
    disc(at["head"], head, colours["hair"])
    disc(at["head"] + size * np.array((0 if motion.frontal else 0.022, 0.016)), 0.8 * head, colours["skin"])
