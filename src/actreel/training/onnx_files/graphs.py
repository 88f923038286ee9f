"""Small graphs of ONNX operators, and chains of whole models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import onnx
from onnx import compose, helper, numpy_helper

from actreel.training.onnx_files.reading import inputs_of

_FORMAT = 8
"""The version of the file's format, of 2021; a chain has that of its newest part."""


class Line:
    """Operators in a line: the output of each is the first input of the next.

    Args:
        input_name: Of the line.
        kind: Its element type, as in `onnx.TensorProto`.
        shape: Numbers, or names for axes of any size.
        opset: The version of the operators.
    """

    def __init__(self, input_name: str, kind: int, shape: Sequence[int | str], opset: int) -> None:
        self.opset = opset
        self._input = helper.make_tensor_value_info(input_name, kind, shape)
        self._last = input_name
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def add(self, operator: str, *others: Any, **attributes: Any) -> Self:
        """Adds an operator.

        Args:
            operator: Its name.
            others: Its inputs after the first: numbers, arrays, or None for one that is left out.
            attributes: Its attributes.
        """
        output = f"{operator}{len(self._nodes)}"
        inputs = [self._last, *("" if value is None else self._constant(value) for value in others)]
        self._nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        self._last = output
        return self

    def _constant(self, value: Any) -> str:
        name = f"constant{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def mean(self, axes: Sequence[int]) -> Self:
        """Averages over axes, which then are gone."""
        axes = list(axes)
        if self.opset < 18:
            return self.add("ReduceMean", axes=axes, keepdims=0)
        return self.add("ReduceMean", axes, keepdims=0)

    def end(self, name: str, kind: int, shape: Sequence[int | str]) -> onnx.ModelProto:
        """The line as a model with one output of this name."""
        nodes = [*self._nodes, helper.make_node("Identity", [self._last], [name])]
        output = helper.make_tensor_value_info(name, kind, shape)
        graph = helper.make_graph(nodes, "line", [self._input], [output], self._constants)
        # By default, the version of the file's format is newer than what ONNX Runtime reads.
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=_FORMAT)


def opset_of(model: onnx.ModelProto) -> int:
    """The version of a model's standard operators."""
    return next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 1)


def concat(inputs: Mapping[str, int], output: str, shape: Sequence[int | str], opset: int) -> onnx.ModelProto:
    """A model that puts float32 arrays one after the other along their last axis.

    Args:
        inputs: Their names, and sizes along this axis.
        output: Its name.
        shape: Shape of the arrays without the last axis.
        opset: The version of the operators.
    """
    kind, whole = onnx.TensorProto.FLOAT, [*shape, sum(inputs.values())]
    taken = [helper.make_tensor_value_info(name, kind, [*shape, size]) for name, size in inputs.items()]
    given = helper.make_tensor_value_info(output, kind, whole)
    node = helper.make_node("Concat", list(inputs), [output], axis=-1)
    graph = helper.make_graph([node], "concat", taken, [given])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=_FORMAT)


def copies(input_name: str, kind: int, shape: Sequence[int | str], count: int, opset: int) -> onnx.ModelProto:
    """A model that gives its input several times; kind and shape are as in `Line`."""
    taken = helper.make_tensor_value_info(input_name, kind, shape)
    names = [f"copy{number}" for number in range(count)]
    given = [helper.make_tensor_value_info(name, kind, shape) for name in names]
    graph = helper.make_graph(
        [helper.make_node("Identity", [input_name], [name]) for name in names], "copies", [taken], given
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=_FORMAT)


def chain(parts: Sequence[onnx.ModelProto]) -> onnx.ModelProto:
    """Joins models of the same opset: the only output of each becomes the first input of the next.

    The chain's inputs and outputs keep their names; everything else gets the number of its part before its name, so
    names of different parts never meet.

    Raises:
        onnx.checker.ValidationError: The chain is no valid model.
        ValueError: The models are of different opsets.
    """
    joined, *others = _prefixed(parts)
    for part in others:
        joined = compose.merge_models(joined, part, [(joined.graph.output[0].name, inputs_of(part)[0].name)])
    return _finished(joined)


def fan(first: onnx.ModelProto, middle: Sequence[onnx.ModelProto], last: onnx.ModelProto) -> onnx.ModelProto:
    """Joins models of the same opset: of those in the middle, each takes an output of the first and gives the last one.

    Args:
        first: With as many outputs as there are models in the middle.
        middle: With one input and one output each.
        last: With as many inputs.

    Returns:
        The model, with names as in `chain`.

    Raises:
        onnx.checker.ValidationError: As for `chain`.
        ValueError: As for `chain`.
    """
    joined, *others, end = _prefixed([first, *middle, last])
    for given, part in zip([each.name for each in joined.graph.output], others, strict=True):
        joined = compose.merge_models(joined, part, [(given, inputs_of(part)[0].name)])
    ends = zip(joined.graph.output, inputs_of(end), strict=True)
    return _finished(compose.merge_models(joined, end, [(given.name, taken.name) for given, taken in ends]))


def _prefixed(parts: Sequence[onnx.ModelProto]) -> list[onnx.ModelProto]:
    """Copies with the number of each before its names, all of the same format and with the same imports."""
    if len({opset_of(part) for part in parts}) > 1:
        raise ValueError(f"models of one opset can be joined. Received: {[opset_of(part) for part in parts]}")
    imports = {"": opset_of(parts[0])}
    for each in (each for part in parts for each in part.opset_import if each.domain not in ("", "ai.onnx")):
        imports[each.domain] = max(each.version, imports.get(each.domain, 0))
    copied = [compose.add_prefix(part, f"{number}/") for number, part in enumerate(parts)]
    newest = max(part.ir_version for part in parts)
    for part in copied:
        part.ir_version = newest
        _import(part, imports)
    return copied


def _finished(joined: onnx.ModelProto) -> onnx.ModelProto:
    """A model with the names of its inputs and outputs as they were."""
    names = [each.name for each in (*inputs_of(joined), *joined.graph.output)]
    _rename(joined.graph, {name: name.partition("/")[2] for name in names})
    _import(joined, {each.domain: each.version for each in joined.opset_import})  # each part has brought all of them
    joined.producer_name = "actreel"
    onnx.checker.check_model(joined)
    return joined


def _import(model: onnx.ModelProto, versions: Mapping[str, int]) -> None:
    """Makes these, by domain, the only operators that a model imports."""
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(*each) for each in versions.items())


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Renames edges of a graph that no loop or branch inside it reads."""
    for value in (*graph.input, *graph.output):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
