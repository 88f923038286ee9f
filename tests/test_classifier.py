import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from actreel.classifier import ActionClassifier, ClassifierCard
from actreel.clips import load_clip
from actreel.config import ClipSpec
from actreel.errors import ModelError, VideoError
from tests.conftest import grey_frames, write_model_folder, write_video_file


@pytest.fixture
def model(tmp_path: Path, spec: ClipSpec) -> Path:
    return write_model_folder(tmp_path / "model", spec, ("dark", "middle", "bright"))


@pytest.mark.parametrize(("level", "label"), [(10, "dark"), (128, "middle"), (245, "bright")])
def test_the_surest_action_comes_first(tmp_path: Path, model: Path, level: int, label: str) -> None:
    path = write_video_file(tmp_path / "video.avi", grey_frames([level] * 5))
    top = ActionClassifier.load(model).predict(path)
    assert top[0].label == label
    assert [scored.confidence for scored in top] == sorted((s.confidence for s in top), reverse=True)
    assert sum(scored.confidence for scored in top) == pytest.approx(1, abs=1e-6)


def test_a_batch_scores_like_its_clips(model: Path, spec: ClipSpec, video: Path) -> None:
    classifier = ActionClassifier.load(model)
    clip = load_clip(video, spec)
    batch = classifier.score(np.stack([clip, clip // 2, clip])).probabilities
    np.testing.assert_allclose(batch[0], classifier.score(clip[None]).probabilities[0], atol=1e-6)
    np.testing.assert_array_equal(batch[0], batch[2])
    assert batch.dtype == np.float32


def test_at_most_five_are_ranked(tmp_path: Path, spec: ClipSpec, video: Path) -> None:
    model = write_model_folder(tmp_path / "many", spec, tuple("abcdefgh"))
    assert len(ActionClassifier.load(model).predict(video)) == 5


@pytest.mark.parametrize("name", ["model.onnx", "classifier.json"])
def test_a_missing_file_is_named(model: Path, name: str) -> None:
    (model / name).unlink()
    with pytest.raises(ModelError, match=rf"without {name}.*dvc repro"):
        ActionClassifier.load(model)


@pytest.mark.parametrize("name", ["model.onnx", "classifier.json"])
def test_a_damaged_file_is_named(model: Path, name: str) -> None:
    (model / name).write_bytes(b"\xff{")
    with pytest.raises(ModelError, match=name):
        ActionClassifier.load(model)


def test_a_card_without_clip_settings_is_refused(model: Path) -> None:
    card = ClassifierCard.model_validate_json((model / "classifier.json").read_text(encoding="utf-8"))
    (model / "classifier.json").write_text(card.model_dump_json(exclude={"clip"}), encoding="utf-8")
    with pytest.raises(ModelError, match="clip"):
        ActionClassifier.load(model)


def test_labels_of_another_model_are_refused(model: Path) -> None:
    card = ClassifierCard.model_validate_json((model / "classifier.json").read_text(encoding="utf-8"))
    card.model_copy(update={"labels": ("a", "b")}).save(model)
    with pytest.raises(ModelError, match="must belong together"):
        ActionClassifier.load(model)


def test_clips_of_another_shape_are_refused(model: Path) -> None:
    with pytest.raises(ModelError, match=r"must be uint8 \(N, 8, 32, 32, 3\)"):
        ActionClassifier.load(model).score(np.zeros((1, 8, 32, 40, 3), dtype=np.uint8))


def test_a_broken_video_is_named(model: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.avi").write_bytes(b"nothing")
    with pytest.raises(VideoError, match=r"broken\.avi"):
        ActionClassifier.load(model).predict(tmp_path / "broken.avi")


def test_predicting_imports_nothing_that_trains() -> None:
    code = (
        "import sys, actreel.cli;"
        "print([name for name in ('tensorflow', 'keras', 'mlflow', 'dvc', 'pandas', 'sklearn') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
