"""Recognises what a camera or a stream shows, while it shows it."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import datetime

from actreel.errors import ModelError, VideoError
from actreel.inference.answers import Scored
from actreel.inference.classifier import ActionClassifier
from actreel.inference.steady import SteadyLabel
from actreel.live.grid import Grid, plan_grid
from actreel.live.newest import NewestSamples
from actreel.live.rolling import RollingWindow, Window
from actreel.live.sampling import OnPicture, ignore_picture
from actreel.video.streams import LiveVideo, Source


@dataclass(frozen=True)
class Sight:
    """What is seen at a moment.

    Attributes:
        time: When this was said, ISO 8601 with the time zone.
        start_s: Where the window starts, in seconds since the first frame of all.
        end_s: Where it ends.
        label: The action that is shown; with hysteresis, see `SteadyLabel`.
        confidence: Its mean probability over the last half window; 0 if `known` is false.
        known: Whether any of the model's actions is seen, as far as the model can tell.
        top: What the model says of this window alone, as `Answer.top`.
        lag_ms: Milliseconds from the moment at which the window's last frame was to be seen until this was said.
        fps: Frames a second that come in.
        dropped: Frames that came too fast to be used, so far.
        reconnects: How often the stream broke and was opened again, so far.
    """

    time: str
    start_s: float
    end_s: float
    label: str
    confidence: float
    known: bool
    top: tuple[Scored, ...]
    lag_ms: float
    fps: float
    dropped: int
    reconnects: int


def watch(
    source: Source,
    classifier: ActionClassifier,
    window_s: float | None = None,
    *,
    every_frame: bool = False,
    on_picture: OnPicture = ignore_picture,
) -> Generator[Sight, None, None]:
    """Watches a source until it ends; a camera or a stream that breaks is opened again, so it never ends.

    Close the generator to stop.

    Args:
        source: What to watch.
        classifier: The model.
        window_s: Length of the windows in seconds; None takes that of the training clips.
        every_frame: Says something with every frame, instead of twice a window.
        on_picture: As `OnPicture`; called in a thread of its own.

    Yields:
        What is seen, window by window.

    Raises:
        VideoError: The source cannot be opened, or a file ends before its first window is complete.
        ModelError: The model does not say how long windows are, or takes more than pictures.
    """
    if classifier.card.track is not None:
        raise ModelError(
            "Live video brings pictures only. Received: a model that takes sound or signals too. Predict files with it "
            "(actreel predict FILE), or train one that only sees: dvc exp run -S model.encoder=efficientnet_lite0"
        )
    spec = classifier.card.clip
    clip_duration_s = window_s or classifier.card.clip_duration_s

    def plan(video: LiveVideo) -> Grid:
        is_known_file = source.kind == "file" and video.header_frames > 0
        info = video.describe(video.header_frames) if is_known_file else None
        return plan_grid(spec, clip_duration_s, video.stated_fps, info, every_frame=every_frame)

    with NewestSamples(source, plan, spec, on_picture) as newest:
        seen = False
        for window, grid in _windows(newest, classifier):
            if not seen:
                seen, first = True, window.newest.run_start
                steady = SteadyLabel(grid.hop_s, classifier.card.max_distance)
            shown = steady.update(window.probabilities, window.distance, window.end_s, window.newest.run)
            since_s = window.newest.run_start - first
            yield Sight(
                time=datetime.now().astimezone().isoformat(timespec="milliseconds"),
                start_s=round(since_s + window.start_s, 3),
                end_s=round(since_s + window.end_s, 3),
                label=classifier.card.labels[shown.action],
                confidence=shown.confidence,
                known=shown.known,
                top=classifier.ranked(window.probabilities),
                lag_ms=round((time.monotonic() - window.newest.due) * 1000, 1),
                fps=round(newest.fps, 1),
                dropped=newest.num_dropped,
                reconnects=newest.num_breaks,
            )
        if not seen:
            raise VideoError(
                f"A video must be at least one window long to be watched. Received: '{source.name}', which ended "
                f"before. Predict it whole: actreel predict '{source.name}'"
            )


def _windows(newest: NewestSamples, classifier: ActionClassifier) -> Iterator[tuple[Window, Grid]]:
    """The windows of all samples, with the grid that they are on."""
    rolling = None
    for sample in newest:
        if rolling is None:
            grid = newest.grid
            rolling = RollingWindow(grid, classifier.encode, classifier.start_scoring())
        for window in rolling.push(sample):
            yield window, grid
