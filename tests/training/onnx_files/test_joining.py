from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from actreel.config import ClipSpec
from actreel.inference.clip_encoding import FrameWindows
from actreel.models import build_head, export_onnx
from actreel.training.onnx_files import Wrapped, in_windows, join_parts, read_encoder, side_by_side, wrap_encoder
from tests.models.networks import params_of
from tests.training.onnx_files.files import image_encoder, video_encoder

SPEC = ClipSpec(num_frames=6, height=12, width=10)
WINDOWS = FrameWindows(4, 1, 6)


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A head on six pictures, and one on the windows of a video encoder, as they are exported."""
    folder, found = tmp_path_factory.mktemp("heads"), {}
    for name, steps in (("lstm", (6, 8)), ("transformer", (len(WINDOWS.starts), 6))):
        params = params_of("onnx", name, "difference", "e.onnx")
        export_onnx(build_head(params, steps, 3), folder / f"{name}.onnx")
        found[name] = folder / f"{name}.onnx"
    return found


@pytest.mark.parametrize("opset", [13, 18, 23])
@pytest.mark.parametrize("name", ["lstm", "transformer"])
def test_the_whole_gives_what_encoder_and_head_give(
    name: str, opset: int, heads: dict[str, Path], tmp_path: Path
) -> None:
    clips = np.random.default_rng(0).integers(0, 256, (3, *SPEC.shape), dtype=np.uint8)
    windows = WINDOWS.indices if name == "transformer" else None
    path = (image_encoder if windows is None else video_encoder)(tmp_path / "e.onnx", opset=opset)
    encoder = wrap_encoder(read_encoder(path), SPEC)
    whole = join_parts(encoder, onnx.load(heads[name]), SPEC.shape, windows)
    frames = (clips if windows is None else clips[:, windows]).reshape(-1, *wanted(encoder.model)[1:])
    encode = onnxruntime.InferenceSession(encoder.model.SerializeToString())
    answer = onnxruntime.InferenceSession(str(heads[name]))
    (features,), (probabilities,) = answer.get_inputs(), answer.get_outputs()
    vectors = encode.run(None, {"frames": frames})[0].reshape(3, *features.shape[1:])
    expected = answer.run(None, {features.name: vectors})[0]
    session = onnxruntime.InferenceSession(whole.SerializeToString())
    assert [each.name for each in session.get_outputs()] == [probabilities.name]
    np.testing.assert_allclose(session.run(None, {"clip": clips})[0], expected, atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 1e-4


def wanted(model: onnx.ModelProto) -> list[int]:
    return [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]


def run(model: onnx.ModelProto, **taken: np.ndarray) -> np.ndarray:
    return np.asarray(onnxruntime.InferenceSession(model.SerializeToString()).run(None, taken)[0])


def passing(steps: int, size: int) -> onnx.ModelProto:
    """A head that gives what it is given."""
    shape = ["N", steps, size]
    taken, given = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("features", "same"))
    graph = helper.make_graph([helper.make_node("Identity", ["features"], ["same"])], "head", [taken], [given])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)


@pytest.mark.parametrize("opsets", [(15, 17), (17, 18), (23, 15)])
def test_encoders_side_by_side_and_a_track_give_what_each_gives(opsets: tuple[int, int], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    clips = rng.integers(0, 256, (2, *SPEC.shape), dtype=np.uint8)
    track = rng.normal(size=(2, 6, 3)).astype(np.float32)
    one, other = (
        wrap_encoder(read_encoder(image_encoder(tmp_path / f"{side}.onnx", ("N", 3, side, side), opset=opset)), SPEC)
        for side, opset in zip((16, 8), opsets, strict=True)
    )
    both = side_by_side([one, other])
    frames = clips.reshape(-1, *SPEC.shape[1:])
    expected = np.concatenate([run(each.model, frames=frames) for each in (one, other)], axis=1)
    np.testing.assert_allclose(run(both.model, frames=frames), expected, atol=1e-5)
    assert np.abs(expected[:, :8] - expected[:, 8:]).max() > 0.01
    whole = join_parts(both, passing(6, both.size + 3), SPEC.shape, None)
    assert [each.name for each in whole.graph.input] == ["clip", "track"]
    answer = run(whole, clip=clips, track=track)
    np.testing.assert_allclose(answer, np.concatenate([expected.reshape(2, 6, -1), track], axis=2), atol=1e-5)


def test_beside_a_video_encoder_frames_and_track_are_means_of_its_windows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    clips = rng.integers(0, 256, (2, *SPEC.shape), dtype=np.uint8)
    track = rng.normal(size=(2, 6, 3)).astype(np.float32)
    video = wrap_encoder(read_encoder(video_encoder(tmp_path / "v.onnx")), SPEC)
    pictures = wrap_encoder(read_encoder(image_encoder(tmp_path / "e.onnx")), SPEC)
    joined = side_by_side([video, Wrapped(in_windows(pictures, (4, *SPEC.shape[1:])), pictures.size)])
    steps = len(WINDOWS.starts)
    whole = join_parts(joined, passing(steps, joined.size + 3), SPEC.shape, WINDOWS.indices)
    seen = run(video.model, frames=clips[:, WINDOWS.indices].reshape(-1, 4, *SPEC.shape[1:])).reshape(2, steps, -1)
    frames = run(pictures.model, frames=clips.reshape(-1, *SPEC.shape[1:])).reshape(2, 6, -1)
    means = [np.stack([WINDOWS.means(clip) for clip in each]) for each in (frames, track)]
    answer = run(whole, clip=clips, track=track)
    np.testing.assert_allclose(answer, np.concatenate([seen, *means], axis=2), atol=1e-5)
    assert np.ptp(answer, axis=1).min(axis=0).max() > 1e-3
