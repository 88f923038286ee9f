import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from actreel.training.onnx_files.graphs import Line, chain, opset_of


def line(name: str, factor: float, opset: int = 17) -> Line:
    return Line(name, TensorProto.FLOAT, ["N", 2], opset).add("Mul", np.float32(factor))


def test_a_chain_keeps_the_names_at_its_ends_whatever_its_parts_call_theirs() -> None:
    same = [line("x", factor).end("y", TensorProto.FLOAT, ["N", 2]) for factor in (2, 3, 5)]
    joined = chain(same)
    assert [value.name for value in (*joined.graph.input, *joined.graph.output)] == ["x", "y"]
    assert [(each.domain, each.version) for each in joined.opset_import] == [("", 17)], "other tools want it once"
    session = onnxruntime.InferenceSession(joined.SerializeToString())
    np.testing.assert_array_equal(session.run(None, {"x": np.ones((1, 2), np.float32)})[0], [[30, 30]])
    assert same[0].graph.input[0].name == "x"  # the parts are left as they are


def test_a_chain_may_end_in_a_branch_that_reads_what_lies_outside() -> None:
    z = helper.make_tensor_value_info("z", TensorProto.FLOAT, ["N", 2])
    outside = helper.make_graph([helper.make_node("Mul", ["x", "x"], ["z"])], "branch", [], [z])
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Cast", ["sum"], ["flag"], to=TensorProto.BOOL),
        helper.make_node("If", ["flag"], ["y"], then_branch=outside, else_branch=outside),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2]) for name in "xy"]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    branching = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    joined = chain([line("x", 3).end("y", TensorProto.FLOAT, ["N", 2]), branching])
    assert (joined.ir_version, opset_of(joined)) == (9, 17)
    session = onnxruntime.InferenceSession(joined.SerializeToString())
    np.testing.assert_array_equal(session.run(None, {"x": np.ones((1, 2), np.float32)})[0], [[9, 9]])


def test_means_are_written_as_the_opset_wants_them() -> None:
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    for opset in (17, 18):
        model = line("x", 2, opset).mean([1]).end("y", TensorProto.FLOAT, ["N"])
        session = onnxruntime.InferenceSession(model.SerializeToString())
        np.testing.assert_array_equal(session.run(None, {"x": values})[0], [1, 5, 9])


def test_parts_of_different_opsets_are_not_joined() -> None:
    parts = [line("x", 2, opset).end("y", TensorProto.FLOAT, ["N", 2]) for opset in (17, 18)]
    with pytest.raises(ValueError, match=r"of one opset can be joined\. Received: \[17, 18\]"):
        chain(parts)
