"""For the same frames, predict, Python, annotate, watch, batch and the service, which the page asks, say the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset
import pytest

import actreel
from actreel.batch.crews import local_crew
from actreel.batch.run import run_batch
from actreel.inference.classifier import ActionClassifier
from actreel.inference.recognition import Recognition
from actreel.live.annotate import annotate
from actreel.live.grid import plan_grid
from actreel.live.rolling import RollingWindow, Window
from actreel.live.sampling import Sampler
from actreel.video.streams import find_source, receiving
from tests.conftest import grey_frames, write_video_file
from tests.ffmpeg_films import FFMPEG_FILMS
from tests.live.test_sampling import MadeUpTime
from tests.serving.conftest import Server, launch, stop

LEVELS = [5] * 90 + [60] * 50 + [128] * 60 + [250] * 100
CLOSE = {"rtol": 1e-4, "atol": 1e-6}
"""As far apart as the same frames in batches of other sizes are."""


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("films")
    turned = folder / "turned.mp4"
    FFMPEG_FILMS["turned_90.mp4"](turned)
    return {
        "long": write_video_file(folder / "long.avi", grey_frames(LEVELS)),
        "of an odd length": write_video_file(folder / "odd.avi", grey_frames(LEVELS[:211]), fps=29.97),
        "one window": write_video_file(folder / "short.avi", grey_frames(LEVELS[80:120])),
        "few frames": write_video_file(folder / "few.avi", grey_frames([5, 128, 250])),
        "turned": turned,
    }


NAMES = ("long", "of an odd length", "one window", "few frames", "turned")


@pytest.fixture(scope="module")
def service(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = launch(model, tmp_path_factory.mktemp("home"))
    yield server
    stop(server)


def watched(path: Path, classifier: ActionClassifier, *, every_frame: bool) -> tuple[list[Window], float]:
    """What `watch` sees in a file, and the seconds in a part; on a clock of its own, so that no frame is ever late."""
    card = classifier.card
    with receiving(find_source(str(path))) as video:
        info = video.describe(video.header_frames)
        grid = plan_grid(card.clip, card.clip_duration_s, 0.0, info, every_frame=every_frame)
        rolling = RollingWindow(grid, classifier.encode, classifier.start_scoring())
        samples = Sampler(video, grid, card.clip, MadeUpTime(), is_file=True, run=0).samples()
        return [window for sample in samples for window in rolling.push(sample)], grid.part_s


@pytest.mark.parametrize("every_frame", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_watch_sees_the_windows_of_predict(
    name: str, every_frame: bool, films: dict[str, Path], classifier: ActionClassifier
) -> None:
    seen = classifier.recognise(films[name])
    windows, part_s = watched(films[name], classifier, every_frame=every_frame)
    hop_s = part_s * (classifier.card.clip.num_frames // 2)
    # With every frame, most windows lie between those of `predict`.
    windows = [each for each in windows if abs(each.start_s / hop_s - round(each.start_s / hop_s)) < 1e-6]
    assert len(windows) == len(seen.distances)
    np.testing.assert_allclose([each.distance for each in windows], seen.distances, **CLOSE)
    np.testing.assert_allclose(np.mean([each.probabilities for each in windows], axis=0), seen.probabilities, **CLOSE)
    assert windows[-1].end_s == pytest.approx(seen.info.duration_s)


@pytest.mark.parametrize("name", NAMES)
def test_annotate_draws_and_the_service_says_what_predict_says(
    name: str, films: dict[str, Path], classifier: ActionClassifier, service: Server, tmp_path: Path
) -> None:
    seen = classifier.recognise(films[name])
    drawn = annotate(films[name], tmp_path / "out.mp4", classifier)
    with service.client() as client:
        served = client.post("/predict_file", files={"video": films[name].read_bytes()}).raise_for_status().json()
    expected = answer_of(seen, classifier)
    assert answer_of(drawn, classifier) == expected
    answer = classifier.answer(seen)
    assert (served["label"], served["known"]) == (answer.label, answer.known)
    assert served["confidence"] == pytest.approx(answer.confidence, rel=1e-4)
    assert [(each["label"], each["known"]) for each in served["segments"]] == [each[2:4] for each in expected]
    for key, place in (("start_s", 0), ("end_s", 1), ("confidence", 4)):
        values = [each[key] for each in served["segments"]]
        assert values == pytest.approx([each[place] for each in expected], rel=1e-3, abs=1e-3)


def test_python_and_batch_say_what_predict_says(
    films: dict[str, Path], model: Path, classifier: ActionClassifier, tmp_path: Path
) -> None:
    recogniser = actreel.load(model)
    summary = run_batch([str(path) for path in films.values()], str(tmp_path / "out"), model, local_crew(1))
    assert (summary.answered, summary.failed) == (len(films), 0)
    rows = {
        row["source"]: row
        for row in pyarrow.dataset.dataset(tmp_path / "out", exclude_invalid_files=True).to_table().to_pylist()
    }
    for path in films.values():
        answer, row = classifier.answer(classifier.recognise(path)), rows[str(path)]
        said = recogniser.predict(path)
        assert (said.label, said.known, said.segments) == (answer.label, answer.known, answer.segments)
        assert (row["label"], row["known"]) == (answer.label, answer.known)
        assert row["confidence"] == pytest.approx(answer.confidence, rel=1e-4)
        assert [each["label"] for each in row["segments"]] == [each.label for each in answer.segments]
        assert [each["end_s"] for each in row["segments"]] == pytest.approx([each.end_s for each in answer.segments])


def answer_of(seen: Recognition, classifier: ActionClassifier) -> list[tuple[Any, ...]]:
    return [
        (each.start_s, each.end_s, classifier.card.labels[each.action], each.known, each.confidence)
        for each in seen.segments
    ]
