import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from actreel.config import ClipSpec
from actreel.errors import ModelError, VideoError
from actreel.inference.classifier import ActionClassifier, ClassifierCard
from actreel.video.clips import load_clip
from tests.conftest import grey_frames, write_model_folder, write_video_file


@pytest.fixture
def model(tmp_path: Path, spec: ClipSpec) -> Path:
    return write_model_folder(tmp_path / "model", spec, ("dark", "middle", "bright"))


@pytest.fixture
def parts(tmp_path: Path, spec: ClipSpec) -> Path:
    """The same model, as a whole and in parts."""
    return write_model_folder(tmp_path / "parts", spec, ("dark", "middle", "bright"), in_parts=True)


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


def test_parts_give_what_the_whole_gives(parts: Path, spec: ClipSpec, video: Path) -> None:
    clip = load_clip(video, spec)
    clips = np.stack([clip, clip // 2, clip[::-1] // 3])
    whole = ActionClassifier.load(parts, whole=True)
    (parts / "model.onnx").unlink()
    in_parts = ActionClassifier.load(parts)
    assert in_parts.encode(clip).shape == (spec.num_frames, 1)
    np.testing.assert_array_equal(whole.encode(clip), clip)
    expected, scores = whole.score(clips), in_parts.score(clips)
    np.testing.assert_allclose(scores.probabilities, expected.probabilities, atol=1e-6)
    np.testing.assert_allclose(scores.distances, expected.distances, atol=1e-6)
    assert np.ptp(expected.distances) > 0.01


def test_a_long_video_is_the_same_to_the_parts_as_to_the_whole(parts: Path, tmp_path: Path) -> None:
    path = write_video_file(tmp_path / "video.avi", grey_frames([5] * 150 + [250] * 150))
    seen = []
    for whole in (False, True):
        classifier = ActionClassifier.load(parts, whole=whole)
        classifier.card = classifier.card.model_copy(update={"clip_duration_s": 1.0})
        seen.append(classifier.recognise(path))
    np.testing.assert_allclose(seen[0].probabilities, seen[1].probabilities, atol=1e-6)
    np.testing.assert_allclose(seen[0].distances, seen[1].distances, atol=1e-6)
    assert len(seen[0].distances) > 10
    assert [segment.action for segment in seen[0].segments] == [segment.action for segment in seen[1].segments]


@pytest.mark.parametrize("name", ["encoder.onnx", "head.onnx"])
def test_one_part_alone_is_none(parts: Path, name: str, video: Path) -> None:
    (parts / name).unlink()
    classifier = ActionClassifier.load(parts)
    frames = load_clip(video, classifier.card.clip)
    np.testing.assert_array_equal(classifier.encode(frames), frames)
    assert classifier.predict(video)
    (parts / "model.onnx").unlink()
    with pytest.raises(ModelError, match=r"without model\.onnx.*dvc repro"):
        ActionClassifier.load(parts)


@pytest.mark.parametrize("name", ["encoder.onnx", "head.onnx"])
def test_a_damaged_part_is_named(parts: Path, name: str) -> None:
    (parts / name).write_bytes((parts / name).read_bytes()[:-40])
    with pytest.raises(ModelError, match=re.escape(f"'{parts / name}' must be an ONNX model")):
        ActionClassifier.load(parts)


def test_parts_that_do_not_fit_each_other_are_named(parts: Path) -> None:
    shutil.copy(parts / "encoder.onnx", parts / "head.onnx")
    with pytest.raises(ModelError, match=r"encoder\.onnx and head\.onnx must belong together"):
        ActionClassifier.load(parts)


@pytest.mark.parametrize("change", [{"num_frames": 9}, {"height": 40}, {"width": 40}])
def test_parts_for_other_clips_are_named(parts: Path, spec: ClipSpec, change: dict[str, int]) -> None:
    card = ClassifierCard.model_validate_json((parts / "classifier.json").read_text(encoding="utf-8"))
    card.model_copy(update={"clip": spec.model_copy(update=change)}).save(parts)
    with pytest.raises(ModelError, match=r"encoder\.onnx, head\.onnx and classifier\.json must belong together"):
        ActionClassifier.load(parts)


@pytest.mark.parametrize("name", ["head.onnx", "model.onnx"])
def test_a_limit_needs_a_distance(parts: Path, name: str) -> None:
    card = ClassifierCard.model_validate_json((parts / "classifier.json").read_text(encoding="utf-8"))
    card.model_copy(update={"max_distance": 0.2}).save(parts)
    network = onnx.load(parts / name)
    del network.graph.output[1]
    onnx.save(network, parts / name)
    with pytest.raises(ModelError, match=f"max_distance in .* one output, from .*{name}"):
        ActionClassifier.load(parts, whole=name == "model.onnx")


@pytest.mark.parametrize("shape", [(2, 32, 40, 3), (32, 32, 3)])
def test_frames_of_another_shape_are_refused(parts: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"Frames must be uint8 \(n, 32, 32, 3\)"):
        ActionClassifier.load(parts).encode(np.zeros(shape, dtype=np.uint8))


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
