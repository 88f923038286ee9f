"""The linear layers at the end of a network in its ONNX file: looked through, and replaced. Without TensorFlow.

Training exports the network. A lesson changes three layers of it: the last one, and the two behind the distance (see
`actreel.models.with_distance`). All others stay as they are, to the byte.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from scipy.special import softmax

from actreel.base.faults import TRAIN_AGAIN
from actreel.errors import ModelError


@dataclass(frozen=True)
class Linear:
    """A linear layer.

    Attributes:
        kernel: float32 (D, K).
        bias: float32 (K,).
    """

    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]

    def probabilities(self, states: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (N, K): what it says as the last layer of a network, of float32 (N, D)."""
        return np.asarray(softmax(states @ self.kernel + self.bias, axis=1), dtype=np.float32)


@dataclass(frozen=True)
class _Place:
    """Where a linear layer is in a graph: a product and a sum.

    Attributes:
        takes: Name of what it takes.
        kernel: Name of the kernel.
        bias: Name of the bias.
        product: Name of what the product gives.
        total: Name of what the sum gives.
    """

    takes: str
    kernel: str
    bias: str
    product: str
    total: str


class Tail:
    """The end of a network.

    Attributes:
        last: The last layer.
    """

    def __init__(self, file: Path) -> None:
        """Opens a network with the outputs `probabilities` and `distance`, from clips or from encoded ones.

        Raises:
            ModelError: The file is damaged, or has no such layers.
        """
        try:
            self._model = onnx.load(file)
        except Exception as error:  # of protobuf, which onnx hands on
            raise ModelError(f"'{file}' must be an ONNX model. {error}. {TRAIN_AGAIN}") from error
        graph = self._model.graph
        self._makers = {name: node for node in graph.node for name in node.output}
        self._constants = {each.name: each for each in graph.initializer}
        outputs = [output.name for output in graph.output]
        if len(outputs) != 2:
            raise _unknown(file)
        last, squares = (self._linear_before(name) for name in outputs)
        whiten = self._linear_before(squares.takes) if squares else None
        if last is None or squares is None or whiten is None:
            raise _unknown(file)
        self._last, self._squares, self._whiten = last, squares, whiten
        kernel, bias = (numpy_helper.to_array(self._constants[name]) for name in (last.kernel, last.bias))
        self.last = Linear(kernel, bias)

    def see(self, batch: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What the network makes of clips below these layers.

        Args:
            batch: What the network takes, for B clips.

        Returns:
            What the last layer sees, float32 (B, S), and the clips' embeddings, float32 (B, D).
        """
        (taken,) = self._looking.get_inputs()
        states, embeddings = self._looking.run([self._last.takes, self._whiten.takes], {taken.name: batch})
        return states, embeddings

    def replaced(self, last: Linear, whiten: Linear, squares: Linear) -> bytes:
        """The file's content with other layers.

        Args:
            last: The last layer.
            whiten: What whitens embeddings.
            squares: What makes squared distances of that; see `EmbeddingStatistics.from_centres`.
        """
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        nodes = {node.output[0]: node for node in model.graph.node}
        new = {}
        for place, layer in ((self._last, last), (self._whiten, whiten), (self._squares, squares)):
            parts = ((place.product, place.kernel, layer.kernel), (place.total, place.bias, layer.bias))
            for output, constant, value in parts:
                # Under another name: two layers that were alike may share a constant.
                inputs, name = nodes[output].input, f"{output}/constant"
                inputs[list(inputs).index(constant)] = name
                new[name] = numpy_helper.from_array(np.ascontiguousarray(value, dtype=np.float32), name)
        used = {name for node in model.graph.node for name in node.input}
        old = (self._last, self._whiten, self._squares)
        gone = {name for each in old for name in (each.kernel, each.bias)} - (used - new.keys())
        constants = model.graph.initializer
        for number in reversed(range(len(constants))):
            if constants[number].name in gone:
                del constants[number]
        constants.extend(new.values())
        del model.graph.value_info[:]  # their shapes
        model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = len(last.bias)
        return bytes(model.SerializeToString(deterministic=True))

    @cached_property
    def _looking(self) -> onnxruntime.InferenceSession:
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        outputs = dict.fromkeys((self._last.takes, self._whiten.takes))
        del model.graph.output[:]
        model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs)
        return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

    def _linear_before(self, name: str) -> _Place | None:
        """The nearest linear layer that a value depends on."""
        waiting = deque([name])
        while waiting:
            node = self._makers.get(waiting.popleft())
            if node is None:
                continue
            if found := self._linear_at(node):
                return found
            waiting.extend(node.input)
        return None

    def _linear_at(self, total: onnx.NodeProto) -> _Place | None:
        if total.op_type != "Add":
            return None
        for made, bias in (tuple(total.input), tuple(total.input)[::-1]):
            product = self._makers.get(made)
            if product is None or product.op_type != "MatMul" or bias not in self._constants:
                continue
            takes, kernel = product.input
            if kernel in self._constants:
                return _Place(takes, kernel, bias, made, total.output[0])
        return None


def _unknown(file: Path) -> ModelError:
    return ModelError(
        f"Teaching needs a network whose last layers it can find. Received: '{file.name}' of a model that an early "
        "version trained. Train it again: make repro"
    )
