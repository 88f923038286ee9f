"""Draws a performance frame by frame, as the camera of the group sees it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from actreel.dataset.demo.motions import Motion, play
from actreel.dataset.demo.performers import (
    FRAME_HEIGHT,
    FRAME_SIZE,
    FRAME_WIDTH,
    GROUND,
    WORLD_HEIGHT,
    WORLD_WIDTH,
    Colour,
    Floats,
    Group,
    Image,
)
from actreel.video.opencv import cv2


def _limbs(side: str, shade: float) -> tuple[tuple[str, str, float, str, float], ...]:
    return (
        (f"leg{side}", f"knee{side}", 0.085, "trousers", shade),
        (f"knee{side}", f"ankle{side}", 0.07, "trousers", shade),
        (f"ankle{side}", f"toe{side}", 0.05, "shoes", shade),
        (f"shoulder{side}", f"elbow{side}", 0.065, "shirt", shade),
        (f"elbow{side}", f"hand{side}", 0.055, "skin", shade),
    )


BODY = (*_limbs("2", 0.72), ("hip", "neck", 0.15, "shirt", 1.0), ("neck", "head", 0.05, "skin", 1.0), *_limbs("1", 1.0))
"""Lines between joints in painting order: start, end, thickness (body heights), colour, shade."""

CHAIR = (
    ((-0.19, 0.1), (0.12, 0.1), 0.045),
    ((-0.19, 0.1), (-0.22, -0.28), 0.04),
    ((-0.18, 0.1), (-0.18, 0.25), 0.035),
    ((0.1, 0.1), (0.1, 0.25), 0.035),
)
"""Lines in body heights relative to the hip of the person sitting, y down: start, end, thickness."""


def draw_frames(motion: Motion | None, group: Group, rng: np.random.Generator) -> Iterator[Image]:
    """Draws the frames of one clip; without a motion, the scene is empty.

    Yields:
        30 to 50 frames, uint8 (FRAME_HEIGHT, FRAME_WIDTH, 3), BGR.
    """
    camera, joints = perform(motion, group, rng)
    grain = int(rng.integers(2, 7))
    for index in range(len(camera)):
        world = group.backdrop.copy()
        if motion:
            _draw_figure(world, {name: places[index] for name, places in joints.items()}, motion, group)
        frame = cv2.warpAffine(world, camera[index], FRAME_SIZE, borderMode=cv2.BORDER_REPLICATE)
        noise = rng.integers(-grain, grain + 1, frame.shape, dtype=np.int16)
        yield cv2.add(frame, noise, dtype=cv2.CV_8U)  # saturates instead of wrapping around


def perform(motion: Motion | None, group: Group, rng: np.random.Generator) -> tuple[Floats, dict[str, Floats]]:
    """One performance: the camera of each frame, as `_move_camera` gives it, and the joints, as `place_joints` does."""
    count = int(rng.integers(30, 51))
    camera = _move_camera(group, rng, count)
    return camera, place_joints(play(motion, group, rng, count), motion, group) if motion else {}


def _move_camera(group: Group, rng: np.random.Generator, count: int) -> Floats:
    """The affine map from world to frame pixels for each frame, float64 (count, 2, 3): drift and shake."""
    # Each clip draws the direction of the drift: a fixed one would show an order-blind model which frames come late.
    drift = group.drift * rng.choice((-1, 1)) * np.linspace(-1, 1, count)[:, None]
    zoom = group.zoom * (1 + drift[:, 2])
    middle = np.array((WORLD_WIDTH, WORLD_HEIGHT)) / 2 + group.offset + drift[:, :2] + rng.normal(0, 0.8, (count, 2))
    camera = np.zeros((count, 2, 3))
    camera[:, 0, 0] = -zoom if group.mirrored else zoom
    camera[:, 1, 1] = zoom
    camera[:, 0, 2] = FRAME_WIDTH / 2 - camera[:, 0, 0] * middle[:, 0]
    camera[:, 1, 2] = FRAME_HEIGHT / 2 - zoom * middle[:, 1]
    return camera


def place_joints(track: Floats, motion: Motion, group: Group) -> dict[str, Floats]:
    """Places poses in the world: centred, standing on the ground, with the fixed joint not moving.

    Args:
        track: float64 (count, 10), from `play`.
        motion: What is performed.
        group: Who performs it.

    Returns:
        float64 (count, 2), world pixels x and y, of each joint and of the prop.
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
    """Draws the prop and the performer over the scene, distant parts first."""
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
