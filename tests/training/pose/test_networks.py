import numpy as np
import pytest

from actreel.training.pose.networks import dense, flatbuffer_utils, schema

WEIGHTS = np.array([[0, 1.5, 0], [0, 0, 0], [2, 0, -3]], np.float16)


def sparse_network(**changes: object) -> bytes:
    """A network whose weights are compressed along their last axis, made dense, and added to its input."""
    rows, columns = np.nonzero(WEIGHTS)
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs, model.buffers = 3, [graph], [schema.BufferT(), schema.BufferT()]
    model.buffers[1].data = np.frombuffer(WEIGHTS[rows, columns].tobytes(), np.uint8)
    graph.tensors = [schema.TensorT() for _ in range(4)]
    for number, tensor in enumerate(graph.tensors):
        tensor.name, tensor.shape, tensor.type = f"t{number}", [3, 3], schema.TensorType.FLOAT16
    sparsity, last = schema.SparsityParametersT(), schema.DimensionMetadataT()
    first, ends, indices = schema.DimensionMetadataT(), schema.Int32VectorT(), schema.Int32VectorT()
    first.denseSize, last.format = 3, schema.DimensionType.SPARSE_CSR
    ends.values, indices.values = [0, *np.cumsum(np.bincount(rows, minlength=3))], columns.tolist()
    last.arraySegmentsType = last.arrayIndicesType = schema.SparseIndexVector.Int32Vector
    last.arraySegments, last.arrayIndices = ends, indices
    sparsity.traversalOrder, sparsity.dimMetadata = [0, 1], [first, last]
    for name, value in changes.items():
        setattr(sparsity, name, value)
    graph.tensors[0].buffer, graph.tensors[0].sparsity = 1, sparsity
    graph.inputs, graph.outputs, graph.operators = [2], [3], []
    model.operatorCodes = []
    for number, (code, taken, given) in enumerate(
        ((schema.BuiltinOperator.DENSIFY, [0], [1]), (schema.BuiltinOperator.ADD, [2, 1], [3]))
    ):
        operator, kind = schema.OperatorT(), schema.OperatorCodeT()
        operator.opcodeIndex, operator.inputs, operator.outputs = number, taken, given
        kind.builtinCode = kind.deprecatedBuiltinCode = code
        graph.operators.append(operator)
        model.operatorCodes.append(kind)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def test_compressed_weights_become_dense() -> None:
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(dense(sparse_network())))
    (graph,) = model.subgraphs
    assert graph.tensors[0].sparsity is None
    found = np.frombuffer(bytes(model.buffers[1].data), np.float16).reshape(3, 3)
    np.testing.assert_array_equal(found, WEIGHTS)
    (operator,) = graph.operators  # the addition takes the weights themselves
    assert list(operator.inputs) == [2, 0]


def test_weights_that_are_compressed_otherwise_are_refused() -> None:
    with pytest.raises(ValueError, match="must be compressed along the last axis alone"):
        dense(sparse_network(traversalOrder=[1, 0]))
