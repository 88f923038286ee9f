"""Real videos from the program ffmpeg: what PyAV cannot write is among them, such as turned and cut ones."""

from __future__ import annotations

import shlex
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

Write = Callable[[Path], object]

SMALL = "160x120"
INTERLACED = "-flags +ilme+ildct"
X265 = "-c:v libx265 -x265-params log-level=0"
VP9 = "-c:v libvpx-vp9 -deadline realtime -cpu-used 8"
AV1 = "-c:v libsvtav1 -preset 12"
DV = "720x576"


def ffmpeg(*arguments: object) -> bytes:
    """Runs the program, and gives what it writes to stdout."""
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=True).stdout


def film(options: str, size: str = SMALL, num_frames: int = 8, source: str = "testsrc2") -> Write:
    """A moving test pattern."""
    return lambda path: ffmpeg(
        "-f", "lavfi", "-i", f"{source}=s={size}:r=25", *shlex.split(options), "-frames:v", num_frames, path
    )


def odd(options: str) -> Write:
    """An odd number of rows and columns, which `testsrc2` rounds down."""
    return film(options, "161x121", source="testsrc")


def turned(*matrix: float) -> Write:
    """An MP4 whose header has the display matrix (a, b, c, d): (x, y) is shown at (a*x + c*y, b*x + d*y)."""

    def write(path: Path) -> None:
        film("-c:v libx264")(path)
        data = bytearray(path.read_bytes())
        a, b, c, d = (round(value * 65536) for value in matrix)
        struct.pack_into(">9i", data, data.index(b"tkhd") + 44, a, b, 0, c, d, 0, 0, 0, 1 << 30)
        path.write_bytes(data)

    return write


def cut(before: str, after: str = "") -> Write:
    """A part of an H.264 film, without encoding it again: an edit list hides what is before the part."""

    def write(path: Path) -> None:
        whole = path.with_name(f"whole_{path.stem}.mp4")
        film("-c:v libx264 -g 10 -bf 2", num_frames=25)(whole)
        ffmpeg(*shlex.split(before), "-i", whole, *shlex.split(after), "-c", "copy", path)

    return write


def joined(first: Write, second: Write, ending: str) -> Write:
    """Two films in one stream, the second with other settings."""

    def write(path: Path) -> None:
        parts = [path.with_name(f"{number}_{path.stem}.{ending}") for number in (1, 2)]
        for part, make in zip(parts, (first, second), strict=True):
            make(part)
        stream = b"".join(part.read_bytes() for part in parts)
        if path.suffix == f".{ending}":
            path.write_bytes(stream)
        else:
            parts[0].write_bytes(stream)
            ffmpeg("-f", ending, "-i", parts[0], "-c", "copy", path)

    return write


def headless(path: Path) -> None:
    """A stream that begins between two key frames, as a recording of television does."""
    film("-c:v libx264 -g 10 -bf 2", num_frames=25)(path)
    path.write_bytes(path.read_bytes()[188 * 40 :])


FULL_RANGE = "-vf scale=out_range=full -c:v libx264 -pix_fmt yuv420p -color_range pc"
BT709 = "-vf scale=out_color_matrix=bt709 -c:v libx264 -pix_fmt yuv420p -colorspace bt709"
UNEVEN = "-vf setpts=N*N/100/TB -fps_mode passthrough"

FFMPEG_FILMS: dict[str, Write] = {
    "mpeg2_progressive.mpg": film("-c:v mpeg2video -q:v 2"),
    "mpeg2_bottom_first.mpg": film(f"-vf setfield=bff -c:v mpeg2video -q:v 2 {INTERLACED}"),
    "mpeg2_telecine.mpg": film(f"-vf telecine -c:v mpeg2video -q:v 2 {INTERLACED}", num_frames=12),
    "mpeg2_b_frames.ts": film("-c:v mpeg2video -bf 2 -q:v 2"),
    "mpeg4_b_frames.avi": film("-c:v mpeg4 -bf 2 -q:v 2 -tag:v DX50"),
    "mpeg4_interlaced.mov": film(f"-vf setfield=tff -c:v mpeg4 -q:v 2 {INTERLACED}"),
    "h264_bottom_first.mp4": film(f"-vf setfield=bff -c:v libx264 {INTERLACED}"),
    "h264_rgb.mkv": film("-c:v libx264rgb"),
    "h264_full_range.mp4": film("-vf scale=out_color_matrix=bt709:out_range=full -c:v libx264 -pix_fmt yuv420p "
                                "-color_range pc -colorspace bt709"),
    "h264_open_gop.ts": film("-c:v libx264 -x264-params open-gop=1:keyint=8:min-keyint=8:bframes=3", num_frames=25),
    "h264.h264": film("-c:v libx264"),
    "h264_anamorphic.mp4": film("-vf setsar=16/11 -c:v libx264"),
    "h264_cropped.mp4": film("-c:v libx264 -pix_fmt yuv420p", "162x122"),
    "h264_odd.mp4": odd("-c:v libx264 -pix_fmt yuv444p"),
    "dv_ntsc.dv": film("-r 30000/1001 -c:v dvvideo -pix_fmt yuv411p", "720x480", 3),
    "dv_pal.avi": film("-c:v dvvideo -pix_fmt yuv420p", DV, 3),
    "dv50.mov": film("-c:v dvvideo -pix_fmt yuv422p", DV, 3),
    "hevc.mkv": film(X265),
    "hevc_ten_bit.mp4": film(f"{X265} -pix_fmt yuv422p10le"),
    "hevc_hdr.mp4": film(f"{X265} -pix_fmt yuv420p10le -color_primaries bt2020 -color_trc smpte2084 "
                         "-colorspace bt2020nc"),
    "hevc_fields.mkv": film("-c:v libx265 -x265-params log-level=0:interlace=bff"),
    "vp9_odd.webm": odd(f"{VP9} -pix_fmt yuv420p"),
    "vp9_ten_bit.webm": film(f"{VP9} -pix_fmt yuv420p10le"),
    "vp9_alpha.webm": film(f"-vf format=yuva420p,colorchannelmixer=aa=0.5 {VP9}"),
    "av1.webm": film(AV1),
    "av1_ten_bit.mp4": film(f"{AV1} -pix_fmt yuv420p10le"),
    "prores_interlaced.mov": film(f"-vf setfield=tff -c:v prores_ks -pix_fmt yuv422p10le {INTERLACED}"),
    "prores_4444.mov": film("-c:v prores_ks -profile:v 4444 -pix_fmt yuva444p10le"),
    "ffv1_odd.mkv": odd("-c:v ffv1 -pix_fmt yuv420p"),
    "ffv1_grey_16_bit.mkv": film("-c:v ffv1 -pix_fmt gray16le"),
    "mjpeg_odd.mov": odd("-c:v mjpeg -q:v 2 -pix_fmt yuvj420p"),
    "mjpeg_422.avi": film("-c:v mjpeg -q:v 2 -pix_fmt yuvj422p"),
    "transparent.gif": film("-vf format=rgba,colorkey=black"),
    "uneven.gif": film(UNEVEN),
    "uneven.mkv": film(f"{UNEVEN} -c:v libx264"),
    "uneven.mp4": film(f"{UNEVEN} -c:v libx264"),
    "turned_90.mp4": turned(0, 1, -1, 0),
    "turned_180.mp4": turned(-1, 0, 0, -1),
    "turned_270.mov": turned(0, -1, 1, 0),
    "mirrored.mp4": turned(-1, 0, 0, 1),
    "upside_down.mp4": turned(1, 0, 0, -1),
    "transposed.mp4": turned(0, 1, 1, 0),
    "edit_list.mp4": cut("-ss 0.28"),
    "edit_list_both_ends.mov": cut("-ss 0.12", "-t 0.4"),
    "edit_list_delay.mp4": cut("-itsoffset 0.5"),
    "headless.ts": headless,
    "size_change.ts": joined(film("-c:v libx264"), film("-c:v libx264", "240x160"), "ts"),
    "size_change.mpg": joined(film("-c:v mpeg2video -q:v 2"), film("-c:v mpeg2video -q:v 2", "80x60"), "mpg"),
    "size_change.avi": joined(film("-c:v mjpeg -q:v 2"), film("-c:v mjpeg -q:v 2", "240x160"), "mjpeg"),
    "format_change.ts": joined(film("-c:v libx264"), film("-c:v libx264 -pix_fmt yuv422p10le"), "ts"),
    "range_change.ts": joined(film("-c:v libx264"), film(FULL_RANGE), "ts"),
    "matrix_change.ts": joined(film("-c:v libx264"), film(BT709), "ts"),
}  # fmt: skip
