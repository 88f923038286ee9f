from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from actreel.errors import ModelError
from actreel.teaching.tail import Linear, Tail

ALIKE = """
<ir_version: 8, opset_import: ["": 17]>
tail (float[N, 2] x) => (float[N, 2] probabilities, float[N] distance)
<float[2, 2] kernel = {2, 0, 0, 2}, float[2] bias = {1, 1}, float half = {0.5}, int64[1] columns = {1}>
{
    state = Mul(x, half)
    product = MatMul(state, kernel)
    logits = Add(product, bias)
    probabilities = Softmax(logits)
    turned = MatMul(x, kernel)
    whitened = Add(turned, bias)
    apart = MatMul(whitened, kernel)
    squares = Add(bias, apart)
    own = Mul(whitened, whitened)
    length = ReduceSum(own, columns)
    all = Add(squares, length)
    least = ReduceMin <axes = [1], keepdims = 0> (all)
    distance = Sqrt(least)
}
"""
"""A network whose last layers are alike, so that they share their constants."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    onnx.save(onnx.parser.parse_model(ALIKE), tmp_path / "head.onnx")
    return tmp_path / "head.onnx"


def layer(rng: np.random.Generator, size: int, units: int) -> Linear:
    kernel, bias = rng.normal(size=(size, units)), rng.normal(size=units)
    return Linear(kernel.astype(np.float32), bias.astype(np.float32))


def test_each_layer_is_replaced_by_its_own_and_what_is_below_stays(file: Path) -> None:
    tail, rng = Tail(file), np.random.default_rng(0)
    clips = rng.normal(size=(5, 2)).astype(np.float32)
    states, embeddings = tail.see(clips)
    np.testing.assert_allclose(states, clips / 2)
    np.testing.assert_array_equal(embeddings, clips)
    np.testing.assert_array_equal(tail.last.kernel, 2 * np.eye(2))
    for units in (3, 4):  # a second lesson is taught to the file of the first
        last, whiten, squares = layer(rng, 2, units), layer(rng, 2, 2), layer(rng, 2, units)
        squares.bias[:] = 99  # so that no root is taken of less than 0
        file.write_bytes(tail.replaced(last, whiten, squares))
        tail = Tail(file)
        onnx.checker.check_model(onnx.load(file), full_check=True)
        probabilities, distances = onnxruntime.InferenceSession(file).run(None, {"x": clips})
        np.testing.assert_allclose(probabilities, last.probabilities(states), rtol=1e-5)
        whitened = embeddings @ whiten.kernel + whiten.bias
        apart = whitened @ squares.kernel + squares.bias + (whitened**2).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(distances, np.sqrt(apart.min(axis=1)), rtol=1e-5)
        assert len(onnx.load(file).graph.initializer) == 8, "three layers, and what was there beside them"


def test_a_network_without_these_layers_is_refused(file: Path) -> None:
    model = onnx.load(file)
    del model.graph.output[1]
    onnx.save(model, file)
    with pytest.raises(ModelError, match=r"last layers it can find\. Received: 'head\.onnx'"):
        Tail(file)
    file.write_bytes(b"no network")
    with pytest.raises(ModelError, match="must be an ONNX model"):
        Tail(file)
