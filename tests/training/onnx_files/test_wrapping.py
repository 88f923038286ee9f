from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from actreel.config import ClipSpec
from actreel.errors import ModelError
from actreel.quiet_keras import keras
from actreel.training.onnx_files import read_encoder, wrap_encoder
from actreel.training.onnx_files.wrapping import _factor
from tests.training.onnx_files.files import CLIP, PIXELS, image_encoder, save, video_encoder

SPEC = ClipSpec(num_frames=4, height=16, width=16)
RNG = np.random.default_rng(1)
MEAN = np.array(PIXELS["mean"], dtype=np.float32)


def pictures(*shape: int) -> NDArray[np.uint8]:
    return RNG.integers(0, 256, (*shape, 3), dtype=np.uint8)


def run(model: Any, **inputs: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(onnxruntime.InferenceSession(model).run(None, inputs)[0])


def wrapped(path: Path, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the wrapped encoder gives for frames."""
    spec = ClipSpec(num_frames=4, height=frames.shape[-3], width=frames.shape[-2])
    found = wrap_encoder(read_encoder(path), spec)
    features = run(found.model.SerializeToString(), frames=frames)
    assert features.dtype == np.float32
    assert features.shape == (len(frames), found.size)
    return features


def refusal(path: Path, spec: ClipSpec = SPEC) -> str:
    encoder = read_encoder(path)
    with pytest.raises(ModelError) as caught:
        wrap_encoder(encoder, spec)
    return str(caught.value)


@pytest.mark.parametrize("opset", [11, 13, 17, 18, 21, 23])
def test_it_gives_what_the_file_gives_for_normalised_pictures(opset: int, tmp_path: Path) -> None:
    path = image_encoder(tmp_path / "e.onnx", opset=opset)
    frames = pictures(3, 16, 16)
    expected = run(path, x=((frames / 255 - MEAN) / 0.25).transpose(0, 3, 1, 2).astype(np.float32))
    np.testing.assert_allclose(wrapped(path, frames), expected, atol=1e-5)


@pytest.mark.parametrize("size", [(8, 10), (16, 49), (33, 16), (64, 48), (57, 91), (41, 61)])
def test_frames_of_another_size_are_stretched_as_by_keras(size: tuple[int, int], tmp_path: Path) -> None:
    path = image_encoder(tmp_path / "e.onnx")
    frames = pictures(2, *size)
    stretched = np.asarray(keras.ops.image.resize(frames.astype(np.float32), (16, 16)))
    expected = run(path, x=((stretched / 255 - MEAN) / 0.25).transpose(0, 3, 1, 2).astype(np.float32))
    np.testing.assert_allclose(wrapped(path, frames), expected, atol=1e-5)


def test_a_side_is_never_too_small_by_a_rounding() -> None:
    before, after = 41, 16
    assert int(np.float32(after / before) * np.float32(before)) < after  # as the quotient would be
    for before in range(8, 300):
        factor = _factor(before, after)
        assert int(factor * np.float32(before)) == int(float(factor) * before) == after


def test_range_order_of_channels_and_layout_are_those_of_the_settings(tmp_path: Path) -> None:
    settings = {"layout": "NHWC", "size": [4, 5], "range": [-1, 1], "mean": 0.5, "std": [1, 2, 4], "channels": "bgr"}
    node = helper.make_node("Flatten", ["x"], ["y"])
    path = save(tmp_path / "e.onnx", [node], ["N", "h", "w", 3], {"y": ["N", "F"]}, settings=settings)
    spec = ClipSpec(num_frames=4, height=8, width=10)
    black_red = np.zeros((2, 8, 10, 3), dtype=np.uint8)
    black_red[1, :, :, 0] = 255
    model = wrap_encoder(read_encoder(path), spec).model.SerializeToString()
    black, red = run(model, frames=black_red).reshape(2, 20, 3)
    np.testing.assert_allclose(black, np.tile([-1.5, -0.75, -0.375], (20, 1)), atol=1e-6)
    np.testing.assert_allclose(red, np.tile([-1.5, -0.75, 0.125], (20, 1)), atol=1e-6)


@pytest.mark.parametrize(
    ("layout", "shape", "axes"),
    [
        ("NTCHW", ["N", 4, 3, 8, 8], [0, 1, 4, 2, 3]),
        ("NCTHW", ["N", 3, 4, 8, 8], [0, 4, 1, 2, 3]),
        ("NTHWC", ["N", 4, 8, 8, 3], [0, 1, 2, 3, 4]),
    ],
)
def test_clips_come_in_each_layout(layout: str, shape: list[int | str], axes: list[int], tmp_path: Path) -> None:
    node = helper.make_node("Flatten", ["x"], ["y"])
    settings = CLIP | {"layout": layout}
    path = save(tmp_path / "e.onnx", [node], shape, {"y": ["N", 768]}, settings=settings)
    clips = pictures(2, 4, 8, 8)
    expected = ((clips / 255 - MEAN) / 0.25).transpose(axes).reshape(2, -1)
    np.testing.assert_allclose(wrapped(path, clips), expected, atol=1e-5)


def test_half_precision_goes_in_and_comes_out_as_single(tmp_path: Path) -> None:
    frames = pictures(3, 16, 16)
    half = wrapped(image_encoder(tmp_path / "half.onnx", kind=TensorProto.FLOAT16), frames)
    np.testing.assert_allclose(half, wrapped(image_encoder(tmp_path / "e.onnx"), frames), atol=5e-3)


@pytest.mark.parametrize("opset", [17, 18])
def test_maps_and_tokens_become_one_vector(opset: int, tmp_path: Path) -> None:
    frames = pictures(2, 8, 8)
    expected = ((frames / 255 - MEAN) / 0.25).transpose(0, 3, 1, 2)

    def pooled(pool: str, node: Any, output: list[int | str], settings: Any, shape: Any = ("N", 3, 8, 8)) -> Any:
        weights = {"shape": [0, 3, 64]}
        settings = settings | {"pool": pool}
        path = tmp_path / "e.onnx"
        return wrapped(save(path, [node], shape, {"y": output}, weights, opset=opset, settings=settings), frames)

    maps, tokens = helper.make_node("Identity", ["x"], ["y"]), helper.make_node("Reshape", ["x", "shape"], ["y"])
    means = expected.mean(axis=(2, 3))
    np.testing.assert_allclose(pooled("mean", maps, ["N", 3, 8, 8], PIXELS), means, atol=1e-5)
    last = PIXELS | {"layout": "NHWC"}
    np.testing.assert_allclose(pooled("mean", maps, ["N", 8, 8, 3], last, ("N", 8, 8, 3)), means, atol=1e-5)
    flat = expected.reshape(2, 3, 64)
    np.testing.assert_allclose(pooled("mean", tokens, ["N", 3, 64], PIXELS), flat.mean(axis=1), atol=1e-5)
    np.testing.assert_allclose(pooled("first", tokens, ["N", 3, 64], PIXELS), flat[:, 0], atol=1e-5)


def test_a_file_for_one_picture_takes_several_where_its_graph_can(tmp_path: Path) -> None:
    frames = pictures(3, 16, 16)
    one = image_encoder(tmp_path / "one.onnx", (1, 3, 16, 16), outputs={"y": [1, 8]})
    np.testing.assert_array_equal(wrapped(one, frames), wrapped(image_encoder(tmp_path / "e.onnx"), frames))


@pytest.mark.parametrize("mixes", [False, True])
def test_a_graph_that_takes_one_picture_only_or_mixes_them_is_refused(mixes: bool, tmp_path: Path) -> None:
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"])]
    if mixes:
        nodes = [
            helper.make_node("ReduceMean", ["x"], ["mean"], axes=[0]),
            helper.make_node("Sub", ["x", "mean"], ["apart"]),
            helper.make_node("Flatten", ["apart"], ["y"]),
        ]
    weights = {"shape": [1, 192]}
    path = save(tmp_path / "e.onnx", nodes, ["N", 3, 8, 8], {"y": ["N", 192]}, weights, settings=PIXELS)
    assert "must take any number of pictures at once, each by itself. 'e.onnx' takes one only, or mixes" in refusal(
        path
    )


def test_a_vector_whose_length_depends_on_the_picture_is_refused(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "flat"], ["line"]),
        helper.make_node("Greater", ["line", "bound"], ["bright"]),
        helper.make_node("NonZero", ["bright"], ["places"]),
        helper.make_node("Cast", ["places"], ["y"], to=TensorProto.FLOAT),
    ]
    weights = {"bound": np.float32(0), "flat": [-1]}
    path = save(tmp_path / "e.onnx", nodes, ["N", 3, 8, 8], {"y": ["N", "F"]}, weights, settings=PIXELS)
    assert "one vector of the same length for each of its pictures. 'e.onnx' gives arrays of (1, " in refusal(path)


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("Log", ["x"], ["z"]), helper.make_node("Flatten", ["z"], ["y"])]
    path = save(tmp_path / "e.onnx", nodes, ["N", 3, 8, 8], {"y": ["N", 192]}, settings=PIXELS)
    assert refusal(path) == "'e.onnx' gives numbers that are not finite. Check its range, mean and std."


def test_what_does_not_run_is_refused_with_the_reason(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("Flatten", ["z"], ["y"])]
    weights = {"w": np.ones((5, 2), dtype=np.float32)}
    path = save(tmp_path / "e.onnx", nodes, ["N", 3, 8, "w"], {"y": ["N", 48]}, weights, settings=PIXELS | {"size": 8})
    said = refusal(path)
    assert said.startswith(f"ONNX Runtime {onnxruntime.__version__} cannot run 'e.onnx': ")
    assert said.endswith("Check its settings, or export it again with opset 17.")


def test_an_unknown_operator_is_refused(tmp_path: Path) -> None:
    spell = helper.make_node("Spell", ["x"], ["y"])
    path = save(tmp_path / "e.onnx", [spell], ["N", 3, 8, 8], {"y": ["N", 8]}, settings=PIXELS)
    assert "'e.onnx' must be a valid ONNX model. Received: No Op registered for Spell" in refusal(path)


def test_operators_that_are_too_old_to_convert_are_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("Pad", ["x"], ["z"], paddings=[0] * 8), helper.make_node("Flatten", ["z"], ["y"])]
    path = save(tmp_path / "e.onnx", nodes, ["N", 3, 8, 8], {"y": ["N", 192]}, opset=1, settings=PIXELS)
    assert "'e.onnx' has operators of opset 1, which cannot be converted to 15: No Adapter" in refusal(path)


def test_a_video_encoder_takes_clips(tmp_path: Path) -> None:
    clips = pictures(2, 4, 8, 8)
    light = ((clips / 255 - MEAN) / 0.25).mean(axis=(2, 3))
    slopes = light * np.array([[[-3], [-1], [1], [3]]]) / 4
    expected = np.concatenate([light.mean(axis=1), slopes.mean(axis=1)], axis=1)
    np.testing.assert_allclose(wrapped(video_encoder(tmp_path / "v.onnx"), clips), expected, atol=1e-5)
