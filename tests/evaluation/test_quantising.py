"""Networks rounded to int8, and what the model folder says of it."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from actreel.config import ClipSpec
from actreel.errors import ModelError
from actreel.evaluation.quantising import quantise
from actreel.inference.classifier import ActionClassifier
from tests.conftest import write_model_folder
from tests.evaluation.convolving import write_convolving_model

LABELS = ("dark", "middle", "bright")


def grey_clips(spec: ClipSpec) -> NDArray[np.uint8]:
    """Clips of ever brighter noise."""
    rng = np.random.default_rng(0)
    levels = np.linspace(20, 230, 16).reshape(-1, 1, 1, 1, 1)
    return (levels + rng.integers(-20, 21, (16, *spec.shape))).astype(np.uint8)


@pytest.mark.parametrize("in_parts", [True, False])
def test_the_rounded_folder_answers_nearly_as_before_and_says_that_it_is_rounded(
    tmp_path: Path, spec: ClipSpec, in_parts: bool
) -> None:
    model = write_convolving_model(tmp_path / "model", spec, LABELS, in_parts=in_parts)
    clips = grey_clips(spec)
    (tmp_path / "int8").mkdir()
    quantise(model, iter(clips), ["b", "a"], tmp_path / "int8")
    before, after = ActionClassifier.load(model), ActionClassifier.load(tmp_path / "int8")
    expected, found = before.score(clips), after.score(clips)
    apart = np.abs(found.probabilities - expected.probabilities).max()
    assert 1e-6 < apart < 0.05, "rounded, but not much"
    np.testing.assert_allclose(found.distances, expected.distances, atol=0.01)
    names = {file.name for file in (tmp_path / "int8").iterdir()}
    assert names == {"classifier.json", *(("encoder.onnx", "head.onnx") if in_parts else ("model.onnx",))}
    rounded = onnx.load(tmp_path / "int8" / ("encoder.onnx" if in_parts else "model.onnx"))
    assert onnx.TensorProto.INT8 in {weights.data_type for weights in rounded.graph.initializer}
    if in_parts:
        assert (tmp_path / "int8/head.onnx").read_bytes() == (model / "head.onnx").read_bytes()
    told = after.card.int8
    assert told is not None
    assert (told.calibration_clips, told.onnxruntime) == (2, onnxruntime.__version__)
    assert before.card.int8 is None
    assert after.card.model_copy(update={"int8": None}) == before.card


def test_a_network_with_nothing_to_round_is_a_sentence(tmp_path: Path, spec: ClipSpec) -> None:
    model = write_model_folder(tmp_path / "model", spec, LABELS)
    (tmp_path / "int8").mkdir()
    with pytest.raises(ModelError, match=r"'model\.onnx' has no operator that can be rounded to int8: Conv\."):
        quantise(model, iter(grey_clips(spec)[:1]), ["a"], tmp_path / "int8")


def test_a_damaged_network_is_a_sentence(tmp_path: Path, spec: ClipSpec) -> None:
    model = write_convolving_model(tmp_path / "model", spec, LABELS)
    (tmp_path / "int8").mkdir()
    (model / "encoder.onnx").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"cannot round 'encoder\.onnx' to int8: \S"):
        quantise(model, iter(grey_clips(spec)[:1]), ["a"], tmp_path / "int8")
