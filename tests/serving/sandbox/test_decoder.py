"""What the decoder process makes of files whose headers lie, and of those that are no videos here."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from actreel.config import ClipSpec
from actreel.inference.classifier import ClassifierCard, Provenance
from actreel.video.clips import load_clip
from actreel.video.opencv import cv2
from serving.sandbox.processes import Decoder, Frames, Plan
from serving.settings import Settings
from tests.conftest import grey_frames, write_video_file
from tests.dataset.containers import claim_frames
from tests.films import FILMS, INTERLACED_FILMS, encode, with_codec, with_duration, write_song
from tests.serving.conftest import Server
from tests.serving.routes.test_jobs import ended, submit

SPEC = ClipSpec(num_frames=5, height=32, width=32)


def upload(client: httpx.Client, path: Path) -> httpx.Response:
    return client.post("/predict_file", files={"video": path.read_bytes()})


@pytest.mark.parametrize("claimed", [500_000, 2**31 - 1])
def test_a_header_that_claims_too_many_frames_is_no_reason_to_refuse(
    client: httpx.Client, tmp_path: Path, claimed: int
) -> None:
    film = claim_frames(write_video_file(tmp_path / "film.avi", grey_frames([128] * 36)), claimed)
    answer = upload(client, film)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["label"], answer.json()["video"]["duration_s"]) == ("middle", 1.44)


@pytest.mark.parametrize(("name", "codec"), [("film.mp4", "libx264"), ("film.webm", "libvpx")])
def test_a_header_that_claims_too_long_a_duration_is_no_reason_to_refuse(
    client: httpx.Client, tmp_path: Path, name: str, codec: str
) -> None:
    film = with_duration(encode(tmp_path / name, grey_frames([128] * 50), codec), 3000)
    answer = upload(client, film)
    assert answer.status_code == 200, answer.text
    assert answer.json()["video"]["duration_s"] == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize(("name", "codec"), [("film.mp4", "libx264"), ("film.webm", "libvpx")])
def test_a_false_duration_does_not_change_the_answer(
    client: httpx.Client, tmp_path: Path, name: str, codec: str
) -> None:
    film = encode(tmp_path / name, grey_frames([5] * 125 + [250] * 125), codec)
    honest = upload(client, film).json()["segments"]
    for seconds in (1, 59, 3000):
        assert upload(client, with_duration(film, seconds)).json()["segments"] == honest


def test_too_many_frames_are_refused_whatever_is_claimed(client: httpx.Client, tmp_path: Path) -> None:
    film = write_video_file(tmp_path / "film.avi", grey_frames([128] * 2001), fps=100)
    for claimed in (2001, 5, 500_000):
        answer = upload(client, claim_frames(film, claimed))
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "beyond_limits")


def test_a_codec_that_is_not_known_here_is_named_with_the_command_that_converts_it(
    client: httpx.Client, tmp_path: Path
) -> None:
    film = with_codec(FILMS["h264.mp4"](tmp_path / "film.mp4", 0), b"avc1\0", b"zzzz\0")
    error = upload(client, film).json()["error"]
    assert error["code"] == "unknown_codec"
    assert "zzzz" in error["message"]
    assert "ffmpeg -i IN -c:v libx264" in error["next_step"]
    assert str(tmp_path) not in str(error)


@pytest.mark.parametrize("name", ["song.mp3", "song.m4a", "still.png", "still.gif"])
def test_sound_with_a_cover_and_still_pictures_are_no_videos(client: httpx.Client, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "still.gif":
        encode(path, grey_frames([90]), "gif", pixels="rgb8")
    elif name == "still.png":
        cv2.imwrite(str(path), grey_frames([90])[0])
    else:
        cover = cv2.imencode(".png", grey_frames([90], 64, 64)[0])[1].tobytes()
        write_song(path, "libmp3lame" if name.endswith("mp3") else "aac", cover)
    answer = upload(client, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "not_a_video")


def test_frames_of_two_visitors_never_mix(tmp_path: Path) -> None:
    """One decoder process, one visitor after the other: each gets the frames of their own video alone."""
    films = [write(tmp_path / f"{seed}_{name}", seed) for name, write in FILMS.items() for seed in (1, 2)]
    provenance = Provenance(dataset="", data_version="", run_id="", git_commit="", trained_at="")
    card = ClassifierCard(labels=("a", "b"), clip=SPEC, provenance=provenance)

    async def watch(visits: list[Path]) -> list[NDArray[np.uint8]]:
        decoder = await Decoder.start(card, Settings())
        clips = []
        for film in visits:
            async with aclosing(decoder.decode(film, 120, 0)) as messages:
                pixels = b""
                async for said in messages:
                    if isinstance(said, Plan):  # a second pass replaces the first
                        pixels = b""
                    elif isinstance(said, Frames):
                        pixels += said.pixels
            clips.append(np.frombuffer(pixels, dtype=np.uint8).reshape(SPEC.shape))
        await decoder.kill()
        return clips

    visits = [film for first in range(0, len(films), 2) for film in films[first : first + 2] * 3]
    expected = {film: load_clip(film, SPEC) for film in films}
    for film, clip in zip(visits, asyncio.run(watch(visits)), strict=True):
        np.testing.assert_array_equal(clip, expected[film], err_msg=film.name)


@pytest.mark.parametrize("name", INTERLACED_FILMS)
def test_thumbnails_show_the_visitor_s_own_video(client: httpx.Client, tmp_path: Path, name: str) -> None:
    for seed in (1, 2, 1):
        film = FILMS[name](tmp_path / name, seed)
        job = submit(client, film)
        assert ended(client, job)["state"] == "done"
        shown = client.get(f"/jobs/{job}/frames/0.jpg")
        assert shown.status_code == 200, shown.text
        picture = cv2.imdecode(np.frombuffer(shown.content, dtype=np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        first = load_clip(film, ClipSpec(num_frames=8, height=32, width=32))[0]
        seen = cv2.resize(picture, (32, 32), interpolation=cv2.INTER_AREA)
        assert np.abs(seen.astype(int) - first).mean() < 12


def test_memory_that_nobody_filled_holds_nothing_of_another_visitor(server: Server) -> None:
    """The decoder's glibc overwrites what it hands out; a frame that was never filled would be one plain grey."""
    ask = (
        "import av, numpy as np\n"
        "sizes = [(320, 240), (64, 48), (1920, 1080)]\n"
        "used = [np.random.default_rng(0).bytes(w * h * 3) for w, h in sizes]\n"
        "del used\n"
        "print([np.unique(av.VideoFrame(w, h, 'rgb24').to_ndarray()).size for w, h in sizes])"
    )
    environment = server.only_decoder().environ()
    told = subprocess.run([sys.executable, "-c", ask], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout == "[1, 1, 1]\n"
