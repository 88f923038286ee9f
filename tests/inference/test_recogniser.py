import doctest
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import FrozenInstanceError
from itertools import repeat
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from numpy.typing import NDArray

import actreel
from actreel.base.cores import num_cores
from actreel.config import ClipSpec
from actreel.errors import ConfigError, FetchError, VideoError
from actreel.inference.recogniser import IN_FLIGHT, Prediction, Recogniser, ignore_share
from tests.conftest import ROOT, grey_frames, write_model_folder, write_video_file

LABELS = ("Walk", "Wave", "JumpRope")


@pytest.fixture
def model(tmp_path: Path, spec: ClipSpec) -> Path:
    return write_model_folder(tmp_path / "artifacts/model", spec, LABELS)


def test_three_lines_are_enough(model: Path, video: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    answer = actreel.load().predict("video.avi")
    assert (answer.source, answer.label, answer.known) == ("video.avi", "Wave", True)
    assert answer.confidence == answer.top[0].confidence
    assert {scored.label for scored in answer.top} == set(LABELS)
    (segment,) = answer.segments
    assert (segment.start_s, segment.end_s, segment.label) == (0, answer.video.duration_s, "Wave")
    assert (answer.video.num_frames, answer.model.dataset) == (30, "grey")
    with pytest.raises(FrozenInstanceError):
        answer.label = "Walk"  # type: ignore[misc]


def test_fields_are_json(model: Path, video: Path) -> None:
    answer = actreel.load(model).predict(video)
    fields = json.loads(json.dumps(answer.as_fields()))
    assert [*fields] == [
        "source",
        "label",
        "confidence",
        "known",
        "top",
        "segments",
        "people",
        "poses",
        "video",
        "model",
    ]
    assert fields["segments"] == [
        {"start_s": 0.0, "end_s": 1.2, "label": "Wave", "confidence": answer.segments[0].confidence, "known": True}
    ]
    assert fields["model"]["run_id"] == answer.model.run_id


def test_outside_of_a_project_it_says_where_to_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"Run this from the project's folder"):
        actreel.load()


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("missing.avi", VideoError),
        ("x" * 5000, VideoError),
        ("a\0b", VideoError),
        (Path("https://youtu.be/x"), VideoError),
        ("https://127.0.0.1/v.mp4", FetchError),
    ],
)
def test_errors_are_actreels(model: Path, source: str, error: type[actreel.ActreelError]) -> None:
    with pytest.raises(error):
        actreel.load(str(model)).predict(source)


def test_many_are_answered_in_order_and_a_bad_one_is_an_error_among_them(model: Path, tmp_path: Path) -> None:
    levels = {"dark": 10, "middle": 128, "bright": 245}
    good = [write_video_file(tmp_path / f"{name}.avi", grey_frames([level] * 9)) for name, level in levels.items()]
    (tmp_path / "bad.avi").write_bytes(b"nothing")
    recogniser = actreel.load(model)
    *answers, error, last = recogniser.predict_many([*good, tmp_path / "bad.avi", good[0]], workers=2)
    assert answers == [recogniser.predict(path) for path in good]
    assert [answer.label for answer in answers if isinstance(answer, Prediction)] == [*LABELS]
    assert isinstance(error, VideoError)
    assert "bad.avi" in str(error)
    assert isinstance(last, Prediction)
    assert [*recogniser.predict_many([])] == []


def test_of_endless_sources_only_those_soon_needed_are_taken(model: Path, video: Path) -> None:
    taken = 0

    def sources() -> Iterator[Path]:
        nonlocal taken
        for path in repeat(video):
            taken += 1
            yield path

    outcomes = actreel.load(model).predict_many(sources())
    assert [next(outcomes).label for _ in range(3)] == ["Wave"] * 3  # type: ignore[union-attr]
    outcomes.close()
    assert taken == IN_FLIGHT * num_cores() + 3


def test_a_video_in_flight_stops_when_nobody_waits_any_more(model: Path, video: Path) -> None:
    stopped = Event()
    encoded = 0
    recogniser = Recogniser.load(model)
    encode = recogniser._classifier.encode

    def stop(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        nonlocal encoded
        encoded += 1
        stopped.set()
        return encode(frames)

    recogniser._classifier.encode = stop  # type: ignore[method-assign]
    with pytest.raises(CancelledError):
        recogniser._unless_stopped(video, ignore_share, stopped)
    assert encoded == 1, "no further frames after that"


def test_the_import_is_light_and_a_prediction_needs_nothing_that_trains(model: Path, video: Path) -> None:
    code = """
import sys
import actreel
heavy = {"numpy", "onnxruntime", "av", "cv2", "pydantic", "yaml", "typer"}
training = {"tensorflow", "keras", "mlflow", "dvc", "pandas", "sklearn", "bentoml", "tqdm"}
print(sorted(heavy & sys.modules.keys()))
print(actreel.load(sys.argv[1]).predict(sys.argv[2]).label)
print(sorted(training & sys.modules.keys()))
"""
    command = [sys.executable, "-c", code, str(model), str(video)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == ["[]", "Wave", "[]", ""]


def test_the_examples_of_the_documentation_run(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_video_file(tmp_path / "clip.mp4", grey_frames([178] * 30), codec="mp4v")
    text = (ROOT / "docs/python-api.md").read_text(encoding="utf-8")
    examples = "".join(re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    test = doctest.DocTestParser().get_doctest(examples, {}, "python-api.md", None, 0)
    assert len(test.examples) > 8
    said: list[str] = []
    assert doctest.DocTestRunner().run(test, out=said.append).failed == 0, "".join(said)
