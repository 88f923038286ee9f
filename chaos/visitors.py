"""Two visitors at once, with files of every kind: neither gets a frame, a name or an answer of the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np

from tests.ffmpeg_films import FFMPEG_FILMS
from tests.films import FILMS
from tests.serving.conftest import Server, wait_for

NUM_THUMBNAILS = 8
CHEAP = ("mpeg4.avi", "vp8.webm", "animation.gif", "interlaced_mpeg4.avi", "interlaced_h264.mp4")
"""Kinds that are soon decoded: with and without a key frame each, a palette, and interlaced ones."""
OURS = ("label", "confidence", "known", "top", "segments", "video")
"""Of an answer, what depends on the video alone."""


@dataclass(frozen=True)
class Seen:
    """What a visitor got for a video.

    Attributes:
        direct: Of the answer to `POST /predict_file`.
        job: Of the job's result, or the reason why it failed.
        frames: The job's thumbnails, JPEG.
    """

    direct: dict[str, Any]
    job: dict[str, Any]
    frames: tuple[bytes, ...]


def write_films(folder: Path, *, every_kind: bool) -> list[Path]:
    """Two films of each kind that PyAV writes, equal but for their pictures, and ffmpeg's; or those that are cheap."""
    films = []
    for name, write in FILMS.items():
        if every_kind or name in CHEAP:
            films += [write(folder / f"{visitor}_{name}", seed) for seed, visitor in ((1, "ann"), (2, "bob"))]
    for name, write in FFMPEG_FILMS.items() if every_kind else ():
        write(folder / name)
        films.append(folder / name)
    return films


def pairs_of(films: Sequence[Path], number: int, seed: int = 0) -> Iterator[tuple[Path, Path]]:
    """Each film of the first kind with its twin, then any two different ones."""
    twins = [(film, film.with_name(f"bob_{film.name[4:]}")) for film in films if film.name.startswith("ann_")]
    yield from twins[:number]
    rng = np.random.default_rng(seed)
    for _ in range(number - len(twins)):
        first, second = rng.choice(len(films), 2, replace=False)
        yield films[first], films[second]


def visit(server: Server, film: Path, together: Barrier | None = None) -> Seen:
    """Sends a film both ways, at the same time as the other visitor."""
    with server.client() as client:
        files = {"video": (film.name, film.read_bytes())}
        if together is not None:
            together.wait(30)
        created = client.post("/jobs", files=files)
        direct = client.post("/predict_file", files=files)
        created.raise_for_status()
        address = f"/jobs/{created.json()['id']}"
        job = wait_for(lambda: (now := client.get(address).json())["state"] in ("done", "failed") and now, 60)
        frames = tuple(client.get(f"{address}/frames/{number}.jpg").content for number in range(NUM_THUMBNAILS))
    return Seen(of_the_video(direct.json()), of_the_video(job["result"] or job), frames if job["result"] else ())


def of_the_video(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: answer[name] for name in (*OURS, "error") if answer.get(name) is not None}


def mixed_up(server: Server, films: Sequence[Path], number: int) -> Iterator[str | None]:
    """Sends pairs of films, and says for each pair what was other than when each film came alone; None if nothing."""
    pairs = list(pairs_of(films, number))
    alone = {film: visit(server, film) for film in dict.fromkeys(film for pair in pairs for film in pair)}
    with ThreadPoolExecutor(2) as pool:
        for pair in pairs:
            together = Barrier(2)
            visits = [pool.submit(visit, server, film, together) for film in pair]
            wrong = [film.name for film, seen in zip(pair, visits, strict=True) if seen.result() != alone[film]]
            yield f"{' and '.join(film.name for film in pair)}: other for {', '.join(wrong)}" if wrong else None
