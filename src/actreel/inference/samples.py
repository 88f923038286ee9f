"""Sample videos for the page: held-out clips in a format that browsers play."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from actreel.inference.classifier import ActionClassifier
from actreel.inference.skeletons import FPS, drawn_size, film
from actreel.video.webm import write_frames, write_webm

NUM_SAMPLES = 6

log = logging.getLogger(__name__)


def pick_samples(clips: Mapping[str, Path], first: Iterable[str] = ()) -> dict[str, Path]:
    """At most six clips, each of another action.

    Args:
        clips: A clip of each action.
        first: Actions to prefer, such as pairs that differ in the order of their frames only.
    """
    actions = dict.fromkeys([*(action for action in first if action in clips), *clips])
    return {action: clips[action] for action in list(actions)[:NUM_SAMPLES]}


def make_samples(classifier: ActionClassifier, clips: Mapping[str, Path], folder: Path) -> dict[str, Path]:
    """Converts clips for browsers.

    A clip that the model answers otherwise once it is converted is left out, with a warning: visitors would see an
    answer that the original does not get. A model that takes more than pictures gets no samples. For a model that sees
    landmarks only, the copy is a drawn skeleton: the person's pixels are not in it.

    Args:
        classifier: The model that will be served.
        clips: A clip of each action.
        folder: Where the copies go; their names say nothing of the originals'.

    Returns:
        The copy for each action.
    """
    samples: dict[str, Path] = {}
    if classifier.card.track is not None:
        log.info("There are no samples on the page: their copies for browsers hold pictures only.")
        return samples
    for number, (action, clip) in enumerate(clips.items(), 1):
        copy = folder / f"sample-{number}.webm"
        _write_copy(classifier, clip, copy)
        if _answer(classifier, copy) == _answer(classifier, clip):
            samples[action] = copy
        else:
            how = "drawn as a skeleton" if classifier.pixels_free else "converted to WebM"
            log.warning(f"'{clip}' is no sample on the page: the model answers otherwise once it is {how}")
    return samples


def _write_copy(classifier: ActionClassifier, clip: Path, copy: Path) -> None:
    if not classifier.pixels_free:
        write_webm(clip, copy)
        return
    seen = classifier.recognise(clip)
    write_frames(film(seen.poses or (), seen.info), copy, FPS, drawn_size(seen.info.width, seen.info.height))


def _answer(classifier: ActionClassifier, video: Path) -> tuple[str, bool]:
    seen = classifier.recognise(video)
    return classifier.ranked(seen.probabilities)[0].label, classifier.knows(seen.distances)
