"""Files of every kind: decoded as ffmpeg decodes them, or refused with the reason."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition
from numpy.typing import NDArray

from actreel.errors import VideoCodecError, VideoError, VideoLimitError
from actreel.video.container import opened
from actreel.video.decode import decode_passes, probe, sample_frames
from actreel.video.info import VideoLimits
from actreel.video.opencv import cv2
from tests.conftest import grey_frames, write_video_file
from tests.ffmpeg_films import FFMPEG_FILMS, ffmpeg, film, joined, turned
from tests.films import FILMS, NUM_FRAMES, dv_pictures, encode, pictures, with_codec, with_duration, write_song

FARTHEST = {"grey.mkv": 60, "animation.gif": 20}
"""Mean grey levels that a film may be from the pictures that went in; these two lose their colours."""


def decode(path: Path) -> NDArray[np.uint8]:
    return sample_frames(path, np.arange, lambda frame: frame)[0]


MakeFilm = Callable[[str, int], Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MakeFilm:
    """Writes a film of a name and a seed once."""
    folder = tmp_path_factory.mktemp("films")

    @cache
    def make(name: str, seed: int) -> Path:
        return FILMS[name](folder / f"{seed}_{name}", seed)

    return make


@pytest.mark.parametrize("name", FILMS)
def test_every_kind_gives_the_pictures_that_went_in(made: MakeFilm, name: str) -> None:
    frames = decode(made(name, 0))
    expected = dv_pictures(NUM_FRAMES) if name == "dv.dv" else pictures(NUM_FRAMES, *frames.shape[1:3])
    assert frames.shape == (NUM_FRAMES, *expected[0].shape)
    # Compressed, and with colours at half the resolution: nearer to its own picture than to the next.
    apart = [[np.abs(frame.astype(int) - other).mean() for other in expected] for frame in frames[:: NUM_FRAMES - 1]]
    assert np.argmin(apart, axis=1).tolist() == [0, NUM_FRAMES - 1]
    assert max(apart[0][0], apart[1][-1]) < FARTHEST.get(name, 16)


needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is the second witness; CI installs it")


@needs_ffmpeg
@pytest.mark.parametrize("name", [*FILMS, *FFMPEG_FILMS])
def test_frames_are_ffmpeg_s(made: MakeFilm, tmp_path: Path, name: str) -> None:
    if name in FILMS:
        path = made(name, 0)
    else:
        path = tmp_path / name
        FFMPEG_FILMS[name](path)
    frames = decode(path)
    expected = np.frombuffer(
        ffmpeg("-i", path, "-vsync", 0, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"), dtype=np.uint8
    ).reshape(-1, *frames.shape[1:])
    assert len(frames) == len(expected)
    assert np.abs(frames.astype(np.int16) - expected).mean(axis=(1, 2, 3)).max() <= 2
    info = probe(path)
    assert (info.num_frames, info.height, info.width) == frames.shape[:3]


@needs_ffmpeg
def test_a_video_turned_by_half_a_right_angle_is_refused(tmp_path: Path) -> None:
    turned(0.7, 0.7, -0.7, 0.7)(tmp_path / "tilted.mp4")
    with pytest.raises(VideoError, match=r"multiple of 90 degrees\. Received: 45 degrees, from .*tilted\.mp4"):
        probe(tmp_path / "tilted.mp4")


@needs_ffmpeg
def test_a_size_beyond_the_limit_is_refused_wherever_it_begins(tmp_path: Path) -> None:
    path = tmp_path / "film.ts"
    joined(film("-c:v libx264"), film("-c:v libx264", "640x480"), "ts")(path)
    limits = VideoLimits(max_pixels=320 * 240, max_frames=100, max_duration_s=10)
    passes = decode_passes(path, limits)
    attempt = next(passes)
    with pytest.raises(VideoLimitError, match="Received: 640x480"):
        list(attempt.frames(np.arange(1), lambda frame: frame))


@pytest.mark.parametrize("name", FILMS)
def test_frames_of_two_videos_never_mix(made: MakeFilm, name: str) -> None:
    """The second visitor's frames are the same whoever came before: nothing is left of the first's."""
    first, second = (made(name, seed) for seed in (1, 0))
    alone = decode(second)
    for _ in range(3):
        others = decode(first)
        del others  # its memory is free for the next
        np.testing.assert_array_equal(decode(second), alone)


class Converter:
    """Stands in for FFmpeg's filters."""

    def __init__(self, converted: av.VideoFrame | None) -> None:
        self.push = lambda frame: None
        self._converted = converted

    def vpull(self) -> av.VideoFrame:
        if self._converted is None:
            raise ValueError("Cannot convert interlaced to progressive frames")
        return self._converted


@pytest.mark.parametrize(
    ("converted", "reason"),
    [
        (None, "Cannot convert interlaced to progressive frames"),
        (av.VideoFrame(320, 240, "yuv420p"), "it gave yuv420p, 320x240"),
        (av.VideoFrame(32, 24, "rgb24"), "it gave rgb24, 32x24"),
    ],
)
def test_a_frame_that_was_not_converted_is_never_returned(
    tmp_path: Path, converted: av.VideoFrame | None, reason: str
) -> None:
    path = FILMS["interlaced_mpeg4.avi"](tmp_path / "film.avi", 0)
    with opened(path) as film:
        film._converter = lambda frame: Converter(converted)  # type: ignore[assignment, method-assign, return-value]
        frame = next(film.frames())
        with pytest.raises(VideoError, match=rf"yuv420p, 320x240, interlaced, .*film\.avi.*{reason}.*ffmpeg -i"):
            film.to_rgb(frame)


def test_pyav_raises_where_ffmpeg_s_filters_fail(tmp_path: Path) -> None:
    """What `to_rgb` relies on. If this fails after an upgrade of PyAV, frames may come back unfilled."""
    path = FILMS["h264.mp4"](tmp_path / "film.mp4", 0)
    with opened(path) as film:
        frame = next(film.frames())
        frame.color_trc = 3  # reserved: swscale knows no such transfer function
        graph = film._converter(frame)
        graph.push(frame)
        with pytest.raises((ValueError, av.error.FFmpegError)):
            graph.vpull()


def reserved(frame: av.VideoFrame) -> av.VideoFrame:
    frame.color_trc = frame.color_primaries = frame.colorspace = 3
    return frame


def test_reserved_colour_tags_are_no_reason_to_refuse(tmp_path: Path) -> None:
    path = FILMS["h264.mp4"](tmp_path / "film.mp4", 0)
    with opened(path) as film:
        plain, tagged = (film.to_rgb(with_tags) for with_tags in (next(film.frames()), reserved(next(film.frames()))))
    assert np.abs(plain.astype(int) - tagged).mean() < 10, "they are neighbours"


def png() -> bytes:
    return bytes(cv2.imencode(".png", np.full((64, 64, 3), 90, dtype=np.uint8))[1].tobytes())


@pytest.mark.parametrize("name", ["song.mp3", "song.m4a", "still.png", "still.jpg", "still.gif", "still.webp"])
def test_sound_and_still_pictures_are_no_videos(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "still.gif":
        encode(path, pictures(1), "gif", pixels="rgb8")
    elif name.startswith("still"):
        cv2.imwrite(str(path), np.full((64, 64, 3), 90, dtype=np.uint8))
    else:
        write_song(path, "libmp3lame" if name.endswith("mp3") else "aac", png())
    with pytest.raises(VideoError, match=rf"must be a video.*{name}.*Replace or remove it"):
        probe(path)


def test_an_animation_is_a_video(tmp_path: Path) -> None:
    assert probe(encode(tmp_path / "film.gif", pictures(5), "gif", pixels="rgb8", rate=10)).num_frames == 5


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        (b"RIFF\x10\0\0\0WEBPVP8X", r"is a WebP picture\. .*: magick moving\.webp clip\.mp4$"),
        (b"FLV\x01\x01\0\0\0\x09\0\0\0\0", r"is cut off before its first frame\."),
        (b"", r"is damaged or not a video\."),
    ],
)
def test_what_ffmpeg_does_not_open_is_told_by_its_kind(tmp_path: Path, start: bytes, reason: str) -> None:
    (tmp_path / "film.mp4").write_bytes(start)
    with pytest.raises(VideoError, match=reason):
        probe(tmp_path / "film.mp4")


@pytest.mark.parametrize(
    ("name", "widths", "default", "shown"),
    [("no_default.ts", (64, 96), None, 96), ("small_default.mkv", (96, 64), 1, 64), ("equal.ts", (64, 64), None, 64)],
)
def test_of_several_pictures_at_once_the_one_that_players_show_is_decoded(
    tmp_path: Path, name: str, widths: tuple[int, int], default: int | None, shown: int
) -> None:
    with av.open(str(tmp_path / name), "w") as container:
        streams: list[Any] = [container.add_stream("mpeg2video", rate=25) for _ in widths]
        for number, (stream, width) in enumerate(zip(streams, widths, strict=True)):
            stream.width, stream.height, stream.pix_fmt = width, 64, "yuv420p"
            stream.disposition = Disposition.default if number == default else Disposition(0)
        for number, stream in enumerate(streams):
            for _ in range(number + 3):
                picture = np.zeros((64, stream.width, 3), dtype=np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode(None))
    info = probe(tmp_path / name)
    assert (info.width, info.num_frames) == (shown, 3 if name.startswith("equal") else 4)


@pytest.mark.parametrize("name", ["film.mjpeg", "film.MJPG"])
def test_jpeg_pictures_in_a_row_are_a_video(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 60, (64, 64, 3))
    levels = (40, 120, 200)
    jpegs = [cv2.imencode(".jpg", (noise + level - 30).astype(np.uint8))[1].tobytes() for level in levels]
    (tmp_path / name).write_bytes(b"".join(jpegs))
    assert [round(frame.mean(), -1) for frame in decode(tmp_path / name)] == list(levels)


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    film = write_video_file(tmp_path / "film.avi", grey_frames([10, 20]))
    (tmp_path / "list.m3u8").write_text(f"#EXTM3U\n#EXTINF:1,\n{film}\n#EXT-X-ENDLIST\n")
    (tmp_path / "list.txt").write_text(f"ffconcat version 1.0\nfile '{film}'\n")
    for name in ("list.m3u8", "list.txt"):
        with pytest.raises(VideoError, match=name):
            probe(tmp_path / name)


def test_a_codec_without_a_decoder_is_named(tmp_path: Path) -> None:
    path = with_codec(FILMS["h264.mp4"](tmp_path / "film.mp4", 0), b"avc1\0", b"zzzz\0")
    with pytest.raises(VideoCodecError, match=r"codec zzzz of .*film\.mp4.* cannot be decoded here.*ffmpeg -i"):
        probe(path)


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS allows no such name")
def test_a_name_that_is_no_utf8_is_a_name(tmp_path: Path) -> None:
    film = write_video_file(tmp_path / "film.avi", grey_frames([10, 20]))
    odd = tmp_path / "caf\udce9.avi"
    film.rename(odd)
    assert probe(odd).num_frames == 2


def test_frames_and_times_that_decode_count_not_the_claimed_duration(tmp_path: Path) -> None:
    film = with_duration(FILMS["h264.mp4"](tmp_path / "film.mp4", 0), 3000)
    info = probe(film)
    assert (info.num_frames, round(info.fps), round(info.duration_s, 2)) == (NUM_FRAMES, 25, 0.48)
