import hashlib
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from actreel.errors import ModelError
from actreel.training.onnx_files import read_encoder
from actreel.training.onnx_files.reading import dims_of
from tests.training.onnx_files.files import PIXELS, image_encoder, save, video_encoder

FLATTEN = helper.make_node("Flatten", ["x"], ["y"])


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read_encoder(path)
    return str(caught.value)


def test_an_encoder_is_read_with_its_settings(tmp_path: Path) -> None:
    path = image_encoder(tmp_path / "e.onnx")
    encoder = read_encoder(path)
    assert (encoder.input.name, encoder.output.name) == ("x", "y")
    assert dims_of(encoder.input) == [None, 3, 16, 16]
    assert encoder.settings.layout == "NCHW"
    assert encoder.parameters == 8 * 3 * 3 * 3
    assert encoder.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_weights_beside_the_file_are_read_and_belong_to_its_digest(tmp_path: Path) -> None:
    path = image_encoder(tmp_path / "e.onnx", save_as_external_data=True, location="e.onnx.data", size_threshold=0)
    alone = read_encoder(image_encoder(tmp_path / "alone.onnx"))
    encoder = read_encoder(path)
    assert encoder.model.graph.initializer[0].raw_data == alone.model.graph.initializer[0].raw_data
    data = path.with_name("e.onnx.data")
    content = bytearray(data.read_bytes())
    content[0] ^= 1
    data.write_bytes(content)
    assert read_encoder(path).sha256 != encoder.sha256
    data.write_bytes(content[:40])
    assert "The weights beside 'e.onnx' cannot be read" in refusal(path)
    data.unlink()
    assert "keeps its weights in 'e.onnx.data', which is not beside it" in refusal(path)
    data.symlink_to(tmp_path / "alone.onnx")
    assert "must lie in its own folder, and be no link" in refusal(path)


@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", "sub/e.data"])
def test_weights_elsewhere_are_refused(location: str, tmp_path: Path) -> None:
    path = image_encoder(tmp_path / "e.onnx", save_as_external_data=True, location="e.data", size_threshold=0)
    model = onnx.load(path, load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = location
    path.write_bytes(model.SerializeToString())
    said = refusal(path)
    assert f"must lie in its own folder, and be no link. 'e.onnx' names '{location}'. Save it as one file" in said


@pytest.mark.parametrize("content", [b"", b"\xff\xfe no model", b"PK\x03\x04"])
def test_a_file_that_is_no_model_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "e.onnx"
    path.write_bytes(content)
    assert f"model.weights must be an ONNX file. Received: '{path}'" in refusal(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "must be an ONNX file that can be read" in refusal(tmp_path / "none.onnx")
    assert "Is a directory" in refusal(tmp_path)


def test_a_cut_off_file_is_refused(tmp_path: Path) -> None:
    path = image_encoder(tmp_path / "e.onnx")
    path.write_bytes(path.read_bytes()[:300])
    assert "must be an ONNX file" in refusal(path)


def test_custom_operators_are_named(tmp_path: Path) -> None:
    inside = helper.make_graph(
        [helper.make_node("Magic", [], ["z"], domain="org.somebody")],
        "then", [], [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["N", 8])],
    )  # fmt: skip
    nodes = [
        helper.make_node("Spell", ["x"], ["y"], domain="org.somebody"),
        helper.make_node("If", ["flag"], ["z"], then_branch=inside, else_branch=inside),
    ]
    path = save(tmp_path / "e.onnx", nodes, ["N", 3, 8, 8], {"y": ["N", 8]}, {"flag": True}, settings=PIXELS)
    assert "'e.onnx' needs org.somebody.Magic, org.somebody.Spell. Export it without custom operators." in refusal(path)


def test_several_inputs_are_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["x", "mask"], ["z"]), helper.make_node("Flatten", ["z"], ["y"])]
    path = save(tmp_path / "e.onnx", nodes, ["N", 3, 8, 8], {"y": ["N", 192]}, inputs=("x", "mask"), settings=PIXELS)
    assert "must have one input, pictures or clips. 'e.onnx' has 2: x, mask." in refusal(path)


@pytest.mark.parametrize("kind", [TensorProto.UINT8, TensorProto.DOUBLE])
def test_an_input_that_is_not_float_is_refused(kind: int, tmp_path: Path) -> None:
    path = save(tmp_path / "e.onnx", [FLATTEN], ["N", 3, 8, 8], {"y": ["N", 192]}, kind=kind, settings=PIXELS)
    said = TensorProto.DataType.Name(kind).lower()
    assert f"must be float32 or float16. 'e.onnx' takes {said}. Export it without its preprocessing" in refusal(path)


@pytest.mark.parametrize("shape", [["N", 3], ["N", 3, 8], ["N", 1, 4, 3, 8, 8]])
def test_an_input_of_other_axes_is_refused(shape: list[int | str], tmp_path: Path) -> None:
    path = save(tmp_path / "e.onnx", [FLATTEN], shape, {"y": ["N", 24]}, settings=PIXELS)
    assert "input must have 4 axes (pictures) or 5 (clips)" in refusal(path)


MAPS = [
    helper.make_node("Relu", ["x"], ["maps"]),
    helper.make_node("GlobalAveragePool", ["maps"], ["means"]),
    helper.make_node("Flatten", ["means"], ["a"]),
    helper.make_node("Flatten", ["maps"], ["b"]),
]


def test_the_output_is_the_named_one_or_the_only_vector(tmp_path: Path) -> None:
    path, shape = tmp_path / "e.onnx", ["N", 3, 8, 8]
    save(path, MAPS, shape, {"maps": shape, "a": ["N", 3]}, settings=PIXELS)
    assert read_encoder(path).output.name == "a"
    both = {"maps": shape, "a": ["N", 3], "b": ["N", 192]}
    save(path, MAPS, shape, both, settings=PIXELS)
    said = refusal(path)
    assert "'e.onnx' has maps (?, 3, 8, 8), a (?, 3), b (?, 192). Write 'output: a', or another of them, to" in said
    save(path, MAPS, shape, both, settings=PIXELS | {"output": "b"})
    assert read_encoder(path).output.name == "b"
    save(path, MAPS, shape, both, settings=PIXELS | {"output": "c"})
    assert "Received: 'c'. It has: maps (?, 3, 8, 8), a (?, 3), b (?, 192)" in refusal(path)


def test_an_output_of_maps_or_tokens_needs_a_way_to_one_vector(tmp_path: Path) -> None:
    path, shape = tmp_path / "e.onnx", ["N", 3, 8, 8]
    save(path, MAPS[:1], shape, {"maps": shape}, settings=PIXELS)
    assert "'pool: mean' averages places" in refusal(path)
    save(path, MAPS[:1], shape, {"maps": shape}, settings=PIXELS | {"pool": "first"})
    assert "with pool 'first'; it must be (N, features), (N, tokens, features) or maps" in refusal(path)
    tokens = [helper.make_node("Reshape", ["x", "shape"], ["tokens"])]
    weights = {"shape": [0, 3, 64]}
    save(path, tokens, shape, {"tokens": ["N", 3, 64]}, weights, settings=PIXELS)
    assert "'pool: mean' averages tokens, 'pool: first' takes the first one" in refusal(path)


@pytest.mark.parametrize("shape", [[], ["N"]])
def test_an_output_of_too_few_axes_is_refused(shape: list[str], tmp_path: Path) -> None:
    node = helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)
    path = save(tmp_path / "e.onnx", [node], ["N", 3, 8, 8], {"y": shape}, settings=PIXELS)
    assert "it must be (N, features)" in refusal(path)


def test_settings_that_are_missing_are_refused(tmp_path: Path) -> None:
    assert "'e.onnx' does not say: range (" in refusal(image_encoder(tmp_path / "e.onnx", settings=None))
    assert "does not say: stride (" in refusal(video_encoder(tmp_path / "v.onnx", settings=PIXELS))
