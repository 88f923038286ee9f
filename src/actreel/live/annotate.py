"""A copy of a video with the model's answer drawn into it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from pathlib import Path

from actreel.base.atomic import temporary_name, written_aside
from actreel.errors import ActreelError
from actreel.inference.classifier import ActionClassifier
from actreel.inference.recognition import Recognition
from actreel.live.overlay import Overlay
from actreel.video.container import Video, opened
from actreel.video.writing import add_sound, mp4_writer


def annotate(
    source: Path,
    target: Path,
    classifier: ActionClassifier,
    *,
    force: bool = False,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Recognition:
    """Writes a copy of a video, H.264 in MP4, with the label, the confidence and a timeline drawn in.

    The video is read twice, since a segment's label depends on what follows; memory does not grow with its length. The
    copy stands upright, and keeps the frames' times, the sound where the program ffmpeg is, and nothing else.

    Args:
        source: The video.
        target: The file to write, `.mp4`.
        classifier: The model.
        force: Replaces a file that is there.
        on_progress: Called with the share of frames written, in [0, 1].

    Returns:
        The answer that is drawn in, which is that of `ActionClassifier.recognise`.

    Raises:
        ActreelError: The target cannot be written to.
        VideoError: The source cannot be decoded.
    """
    check_target(source, target, force=force)
    seen = classifier.recognise(source)
    with written_aside(target) as aside:
        with opened(source) as video:
            sound = video.sound
            _draw(video, aside, seen, classifier.card.labels, on_progress)
        joined = temporary_name(aside)
        try:
            if sound and add_sound(aside, source, sound, joined):
                joined.replace(aside)
        finally:
            joined.unlink(missing_ok=True)
    return seen


def check_target(source: Path, target: Path, *, force: bool) -> None:
    """Refuses a file that must not be written.

    Raises:
        ActreelError: It is no .mp4, it is the source, or it is there and `force` is false.
    """
    if target.suffix.lower() != ".mp4" or target.is_dir():
        raise ActreelError(f"An annotated video must be a file whose name ends in .mp4. Received: '{target}'")
    if not target.exists():
        return
    if source.exists() and target.samefile(source):
        raise ActreelError(f"An annotated video must be another file than its source. Received: '{target}' for both.")
    if not force:
        raise ActreelError(
            f"An annotated video must not replace a file unasked. Received: '{target}', which exists. "
            "Choose another name, or add --force."
        )


def _draw(
    video: Video, target: Path, seen: Recognition, labels: tuple[str, ...], on_progress: Callable[[float], None]
) -> None:
    info = seen.info
    overlay = Overlay(info.width, info.height, info.duration_s, seen.segments, labels)
    frames = video.frames()
    first = next(frames)  # its pixels' shape is known from here on
    with mp4_writer(target, info.fps, video.time_base, video.pixel_shape) as writer:
        for number, frame in enumerate(chain([first], frames)):
            pixels = overlay.draw(video.to_rgb(frame).copy(), number / info.fps)
            writer.write(pixels, number / info.fps if frame.time is None else frame.time - video.start_s)
            on_progress(min(1.0, (number + 1) / info.num_frames))
