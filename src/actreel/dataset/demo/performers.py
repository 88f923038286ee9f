"""Who acts where: the performer, the scene and the camera that all clips of a group share."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actreel.video.opencv import cv2

Image = NDArray[np.uint8]
Floats = NDArray[np.float64]
Colour = tuple[float, float, float]

FRAME_SIZE = FRAME_WIDTH, FRAME_HEIGHT = 160, 120
# Twice the size of a frame, with a margin for the camera to move in.
WORLD_WIDTH, WORLD_HEIGHT = 420, 320
GROUND = 272
"""World pixels from the top."""


LENGTHS = {"head": 0.075, "torso": 0.29, "arm": 0.17, "forearm": 0.18, "thigh": 0.235, "shin": 0.225, "foot": 0.075}
"""In body heights; the head's is its radius."""


@dataclass(frozen=True)
class Group:
    """What all clips of a group share: the performer, the scene and the camera.

    Attributes:
        backdrop: uint8 (WORLD_HEIGHT, WORLD_WIDTH, 3), BGR.
        colours: BGR, 0 to 255, by the name of what they paint.
        lengths: In body heights, by part as in `LENGTHS`.
        manner: float64 (9,), degrees added to the angles of every pose.
        height: World pixels from head to foot.
        girth: Thickness of the body; 1 is average.
        speed: Pace of all motions; 1 is average.
        fps: Frames a second.
        mirrored: Whether the performer faces left.
        zoom: Frame pixels per world pixel; 0.5 is average.
        offset: float64 (2,), world pixels, x and y, from the centre of the world to the point the camera looks at.
        drift: float64 (3,), how far the camera pans (world pixels, x and y) and zooms (share) from the middle of a
            clip to its end.
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


def draw_group(rng: np.random.Generator, *, mirrored: bool) -> Group:
    """Draws a performer, a scene and a camera at random."""
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
    """Paints a dim wall, a floor and some furniture; a small network learns slowly unless performers are brighter."""
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
