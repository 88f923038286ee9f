import json
from pathlib import Path

import numpy as np
import pytest

from actreel.cli import main
from actreel.config import ClipSpec, ModelParams
from actreel.errors import ModelError
from actreel.evaluation.saliency import grad_cam, load_network, saliency_of
from actreel.models import PROBABILITIES, build_model
from actreel.quiet_keras import keras
from tests.conftest import grey_frames, write_model_folder, write_video_file

SPEC = ClipSpec(num_frames=6, height=16, width=16)
LARGER = SPEC.model_copy(update={"height": 32, "width": 32})


def network(encoder: str, head: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    values = {"encoder": encoder, "weights": "none", "head": head, "motion": "none", "units": 4, "dropout": 0.2}
    return build_model(ModelParams.model_validate(values), LARGER, 2)


def clip_with_square(frame: int) -> np.ndarray:
    """Dark, but for a bright square at the lower right of one frame."""
    clip = np.zeros(SPEC.shape, dtype=np.uint8)
    clip[frame, 8:, 8:] = 255
    return clip


def brightness_network(convolution: bool = True) -> keras.Model:
    """The brighter any position of any frame, the more likely the second action."""
    clip = keras.Input(SPEC.shape, dtype="uint8")
    frames = keras.ops.reshape(clip, (-1, *SPEC.shape[1:]))
    x = keras.layers.Rescaling(1 / 255)(frames)
    if convolution:
        x = keras.layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones", name="only")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.ops.mean(keras.ops.reshape(x, (-1, SPEC.num_frames, x.shape[-1])), axis=1)
    outputs = keras.layers.Dense(2, activation="softmax", name=PROBABILITIES, kernel_initializer="zeros")
    model = keras.Model(clip, outputs(x))
    kernel = np.zeros(outputs.kernel.shape, dtype=np.float32)
    kernel[:, 1] = 5
    outputs.set_weights([kernel, np.zeros(2, dtype=np.float32)])
    return model


@pytest.mark.parametrize(("convolution", "method"), [(True, "Grad-CAM of only"), (False, "gradient x input")])
def test_it_points_at_the_bright_square_and_its_frame(convolution: bool, method: str) -> None:
    model = brightness_network(convolution)
    clip = clip_with_square(frame=4)
    before = np.asarray(model(clip[None]))[0]
    found = saliency_of(model, clip)
    assert found.method == method
    assert found.action == 1
    assert found.probability == pytest.approx(before[1])
    np.testing.assert_allclose(found.over_time, [0, 0, 0, 0, 1, 0], atol=1e-6)
    assert found.maps.shape == SPEC.shape[:3]
    assert found.maps[4, 12, 12] == 1
    assert found.maps[4, :6, :6].max() == 0
    np.testing.assert_array_equal(model(clip[None])[0], before)  # the model is unchanged


@pytest.mark.parametrize(
    ("encoder", "head", "method"),
    [
        ("small_cnn", "gru", "Grad-CAM of conv2"),  # conv3 sees 2x2 pixels
        ("small_cnn", "attention_lstm", "attention over time, Grad-CAM of conv2"),
        ("pixels", "convlstm", "Grad-CAM of conv_lstm2d"),
        ("pixels", "cnn3d_attention_lstm", "attention over time, Grad-CAM of conv3d"),
    ],
)
def test_every_family_can_be_explained(encoder: str, head: str, method: str) -> None:
    clip = np.random.default_rng(0).integers(0, 256, LARGER.shape).astype(np.uint8)
    model = network(encoder, head)
    found = saliency_of(model, clip)
    assert found.method.startswith(method)
    assert found.over_time.shape == (SPEC.num_frames,)
    assert found.over_time.sum() == pytest.approx(1)
    assert found.over_time.std() > 0
    assert 0 <= found.maps.min() < found.maps.max() == 1
    if "attention" in head:
        frames = clip.astype(np.float32)
        reader = model.get_layer("head")
        features = np.asarray(model.get_layer("encoder")(frames))[None]
        weights = keras.Model(reader.input, reader.get_layer("attention").output)(features)
        np.testing.assert_allclose(found.over_time, np.asarray(weights).ravel(), rtol=1e-5)


def test_grad_cam_by_hand() -> None:
    output = np.array([[[[1.0, 2.0]], [[3.0, 0.0]]]], dtype=np.float32)  # one frame, 2x1, two maps
    gradient = np.array([[[[1.0, -2.0]], [[3.0, 0.0]]]], dtype=np.float32)  # mean: 2 and -1
    np.testing.assert_array_equal(grad_cam(output, gradient), [[[0.0], [6.0]]])


def test_a_constant_prediction_has_no_saliency() -> None:
    model = brightness_network()
    model.get_layer(PROBABILITIES).set_weights([np.zeros((1, 2)), np.array([1.0, 0.0])])
    found = saliency_of(model, clip_with_square(0))
    assert "does not depend on the clip" in found.method
    assert not found.over_time.any()
    assert not found.maps.any()


def test_the_command_draws_clips(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_model_folder(tmp_path / "model", SPEC, ("$dark", "bright"))
    video = write_video_file(tmp_path / "video.avi", grey_frames([250] * 8))
    picture = tmp_path / "why.png"
    with pytest.raises(SystemExit, match=r"needs model\.keras"):
        main(["saliency", str(video), "--model", str(folder), "--out", str(picture)])
    brightness_network().save(folder / "model.keras")
    main(["saliency", str(video), "--model", str(folder), "--out", str(picture)])
    assert "video.avi, bright (100%), Grad-CAM of only" in capsys.readouterr().out
    main(["saliency", str(video), "--model", str(folder), "--out", str(picture), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["picture"] == str(picture)
    (answer,) = told["clips"]
    assert (answer["source"], answer["label"], answer["confidence"]) == (
        str(video),
        "bright",
        pytest.approx(1, abs=0.01),
    )
    assert len(answer["over_time"]) == SPEC.num_frames
    assert picture.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SystemExit):
        main(["saliency", str(video), "--model", str(folder), "--out", str(tmp_path / "why.txt")])
    assert "must be a .png file" in capsys.readouterr().err


def test_a_folder_without_the_network_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_bytes(b"none")
    with pytest.raises(ModelError, match=r"needs model\.keras"):
        load_network(tmp_path)
