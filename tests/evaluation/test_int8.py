"""A model folder put into int8 for serving, or kept in float32 with the reason."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from actreel.base.places import CLIPS, INDEX, MODEL, VIDEOS
from actreel.config import ClipSpec, PackageParams
from actreel.dataset.records import write_index
from actreel.dataset.store import extract_clips
from actreel.evaluation.int8 import clips_at_hand, compare, serve_in_int8
from actreel.evaluation.served import score
from actreel.inference.classifier import ActionClassifier
from actreel.inference.model_folder import ModelFolder
from tests.conftest import grey_frames, write_video_file
from tests.evaluation.convolving import write_convolving_model

LEVELS = {"dark": 20, "middle": 120, "bright": 230, "_unknown": 180}
PARAMS = PackageParams(name="grey", precision="int8")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose training, test and unknown clips are grey."""
    folder = tmp_path_factory.mktemp("project")
    rng = np.random.default_rng(0)
    rows = []
    for action, level in LEVELS.items():
        for number, split in enumerate(["train", "train", "test", "test"]):
            clip = f"{action}/{number}.avi"
            write_video_file(folder / VIDEOS / clip, grey_frames(level + rng.integers(-15, 16, 12)))
            split = "_unknown" if action == "_unknown" else split
            rows.append({"clip": clip, "action": action, "split": split, "group": f"g{number}", "sha256": clip})
    write_index(index := pd.DataFrame(rows), folder / INDEX)
    extract_clips(index, folder / VIDEOS, folder / CLIPS, ClipSpec(num_frames=8, height=32, width=32))
    return folder


def model_of(folder: Path, spec: ClipSpec, outlier: float = 1.0) -> ModelFolder:
    """A model folder that has seen the training clips."""
    model = ModelFolder(write_convolving_model(folder, spec, ("dark", "middle", "bright"), outlier=outlier))
    seen = [f"{action}/{number}.avi" for action in LEVELS for number in (0, 1) if action != "_unknown"]
    model.seen_clips.write_text("\n".join(seen), encoding="utf-8")
    model.model_card.write_text("<h1>Grey</h1><p>Good.</p>", encoding="utf-8")
    return model


def test_what_is_served_in_int8_gives_what_was_evaluated(
    project: Path, tmp_path: Path, spec: ClipSpec, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(project)
    model = model_of(tmp_path / "model", spec)
    float32 = ActionClassifier.load(model.path)
    clips = clips_at_hand(model.path, "grey")
    assert (len(clips.train), len(clips.test), len(clips.unknown)) == (6, 6, 4)
    (tmp_path / "made").mkdir()
    evaluated = compare(model.path, tmp_path / "made", clips, 0.02)
    with caplog.at_level(logging.INFO):
        labels = serve_in_int8(model.path, "grey", PARAMS)
    assert "The model is served in int8: on 6 held-out clips, 100.0 % are right" in caplog.text
    assert (labels["precision"], labels["accuracy"]) == ("int8", "1")
    served = ActionClassifier.load(model.path)
    assert served.card.int8 is not None
    assert served.card.int8.calibration_clips == 6
    squares = [np.square(score(each, clips.store, clips.train, VIDEOS).distances) for each in (float32, served)]
    moved = 0.15**2 + np.median(squares[1].astype(np.float64) - squares[0])
    assert served.card.max_distance == pytest.approx(moved**0.5, abs=1e-7)
    assert served.card.max_distance != 0.15
    for clip, expected in zip(clips.test["clip"], evaluated.int8.probabilities, strict=True):
        found, before = (each.recognise(VIDEOS / clip).probabilities for each in (served, float32))
        np.testing.assert_allclose(found, expected, atol=1e-6)
        assert np.abs(before - expected).max() > 1e-6
    card = model.model_card.read_text(encoding="utf-8")
    assert card.startswith("<h1>Grey</h1>\n<h2>Precision</h2>\n<p><strong>The model is served in int8: ")
    assert "<td>Unknown clips rejected</td><td>100.0 %</td><td>100.0 %</td>" in card
    assert "Every other number on this page was measured in float32.</p><p>Good.</p>" in card


def test_where_int8_is_much_worse_float32_is_kept_with_the_reason(
    project: Path, tmp_path: Path, spec: ClipSpec, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(project)
    model = model_of(tmp_path / "model", spec, outlier=1e5)
    before = {file: file.read_bytes() for file in (*model.network_files(), model.manifest)}
    assert serve_in_int8(model.path, "grey", PARAMS) == {}
    (warning,) = (each.getMessage() for each in caplog.records if each.levelname == "WARNING")
    assert warning.startswith("The model is served in float32: on 6 held-out clips, int8 loses 66.7 % of accuracy and ")
    assert warning.endswith("and package.max_drop allows 2.0 %.")
    assert {file: file.read_bytes() for file in before} == before
    card = model.model_card.read_text(encoding="utf-8")
    assert "<td>Accuracy on 6 held-out clips</td><td>100.0 %</td><td>33.3 %</td>" in card
    assert "was measured in float32" not in card


def test_without_clips_that_it_knows_and_some_that_it_does_not_a_model_stays_in_float32(
    project: Path, tmp_path: Path, spec: ClipSpec, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(project)
    model = model_of(tmp_path / "model", spec)
    before = model.encoder.read_bytes()
    assert serve_in_int8(model.path, "another", PARAMS) == {}
    assert "in float32, and not in int8: its clips must be at hand, and those here are of another" in caplog.text
    assert "not in int8: its clips" in model.model_card.read_text(encoding="utf-8")
    model.seen_clips.write_text("another\n", encoding="utf-8")
    assert serve_in_int8(model.path, "grey", PARAMS) == {}
    assert f"must be at hand. Received: 0 and 6, in '{VIDEOS}'." in caplog.text
    assert model.encoder.read_bytes() == before
    assert not MODEL.exists()
