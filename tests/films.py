"""Real videos of kinds that OpenCV cannot write, encoded by PyAV's FFmpeg."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

INTERLACED = {"flags": "+ilme+ildct"}
"""Options that make an encoder write interlaced frames."""


def encode(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    codec: str,
    options: dict[str, str] | None = None,
    pixels: str = "yuv420p",
    rate: int = 25,
) -> Path:
    """Writes RGB frames, uint8 (H, W, 3)."""
    with av.open(str(path), "w") as container:
        stream: Any = None
        for frame in frames:
            if stream is None:
                stream = container.add_stream(codec, rate=rate, options=options)
                stream.height, stream.width = frame.shape[:2]
                stream.pix_fmt = pixels
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def pictures(num_frames: int, height: int = 240, width: int = 320, seed: int = 0) -> list[NDArray[np.uint8]]:
    """Coloured blocks that drift: no two frames are equal, and codecs keep them nearly as they are."""
    blocks = np.random.default_rng(seed).integers(20, 236, (height // 40, width // 40, 3), dtype=np.uint8)
    picture = np.kron(blocks, np.ones((40, 40, 1), dtype=np.uint8))
    return [np.roll(picture, 4 * place, axis=1) for place in range(num_frames)]


def write_song(path: Path, codec: str, cover: bytes) -> Path:
    """A second of silence with a cover, PNG, as music shops sell it."""
    # Not "ipod", which .m4a stands for: FFmpeg's takes no cover.
    with av.open(str(path), "w", format="mp4" if path.suffix == ".m4a" else None) as container:
        sound: Any = container.add_stream(codec, rate=44100)
        still: Any = container.add_stream("png", rate=1)
        still.width = still.height = 64
        still.pix_fmt = "rgb24"
        still.disposition = av.stream.Disposition.attached_pic
        packet = av.Packet(cover)
        packet.stream = still
        packet.pts = packet.dts = 0
        container.mux(packet)
        for start in range(0, 44100, 1152):
            frame = av.AudioFrame.from_ndarray(np.zeros((2, 1152), dtype=np.float32), format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = 44100, start
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    return path


def with_codec(path: Path, old: bytes, new: bytes) -> Path:
    """Makes a container claim another codec."""
    data = path.read_bytes()
    if old not in data:
        raise ValueError(f"There must be {old!r} in the file.")
    path.write_bytes(data.replace(old, new))
    return path


def with_duration(film: Path, seconds: int) -> Path:
    """Makes a header of MP4 or WebM claim so many seconds; MP4's edit list, which cuts, stays."""
    data = bytearray(film.read_bytes())
    if film.suffix == ".webm":
        struct.pack_into(">d", data, data.index(b"\x44\x89\x88") + 3, seconds * 1000.0)
        film.write_bytes(data)
        return film
    for box, scale_at, duration_at in ((b"mvhd", 16, 20), (b"mdhd", 16, 20)):
        start = data.index(box)
        (scale,) = struct.unpack_from(">I", data, start + scale_at)
        struct.pack_into(">I", data, start + duration_at, seconds * scale)
        if box == b"mvhd":
            struct.pack_into(">I", data, data.index(b"tkhd") + 24, seconds * scale)
    film.write_bytes(data)
    return film


NUM_FRAMES = 12


def dv_pictures(num_frames: int, seed: int = 0) -> list[NDArray[np.uint8]]:
    """The only size that PAL DV has."""
    return [np.pad(picture, ((0, 16), (0, 0), (0, 0))) for picture in pictures(num_frames, 560, 720, seed)]


def _kind(
    codec: str, options: dict[str, str] | None = None, pixels: str = "yuv420p", size: tuple[int, int] = (240, 320)
) -> Callable[[Path, int], Path]:
    return _kept(lambda path, seed: encode(path, pictures(NUM_FRAMES, *size, seed), codec, options, pixels))


def _kept(write: Callable[[Path, int], Path]) -> Callable[[Path, int], Path]:
    """Encodes each film once in a process, and writes a copy from then on."""

    @cache
    def content(ending: str, seed: int) -> bytes:
        with TemporaryDirectory() as folder:
            return write(Path(folder) / f"film{ending}", seed).read_bytes()

    def copy(path: Path, seed: int) -> Path:
        path.write_bytes(content(path.suffix, seed))
        return path

    return copy


QUIET = {"x265-params": "log-level=0"}

FILMS: dict[str, Callable[[Path, int], Path]] = {
    "mpeg4.avi": _kind("mpeg4", {"qscale": "2"}),
    "h264.mp4": _kind("libx264"),
    "h264.ts": _kind("libx264"),
    "h264.flv": _kind("libx264"),
    "h264_422_ten_bit.mkv": _kind("libx264", pixels="yuv422p10le"),
    "hevc.mp4": _kind("libx265", QUIET),
    "hevc_ten_bit.mp4": _kind("libx265", QUIET, "yuv420p10le"),
    "vp8.webm": _kind("libvpx", {"deadline": "realtime", "cpu-used": "8"}),
    "vp9.webm": _kind("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
    "av1.mp4": _kind("libsvtav1", {"preset": "12"}),
    "prores.mov": _kind("prores_ks", pixels="yuv422p10le"),
    "ffv1.mkv": _kind("ffv1"),
    "ten_bit.mkv": _kind("ffv1", pixels="yuv420p10le"),
    "grey.mkv": _kind("ffv1", pixels="gray"),
    "mjpeg.avi": _kind("mjpeg", pixels="yuvj420p"),
    "mpeg1.mpg": _kind("mpeg1video"),
    "mpeg2.mpg": _kind("mpeg2video"),
    "wmv2.wmv": _kind("wmv2"),
    "animation.gif": _kind("gif", pixels="rgb8"),
    "interlaced_mpeg4.avi": _kind("mpeg4", INTERLACED),
    "interlaced_h264.mp4": _kind("libx264", INTERLACED),
    "interlaced_h264_ten_bit.mkv": _kind("libx264", INTERLACED, "yuv422p10le"),
    "interlaced_hevc.mkv": _kind("libx265", {"x265-params": "log-level=0:interlace=tff"}),
    "interlaced_mpeg2.mpg": _kind("mpeg2video", INTERLACED),
    "interlaced_mpeg2.mxf": _kind("mpeg2video", INTERLACED, "yuv422p"),
    # Half of AVCHD's rows and columns: 540 rows are padded as 1080 are.
    "interlaced_avchd.mts": _kind("libx264", INTERLACED, size=(540, 960)),
    "dv.dv": _kept(lambda path, seed: encode(path, dv_pictures(NUM_FRAMES, seed), "dvvideo")),
}
INTERLACED_FILMS = [name for name in FILMS if name.startswith(("interlaced", "dv"))]
