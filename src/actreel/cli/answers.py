"""Where answers go: to stdout, to one file, or to one file per video, in any of the formats."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Literal, TextIO

from actreel.base.atomic import written_aside
from actreel.base.console import can_print
from actreel.cli.sources import Video
from actreel.errors import ConfigError
from actreel.youtube.links import is_link, video_id

if TYPE_CHECKING:
    from actreel.inference.recogniser import Prediction

Name = Literal["text", "json", "csv", "webvtt", "elan", "labelstudio"]
"""The formats; all but `text`, which is for people, are in `actreel.inference.exports`."""

Write = Callable[[Video, "Prediction"], None]
"""Writes the answer for a video."""

BAR_WIDTH = 24


class Answers:
    """The place and the format of a command's answers, checked before the first is asked for."""

    def __init__(self, name: Name, out: Path | None, videos: Sequence[Video], *, one: bool) -> None:
        """Chooses between stdout, a file and a folder.

        Args:
            name: The format.
            out: The file or folder; None is stdout.
            videos: What is asked for.
            one: Whether it is one video by its name, not the content of a folder.

        Raises:
            ConfigError: The format cannot be written there, or it would replace one of the videos.
        """
        from actreel.inference.exports import FORMATS, Format

        bar = "█" if out is not None or can_print("█") else "#"
        self._format = Format(".txt", partial(as_text, bar=bar)) if name == "text" else FORMATS[name]
        self._out = out
        self._sources = {Path(video.source).resolve() for video in videos if not is_link(video.source)}
        self._names: set[str] = set()
        self._is_folder = self._format.one_per_video and (not one or (out is not None and out.is_dir()))
        ending = self._format.ending
        if out is None:
            if self._is_folder and len(videos) > 1:
                raise ConfigError(
                    f"A file of {name} is about one video. Received: {len(videos)} videos. Name a folder: --out FOLDER"
                )
        elif self._is_folder and out.exists() and not out.is_dir():
            raise ConfigError(
                f"A file of {name} is about one video, so --out must be a folder. Received: the file '{out}'."
            )
        elif not self._is_folder and out.is_dir():
            raise ConfigError(
                f"--out must be a file, which all answers go to. Received: the folder '{out}'. "
                f"Name a file: --out '{out / ('answers' + ending)}'"
            )
        if not self._is_folder and out is not None:
            self._check_not_a_video(out)

    @contextmanager
    def opened(self) -> Iterator[Write]:
        """Gives the function that writes an answer. One file appears once all its answers are there."""
        ending = self._format.ending
        if self._out is None:
            put = {".txt": sys.stdout.write, ".json": print_json, ".jsonl": print_json}.get(ending, _print_bytes)
            with self._joined(put) as write:
                yield write
        elif self._is_folder:
            yield partial(self._write_one, self._out)
        else:
            with written_aside(self._out) as aside, _opened(aside) as file, self._joined(file.write) as write:
                yield write

    @contextmanager
    def _joined(self, put: Callable[[str], object]) -> Iterator[Write]:
        form = self._format
        begun = False

        def write(video: Video, prediction: Prediction) -> None:
            nonlocal begun
            put((form.between if begun else "") + form.render(prediction))
            begun = True

        if form.before:
            put(form.before)
        yield write
        if form.after:
            put(form.after)

    def _write_one(self, folder: Path, video: Video, prediction: Prediction) -> None:
        path = folder / self._name(video)
        self._check_not_a_video(path)
        with written_aside(path) as aside, _opened(aside) as file:
            file.write(self._format.before + self._format.render(prediction) + self._format.after)

    def _name(self, video: Video) -> PurePath:
        """The name of a video's file: that of the video with another ending, or one that no other video's file has."""
        below = PurePath(video_id(video.source) + ".link") if is_link(video.source) else video.below
        ending = self._format.ending
        names = [below.with_suffix(ending), below.with_name(below.name + ending)]
        number = 2
        while (name := names.pop(0)) and str(name).casefold() in self._names:
            names.append(below.with_name(f"{below.name} ({number}){ending}"))
            number += 1
        self._names.add(str(name).casefold())
        return name

    def _check_not_a_video(self, path: Path) -> None:
        if path.resolve() in self._sources:
            raise ConfigError(f"An answer must not replace its video. Received: --out '{path}'. Name another file.")


def _opened(path: Path) -> TextIO:
    return path.open("w", encoding="utf-8", errors="backslashreplace", newline="")


def _print_bytes(text: str) -> None:
    """To stdout in UTF-8, whatever the terminal's encoding: the formats ask for it, and for their line ends."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode(errors="backslashreplace"))


def print_json(text: str) -> None:
    """To stdout, with JSON's escapes for letters that the terminal's encoding lacks."""
    if not can_print(text):
        text = re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], text)
    sys.stdout.write(text)


def as_text(prediction: Prediction, bar: str) -> str:
    """An answer for people: the action, and a bar for each of the likeliest."""
    info = prediction.video
    video = f"{prediction.source} ({info.duration_s:.1f} s, {info.width}x{info.height})"
    if not prediction.known:
        nearest = ", ".join(scored.label for scored in prediction.top)
        return f"{video}: unknown, none of the actions that the model knows\n  nearest: {nearest}\n"
    width = max(len(scored.label) for scored in prediction.top)
    lines = [f"{video}: {prediction.label}"]
    for scored in prediction.top:
        length = round(scored.confidence * BAR_WIDTH)
        lines.append(f"  {scored.label:<{width}}  {scored.confidence:6.1%}  {bar * length}".rstrip())
    return "\n".join(lines) + "\n"
