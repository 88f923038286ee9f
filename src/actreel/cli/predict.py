"""`actreel predict`: recognises the action in videos."""

from __future__ import annotations

import logging
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actreel.base.places import MODEL
from actreel.cli.answers import Answers, Name
from actreel.cli.completion import model_folders
from actreel.cli.options import file_option
from actreel.cli.sources import videos_of
from actreel.errors import ActreelError

if TYPE_CHECKING:
    from actreel.inference.classifier import ClassifierCard

log = logging.getLogger(__name__)

UsedModel = Annotated[
    Path | None,
    file_option(
        "--model", f"model folder (without it: the packaged one, else {MODEL})", "DIR", autocompletion=model_folders
    ),
]


def predict(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE", help="a video file, a folder of videos, or a YouTube link"),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="the same as --format json")] = False,
    form: Annotated[Name | None, typer.Option("--format", help="format of the answers (without it: text)")] = None,
    out: Annotated[
        Path | None,
        file_option("--out", "file for the answers; for webvtt and elan of many videos a folder", "PATH"),
    ] = None,
    model: UsedModel = None,
) -> None:
    """Recognise the action in videos.

    A folder is searched with all folders below it. A video that cannot be read is named on stderr, and the others are
    answered all the same.

    Examples:
        actreel predict clip.avi
        actreel predict clip.avi https://youtu.be/dQw4w9WgXcQ --json
        actreel predict recordings --format csv --out segments.csv
        actreel predict recordings --format webvtt --out captions
        actreel predict *.mp4 --model artifacts/model

    Formats:
        text         a table for people
        json         one object per line, one for each video
        csv          one row per segment
        webvtt       captions, one file per video
        elan         ELAN's .eaf, one file per video
        labelstudio  Label Studio's tasks, with predictions to correct

    Exit codes:
        0  every video is answered, also with "unknown"
        1  a video cannot be read, or there is no model
    """
    if as_json and form not in (None, "json"):
        raise typer.BadParameter(f"it is not allowed with --format {form}", param_hint="--json")
    # Here, or a broken library would keep every command from starting, `actreel doctor` too.
    from actreel.inference.recogniser import Prediction, Recogniser

    failed: list[ActreelError] = []
    videos = list(videos_of(sources, failed.append))
    one = [video.source for video in videos] == sources and len(sources) == 1
    answers = Answers("json" if as_json else form or "text", out, videos, one=one)
    recogniser = Recogniser.load(model)
    if model is None:
        say_which(recogniser.card, recogniser.folder)
    progress = _Progress(len(videos))
    for error in failed:
        progress.tell(f"error: {error}")
    paths = [video.source for video in videos]
    with (
        answers.opened() as write,
        closing(recogniser.predict_many(paths, on_download=progress.download)) as outcomes,
    ):
        for video, outcome in zip(videos, outcomes, strict=True):
            progress.clear()
            if isinstance(outcome, Prediction):
                write(video, outcome)
            else:
                failed.append(outcome)
                progress.tell(f"error: {outcome}")
            progress.advance()
    progress.clear()
    if failed:
        sys.exit(1)


def say_which(card: ClassifierCard, folder: Path) -> None:
    """Logs which model is used, where none was named."""
    came = card.provenance
    kind = "not packaged, trained last" if folder == MODEL else "packaged"
    log.info(f"model: {kind}, of the dataset '{came.dataset}', trained {came.trained_at[:10]}, run {came.run_id}")


class _Progress:
    """One line at the foot of a terminal: how many videos are done, or of a single one the share downloaded."""

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0
        self._shown = sys.stderr.isatty() and log.isEnabledFor(logging.INFO)

    def download(self, share: float) -> None:
        """Shows the share downloaded; many are downloaded at once, so not of each."""
        if self._total == 1:
            self._show(f"downloading {share:4.0%}")

    def advance(self) -> None:
        """Counts a video as done."""
        self._done += 1
        if self._done < self._total:
            self._show(f"{self._done} of {self._total} videos")

    def tell(self, line: str) -> None:
        """Prints a line on stderr, above."""
        self.clear()
        print(line, file=sys.stderr)

    def clear(self) -> None:
        """Makes room for an answer."""
        self._show("")

    def _show(self, text: str) -> None:
        if self._shown:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
