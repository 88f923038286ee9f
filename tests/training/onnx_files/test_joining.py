from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from actreel.config import ClipSpec
from actreel.inference.clip_encoding import FrameWindows
from actreel.models import build_head, export_onnx
from actreel.training.onnx_files import join_parts, read_encoder, wrap_encoder
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
