"""`actreel predict`: recognises the action in videos."""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actreel.base.console import can_print
from actreel.base.places import MODEL
from actreel.cli.completion import model_folders
from actreel.cli.options import file_option
from actreel.errors import FetchError, VideoError
from actreel.youtube.links import is_link

if TYPE_CHECKING:
    from actreel.inference.classifier import ActionClassifier, Answer
    from actreel.inference.recognition import Recognition
    from actreel.video.info import VideoInfo

log = logging.getLogger(__name__)

BAR_WIDTH = 24


def predict(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE", help="a video file or a YouTube link")],
    as_json: Annotated[
        bool, typer.Option("--json", help="print one JSON object per line, one for each SOURCE")
    ] = False,
    model: Annotated[
        Path | None,
        file_option(
            "--model", f"model folder (without it: the packaged one, else {MODEL})", "DIR", autocompletion=model_folders
        ),
    ] = None,
) -> None:
    """Recognise the action in videos.

    A video that cannot be read is named on stderr, and the others are answered all the same.

    Examples:
        actreel predict clip.avi
        actreel predict clip.avi https://youtu.be/dQw4w9WgXcQ --json
        actreel predict *.mp4 --model artifacts/model

    Exit codes:
        0  every video is answered, also with "unknown"
        1  a video cannot be read, or there is no model
    """
    # Here, or a broken library would keep every command from starting, `actreel doctor` too.
    from actreel.inference.classifier import ActionClassifier
    from actreel.inference.model_folder import default_model

    folder = model or default_model()
    classifier = ActionClassifier.load(folder)
    if model is None:
        came = classifier.card.provenance
        kind = "not packaged, trained last" if folder == MODEL else "packaged"
        log.info(f"model: {kind}, of the dataset '{came.dataset}', trained {came.trained_at[:10]}, run {came.run_id}")
    failures = 0
    for source in sources:
        try:
            seen = _recognise(source, classifier)
        except (VideoError, FetchError) as error:
            print(f"error: {error}", file=sys.stderr)
            failures += 1
            continue
        answer = classifier.answer(seen)
        print(_as_json(source, answer, seen, classifier) if as_json else _as_text(source, answer, seen.info))
    if failures:
        sys.exit(1)


def _recognise(source: str, classifier: ActionClassifier) -> Recognition:
    if not is_link(source):
        return classifier.recognise(Path(source))
    from actreel.youtube.access import YouTubeAccess
    from actreel.youtube.fetch import FetchLimits, fetch

    clip = classifier.card.clip
    with tempfile.TemporaryDirectory(prefix="actreel-") as folder:
        side = max(clip.height, clip.width)
        fetched = fetch(
            source, Path(folder), limits=FetchLimits(), min_side=side, on_progress=_show_progress,
            access=YouTubeAccess.from_environment(),
        )  # fmt: skip
        return classifier.recognise(fetched.path)


def _show_progress(share: float) -> None:
    if sys.stderr.isatty() and logging.getLogger(__name__).isEnabledFor(logging.INFO):
        print(f"\rdownloading {share:4.0%}", end="\n" if share == 1 else "", file=sys.stderr, flush=True)


def _as_json(source: str, answer: Answer, seen: Recognition, classifier: ActionClassifier) -> str:
    labels = classifier.card.labels
    fields = {
        "source": source,
        **asdict(answer),
        "segments": [
            {
                "start_s": segment.start_s,
                "end_s": segment.end_s,
                "label": labels[segment.action],
                "confidence": segment.confidence,
                "known": segment.known,
            }
            for segment in seen.segments
        ],
        "video": asdict(seen.info),
        "model": classifier.card.provenance.model_dump(),
    }
    line = json.dumps(fields, ensure_ascii=False)
    return line if can_print(line) else json.dumps(fields)


def _as_text(source: str, answer: Answer, info: VideoInfo) -> str:
    video = f"{source} ({info.duration_s:.1f} s, {info.width}x{info.height})"
    if not answer.known:
        nearest = ", ".join(scored.label for scored in answer.top)
        return f"{video}: unknown, none of the actions that the model knows\n  nearest: {nearest}"
    width = max(len(scored.label) for scored in answer.top)
    lines = [f"{video}: {answer.label}"]
    for scored in answer.top:
        bar = ("█" if can_print("█") else "#") * round(scored.confidence * BAR_WIDTH)
        lines.append(f"  {scored.label:<{width}}  {scored.confidence:6.1%}  {bar}".rstrip())
    return "\n".join(lines)
