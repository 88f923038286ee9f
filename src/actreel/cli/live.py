"""`actreel watch` and `actreel annotate`: recognise while a video runs, and draw answers into a copy."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actreel.base.console import can_print
from actreel.cli.answers import as_text, print_json
from actreel.cli.options import file_argument
from actreel.cli.predict import UsedModel, say_which
from actreel.errors import ConfigError, FetchError
from actreel.youtube.errors import YouTubeError
from actreel.youtube.links import video_id

if TYPE_CHECKING:
    from actreel.inference.classifier import ActionClassifier
    from actreel.live.watch import Sight

log = logging.getLogger(__name__)


def watch(
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="a camera's number, an address (rtsp://, http://), or a video file"),
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="print one JSON object per line, one for each window")
    ] = False,
    model: UsedModel = None,
    window: Annotated[
        float | None,
        typer.Option(
            "--window",
            metavar="SECONDS",
            min=0.05,
            max=3600,
            help="length of a window (without it: that of the training clips)",
        ),
    ] = None,
    every_frame: Annotated[
        bool, typer.Option("--every-frame", help="answer with every frame, instead of twice a window")
    ] = False,
    page: Annotated[
        bool, typer.Option("--page", help="show it on a page that only this machine can open; stderr has its address")
    ] = False,
    port: Annotated[
        int | None,
        typer.Option("--port", metavar="PORT", min=1, max=65535, help="of the page (without it: any that is free)"),
    ] = None,
) -> None:
    """Recognise what a camera or a stream shows, while it shows it.

    A line is printed when the label changes. Where frames come faster than the model answers, the newest one wins. A
    stream that breaks is opened again, until Ctrl+C. A file is played at its own speed.

    Examples:
        actreel watch 0
        actreel watch rtsp://camera.local/live --json
        actreel watch clip.mp4 --every-frame --json
        actreel watch 0 --page

    Exit codes:
        0    the file has ended
        1    the source cannot be opened, or there is no model
        130  interrupted with Ctrl+C
    """
    from actreel.live.page import LivePage
    from actreel.live.sampling import ignore_picture
    from actreel.live.watch import watch as sights_of
    from actreel.video.streams import find_source

    if port is not None and not page:
        raise ConfigError(f"--port is that of --page. Received: --port {port} alone. Add --page, or leave it out.")

    _refuse_youtube(source)
    found = find_source(source)
    classifier = _load(model)
    log.info(f"watching {found.name}; end with Ctrl+C")
    shown: tuple[str, bool] | None = None
    with ExitStack() as stack:
        live = stack.enter_context(LivePage(found.name, port or 0)) if page else None
        if live is not None:
            log.info(f"the page: {live.address}")
        pictures = live.picture if live is not None else ignore_picture
        watching = sights_of(found, classifier, window, every_frame=every_frame, on_picture=pictures)
        for sight in stack.enter_context(closing(watching)):
            if live is not None:
                live.tell(asdict(sight))
            if as_json:
                print_json(f"{json.dumps(asdict(sight), ensure_ascii=False)}\n")
                sys.stdout.flush()
            elif shown != (sight.label, sight.known):
                print(_line(sight), flush=True)
            shown = sight.label, sight.known


def _refuse_youtube(source: str) -> None:
    try:
        video_id(source)
    except YouTubeError as error:
        if error.code != "not_one_video":
            return
    if Path(source).exists():
        return
    raise FetchError(
        f"A live stream of YouTube cannot be watched. Received: '{source}'. Predict a video that has ended: "
        f"actreel predict '{source}'"
    )


def _line(sight: Sight) -> str:
    label = f"{sight.label}  {sight.confidence:.0%}" if sight.known else "unknown"
    return f"{sight.end_s:8.1f} s  {label}  (lag {sight.lag_ms:.0f} ms, {sight.fps:.0f} frames/s)"


def annotate(
    source: Annotated[Path, file_argument("IN", "a video file")],
    target: Annotated[Path, file_argument("OUT.mp4", "the video to write")],
    as_json: Annotated[bool, typer.Option("--json", help="print the answer as JSON")] = False,
    model: UsedModel = None,
    force: Annotated[bool, typer.Option("--force", help="replace OUT.mp4 if it exists")] = False,
) -> None:
    """Draw label, confidence and timeline into a copy of a video.

    The copy is H.264 in MP4. It stands upright, keeps the frame rate, and has the sound where the program ffmpeg is
    installed.

    Examples:
        actreel annotate clip.avi out.mp4
        actreel annotate clip.avi out.mp4 --force --json

    Exit codes:
        0  the copy is written
        1  the video cannot be read, the copy exists, or there is no model
    """
    from actreel.inference.recogniser import Prediction
    from actreel.live.annotate import annotate as draw
    from actreel.live.annotate import check_target

    check_target(source, target, force=force)
    classifier = _load(model)
    seen = draw(source, target, classifier, force=force, on_progress=_show_progress)
    prediction = Prediction(
        **vars(classifier.answer(seen)), source=str(source), video=seen.info, model=classifier.card.provenance
    )
    if as_json:
        print_json(f"{json.dumps(prediction.as_fields() | {'annotated': str(target)}, ensure_ascii=False)}\n")
    else:
        print(as_text(prediction, "█" if can_print("█") else "#"), end="")
    log.info(f"drawn in {target}")


def _load(folder: Path | None) -> ActionClassifier:
    from actreel.inference.classifier import ActionClassifier
    from actreel.inference.model_folder import default_model

    found = folder or default_model()
    classifier = ActionClassifier.load(found)
    if folder is None:
        say_which(classifier.card, found)
    return classifier


def _show_progress(share: float) -> None:
    if sys.stderr.isatty() and log.isEnabledFor(logging.INFO):
        print(f"\rwriting {share:4.0%}", end="\n" if share == 1 else "", file=sys.stderr, flush=True)
