"""Every encoder and every head: ONNX gives what Keras gives, a saved model is the same, and none trains by accident."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from actreel.config import CLIP_HEADS, FRAME_HEADS, PRETRAINED_ENCODERS, PROBES, ClipSpec, ModelParams
from actreel.errors import ModelError
from actreel.inference.classifier import ActionClassifier, ClassifierCard, Provenance
from actreel.models import (
    ENCODER,
    HEAD,
    build_encoder,
    build_frozen_encoder,
    build_head,
    build_model,
    embedding_of,
    export_onnx,
    export_parts,
    join,
    logits_of,
    unfreeze_last_blocks,
    with_distance,
)
from actreel.quiet_keras import keras

SPEC = ClipSpec(num_frames=5, height=32, width=40, sampling="uniform")
# Coarse patches, each clip in another light: plain noise looks much the same to a fresh network.
PATCHES = np.random.default_rng(0).integers(0, 256, (3, SPEC.num_frames, 4, 5, 3)) * [
    [[[[0.3]]]],
    [[[[0.6]]]],
    [[[[1]]]],
]
CLIPS = np.kron(PATCHES, np.ones((1, 1, 8, 8, 1))).astype(np.uint8)
PARITY = 1e-4


LAST_BLOCKS = {
    "efficientnet_lite0": {
        "_blocks-15-_expand_conv", "_blocks-15-_depthwise_conv", "_blocks-15-_project_conv", "_conv_head",
    },
    "mobilenet_v2": {"block_16_expand", "block_16_depthwise", "block_16_project", "Conv_1"},
    "efficientnet_v2_b0": {
        "block6h_expand_conv", "block6h_dwconv2", "block6h_se_reduce", "block6h_se_expand", "block6h_project_conv",
        "top_conv",
    },
    "resnet50": {"conv5_block3_1_conv", "conv5_block3_2_conv", "conv5_block3_3_conv"},
    "vgg16": {"block5_conv1", "block5_conv2", "block5_conv3"},
}  # fmt: skip


@pytest.fixture(autouse=True)
def _seeded() -> None:
    keras.utils.set_random_seed(0)


def params_of(encoder: str, head: str, motion: str = "none", weights: str = "none") -> ModelParams:
    values = {"encoder": encoder, "weights": weights, "head": head, "motion": motion, "units": 8, "dropout": 0.3}
    return ModelParams.model_validate(values)


def onnx_output(model: Any, inputs: NDArray[Any], path: Path) -> NDArray[np.float32]:
    export_onnx(model, path)
    session = onnxruntime.InferenceSession(path)
    (wanted,) = session.get_inputs()
    return np.asarray(session.run(None, {wanted.name: inputs})[0])


def sharpen(model: Any) -> None:
    """Makes a fresh model's answers differ from clip to clip."""
    for variable in model.trainable_variables:
        if variable.name.endswith("kernel"):
            variable.assign(variable * 2)


def settle(model: Any, frames: NDArray[Any]) -> None:
    """Gives every batch norm the statistics of these frames: random weights would fade to nothing layer by layer."""
    norms = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    for norm in norms:
        norm.trainable, norm.momentum = True, 0.0
    model(frames, training=True)


@pytest.mark.parametrize(
    ("head", "motion"),
    [(head, "none") for head in [*FRAME_HEADS, *CLIP_HEADS]] + [("lstm", "difference"), ("convlstm", "difference")],
)
def test_onnx_gives_what_keras_gives_for_every_head(head: str, motion: str, tmp_path: Path) -> None:
    model = build_model(params_of("pixels" if head in CLIP_HEADS else "small_cnn", head, motion), SPEC, 4)
    sharpen(model)
    keras_says = np.asarray(model(CLIPS))
    assert keras_says.std(axis=0).max() > 10 * PARITY
    np.testing.assert_allclose(onnx_output(model, CLIPS, tmp_path / "model.onnx"), keras_says, atol=PARITY)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(CLIPS), keras_says)


def test_the_distance_is_exported_beside_the_same_probabilities(tmp_path: Path) -> None:
    model = build_model(params_of("small_cnn", "attention_lstm"), SPEC, 4)
    embeddings = np.asarray(embedding_of(model)(CLIPS))
    rng = np.random.default_rng(0)
    whitening = rng.normal(0, 1, (embeddings.shape[1],) * 2).astype(np.float32)
    offset, *centres = rng.normal(0, 1, (5, embeddings.shape[1])).astype(np.float32)
    export_onnx(with_distance(model, whitening, offset, np.stack(centres)), tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    probabilities, distances = session.run(None, {"clip": CLIPS})
    np.testing.assert_allclose(probabilities, model(CLIPS), atol=PARITY)
    apart = np.linalg.norm((embeddings @ whitening + offset)[:, np.newaxis] - centres, axis=2)
    np.testing.assert_allclose(distances, apart.min(axis=1), rtol=1e-4)


@pytest.mark.parametrize(
    "params",
    [params_of("small_cnn", "lstm"), params_of("efficientnet_lite0", "lstm", "difference", "imagenet")],
    ids=["trained", "frozen"],
)
def test_parts_give_what_the_whole_gives(params: ModelParams, tmp_path: Path) -> None:
    # The small encoder stands for the frozen one, which takes 7 s to export: what differs is the head.
    encoder = build_encoder(params_of("small_cnn", "lstm"), SPEC)
    model = join(params, SPEC, encoder, build_head(params, SPEC, encoder.output_shape[1:], 4))
    embeddings = np.asarray(embedding_of(model)(CLIPS))
    size = embeddings.shape[1]
    centres = embeddings[:2] + np.float32(0.1)
    measuring = with_distance(model, np.eye(size, dtype=np.float32), np.zeros(size, dtype=np.float32), centres)
    export_onnx(measuring, tmp_path / "model.onnx")
    export_parts(measuring, tmp_path / "encoder.onnx", tmp_path / "head.onnx")
    provenance = Provenance(dataset="x", data_version="x", run_id="x", git_commit="x", trained_at="x")
    ClassifierCard(labels=tuple("abcd"), clip=SPEC, provenance=provenance).save(tmp_path)
    whole = ActionClassifier.load(tmp_path, whole=True).score(CLIPS)
    in_parts = ActionClassifier.load(tmp_path)
    assert in_parts.encode(CLIPS[0]).shape == (SPEC.num_frames, model.get_layer(ENCODER).output.shape[1])
    scores = in_parts.score(CLIPS)
    np.testing.assert_allclose(scores.probabilities, model(CLIPS), atol=PARITY)
    np.testing.assert_allclose(scores.probabilities, whole.probabilities, atol=1e-5)
    np.testing.assert_allclose(scores.distances, whole.distances, rtol=1e-4)
    assert np.ptp(whole.distances) > 0.01


@pytest.mark.parametrize(
    ("encoder", "head", "motion"), [("small_cnn", "lstm", "difference"), ("pixels", "convlstm", "none")]
)
def test_a_network_that_does_not_see_frames_one_by_one_has_no_parts(
    encoder: str, head: str, motion: str, tmp_path: Path
) -> None:
    files = tmp_path / "encoder.onnx", tmp_path / "head.onnx"
    for file in files:
        file.write_bytes(b"of the model before")
    export_parts(build_model(params_of(encoder, head, motion), SPEC, 4), *files)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [*FRAME_HEADS, *PROBES])
def test_a_head_from_a_file_gives_logits_embedding_and_distance(name: str, tmp_path: Path) -> None:
    features = np.random.default_rng(0).normal(0, 1, (3, SPEC.num_frames, 24)).astype(np.float32)
    # As in two processes: the names that Keras gives begin anew, and must not meet those in the file.
    keras.utils.clear_session()
    build_head(params_of("efficientnet_lite0", name, weights="imagenet"), SPEC, (24,), 4).save(tmp_path / "head.keras")
    keras.utils.clear_session()
    head = keras.models.load_model(tmp_path / "head.keras")
    logits = np.asarray(logits_of(head)(features))
    expected = np.asarray(head(features))
    np.testing.assert_allclose(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), expected, atol=1e-5)
    width = np.asarray(embedding_of(head)(features)).shape[1]
    whitening, centres = np.eye(width, dtype=np.float32), np.zeros((4, width), dtype=np.float32)
    same, distances = with_distance(head, whitening, centres[0], centres)(features)
    np.testing.assert_allclose(same, expected, atol=1e-6)
    np.testing.assert_allclose(distances, np.linalg.norm(embedding_of(head)(features), axis=1), rtol=1e-3)


def test_every_head_has_an_embedding() -> None:
    features = np.random.default_rng(0).normal(0, 1, (3, SPEC.num_frames, 24)).astype(np.float32)
    for head in FRAME_HEADS:
        embeddings = np.asarray(
            embedding_of(build_head(params_of("efficientnet_lite0", head), SPEC, (24,), 4))(features)
        )
        np.testing.assert_allclose(embeddings[:, -24:], features.mean(axis=1), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("head", FRAME_HEADS)
def test_onnx_gives_what_keras_gives_for_every_head_on_frozen_features(head: str, tmp_path: Path) -> None:
    features = np.random.default_rng(0).normal(0, 1, (3, SPEC.num_frames, 24)).astype(np.float32)
    model = build_head(params_of("efficientnet_lite0", head, "difference", "imagenet"), SPEC, (24,), 4)
    keras_says = np.asarray(model(features))
    assert keras_says.std(axis=0).max() > 10 * PARITY
    np.testing.assert_allclose(onnx_output(model, features, tmp_path / "head.onnx"), keras_says, atol=PARITY)


@pytest.mark.parametrize("name", PRETRAINED_ENCODERS)
def test_onnx_gives_what_keras_gives_for_every_encoder(name: str, tmp_path: Path) -> None:
    encoder = build_frozen_encoder(name, "none", SPEC)
    frames = CLIPS[0, :2]
    settle(encoder, frames)
    features = np.asarray(encoder(frames))
    assert np.abs(features[0] - features[1]).max() > 1e-2
    np.testing.assert_array_equal(encoder(frames[:1])[0], encoder(frames[:1])[0])
    np.testing.assert_allclose(onnx_output(encoder, frames, tmp_path / "e.onnx"), features, rtol=1e-3, atol=PARITY)
    unfreeze_last_blocks(encoder, 1)
    assert {weight.path.split("/")[-2] for weight in encoder.trainable_weights} == LAST_BLOCKS[name]


def test_a_whole_frozen_model_is_one_onnx_graph(tmp_path: Path) -> None:
    params = params_of("efficientnet_lite0", "bilstm", "difference", "imagenet")
    model = build_model(params, SPEC, 4)
    keras_says = np.asarray(model(CLIPS))
    np.testing.assert_allclose(onnx_output(model, CLIPS, tmp_path / "model.onnx"), keras_says, atol=PARITY)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(CLIPS), keras_says)
    assert len(model.trainable_weights) == len(model.get_layer(HEAD).trainable_weights)


@pytest.mark.parametrize("weights", ["none", "imagenet"])
def test_no_dropout_and_no_batch_statistics_outside_training(weights: str) -> None:
    model = build_model(params_of("efficientnet_lite0", "mean", weights=weights), SPEC, 3)
    np.testing.assert_array_equal(model(CLIPS), model(CLIPS))
    np.testing.assert_allclose(model(CLIPS)[:1], model(CLIPS[:1]), atol=1e-5)


def test_only_the_mean_is_blind_to_order() -> None:
    backwards = CLIPS[:, ::-1]
    for head in FRAME_HEADS:
        model = build_model(params_of("small_cnn", head), SPEC, 3)
        sharpen(model)
        same = np.allclose(model(CLIPS), model(backwards), atol=1e-5)
        assert same == (head == "mean"), head


def test_the_baseline_of_a_probe_is_a_probe() -> None:
    params = params_of("efficientnet_lite0", "statistics_probe", "difference", weights="imagenet")
    assert (params.order_blind.head, params.order_blind.motion) == ("mean_probe", "none")
    assert params.model_copy(update={"head": "lstm"}).order_blind.head == "mean"


def test_the_order_blind_baseline_is_blind_to_order_for_every_pair() -> None:
    for params in (params_of("small_cnn", "lstm", "difference"), params_of("pixels", "convlstm", "difference")):
        model = build_model(params.order_blind, SPEC, 3)
        np.testing.assert_allclose(model(CLIPS), model(CLIPS[:, [3, 0, 4, 2, 1]]), atol=1e-5)


def test_motion_is_the_change_since_the_frame_before() -> None:
    model = build_head(params_of("efficientnet_lite0", "lstm", "difference", "imagenet"), SPEC, (2,), 3)
    features = np.arange(10, dtype=np.float32).reshape(1, 5, 2) ** 2
    shown = keras.Model(model.input, model.get_layer("lstm").input)(features)[0]
    scale = np.sqrt(1 + 1e-3)  # the batch norm's epsilon, with variance 1
    expected = np.abs(np.diff(features[0], axis=0, prepend=features[0, :1]))
    np.testing.assert_allclose(shown[:, 2:] * scale, expected, rtol=1e-5)
    np.testing.assert_allclose(shown[:, :2] * scale, features[0], rtol=1e-5)


def test_weights_come_from_a_file(tmp_path: Path) -> None:
    source = keras.applications.MobileNetV2(weights=None, include_top=False, pooling="avg", input_shape=(224, 224, 3))
    source.save_weights(tmp_path / "m.weights.h5")
    source.save(tmp_path / "m.keras")
    expected = source(keras.ops.image.resize(CLIPS[0].astype("float32"), (224, 224)) / 127.5 - 1)
    for file in ("m.weights.h5", "m.keras"):
        params = params_of("mobilenet_v2", "mean", weights=str(tmp_path / file))
        assert params.frozen
        encoder = build_encoder(params, SPEC)
        assert not encoder.trainable_weights
        np.testing.assert_allclose(encoder(CLIPS[0]), expected, rtol=1e-4, atol=1e-7)


def test_weights_that_cannot_be_had_are_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.weights.h5").write_bytes(b"none")
    with pytest.raises(ModelError, match=r"model\.weights must be 'imagenet', 'none' or a file"):
        build_encoder(params_of("mobilenet_v2", "mean", weights=str(tmp_path / "m.weights.h5")), SPEC)

    def offline(**arguments: Any) -> None:
        raise Exception("URL fetch failure on https://...: None -- [Errno -3]")

    monkeypatch.setattr(keras.applications, "MobileNetV2", offline)
    with pytest.raises(ModelError, match=r"URL fetch failure.*model\.encoder=efficientnet_lite0"):
        build_encoder(params_of("mobilenet_v2", "mean", weights="imagenet"), SPEC)
