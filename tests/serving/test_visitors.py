"""The short form of `make chaos`'s two visitors."""

from pathlib import Path

import numpy as np

from actreel.inference.classifier import ActionClassifier
from actreel.video.decode import sample_frames
from actreel.video.opencv import cv2
from chaos.visitors import mixed_up, visit, write_films
from tests.serving.conftest import Server


def apart(jpeg: bytes, film: Path) -> float:
    """How far a thumbnail is from the nearest frame of a film as this process decodes it, in grey levels."""
    shown = cv2.imdecode(np.frombuffer(jpeg, dtype=np.uint8), cv2.IMREAD_COLOR_RGB)
    size = shown.shape[1::-1]
    frames = sample_frames(film, np.arange, lambda frame: cv2.resize(frame, size, interpolation=cv2.INTER_AREA))[0]
    return float(np.abs(frames.astype(int) - shown).mean(axis=(1, 2, 3)).min())


def test_no_visitor_gets_what_belongs_to_the_other(server: Server, model_folder: Path, tmp_path: Path) -> None:
    films = write_films(tmp_path, every_kind=False)
    # Each film with its twin, and a pair of different kinds; `make chaos` sends 500 of all kinds.
    assert list(mixed_up(server, films, 6)) == [None] * 6
    # Alone, a visitor gets what this process finds, which no other visitor's memory reaches.
    classifier = ActionClassifier.load(model_folder)
    for film, twin in ((films[0], films[1]), (films[-1], films[-2])):
        seen = visit(server, film)
        best = classifier.predict(film)[0]
        assert seen.direct["video"]["title"] == film.name
        assert (seen.direct["label"], round(seen.direct["confidence"], 4)) == (best.label, round(best.confidence, 4))
        assert len(seen.frames) == 8
        assert all(apart(jpeg, film) < apart(jpeg, twin) / 2 for jpeg in seen.frames)
