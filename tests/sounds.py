"""Films with sound, made by PyAV."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from tests.conftest import fading_frames


def tone(hertz: float, seconds: float, rate: int = 16_000) -> NDArray[np.float64]:
    """A sine of half the largest amplitude."""
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def write_sounding(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    sound: NDArray[np.float64],
    *,
    fps: int = 25,
    rate: int = 16_000,
    codec: str = "pcm_s16le",
    delay_s: float = 0.0,
) -> Path:
    """Writes RGB frames with a sound of one channel that starts `delay_s` later."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = list(frames)
    with av.open(str(path), "w") as output:
        video, audio = output.add_stream("mpeg4", rate=fps), output.add_stream(codec, rate=rate, layout="mono")
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = "yuv420p"
        for number, pixels in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            picture.pts = number
            output.mux(video.encode(picture))
        output.mux(video.encode(None))
        for start in range(0, len(sound), 1024):
            piece = (sound[start : start + 1024] * 32767).astype(np.int16)
            heard = av.AudioFrame.from_ndarray(piece[np.newaxis], format="s16", layout="mono")
            heard.sample_rate, heard.time_base = rate, Fraction(1, rate)
            heard.pts = start + round(delay_s * rate)
            output.mux(audio.encode(heard))
        output.mux(audio.encode(None))
    return path


def write_sounding_dataset(folder: Path, groups: int = 6) -> Path:
    """Four actions, BrightenUp to DarkenDown: the pictures tell the first half of the name, the pitch the second."""
    for group in range(1, groups + 1):
        rng = np.random.default_rng(group)
        for look in ("Brighten", "Darken"):
            for pitch in ("Up", "Down"):
                frames = fading_frames(rng, look == "Brighten", 12 + group)
                parts = [tone(hertz + rng.uniform(0, 100), len(frames) / 50) for hertz in (400, 2000)]
                sound = np.concatenate(parts[:: 1 if pitch == "Up" else -1])
                write_sounding(folder / f"{look}{pitch}" / f"v_{look}{pitch}_g{group:02d}_c01.avi", frames, sound)
    return folder
