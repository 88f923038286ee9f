"""TD-GCN: its size is the published one, its graphs are the paper's, and it sees what a mean over time cannot."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from actreel.models import PROBABILITIES, build_head, landmarks, td_gcn
from actreel.quiet_keras import keras
from benchmarks.gestures import GESTURES, PUBLISHED_LAYERS, counted, published, write_gestures
from tests.models.networks import assert_onnx_equals_keras, assert_saved_is_equal, params_of

FRAMES, JOINTS, CHANNELS, CLASSES = 5, 8, 7, 4
CLIPS = np.random.default_rng(0).normal(0, 1, (3, FRAMES, 4 * JOINTS)).astype(np.float32)


def head_of(patch: pytest.MonkeyPatch, *layers: tuple[int, int]) -> tuple[keras.Model, tuple[int, int]]:
    """A head of few layers on few joints, and how many weights and multiply-adds the authors' code would have."""
    patch.setattr(td_gcn, "LAYERS", layers)
    patch.setattr(landmarks, "CHAINS", ((7, 0, 1), (7, 2, 3), (7, 4, 5, 6)))
    head = build_head(params_of("pose", "td_gcn", "difference", "imagenet"), CLIPS.shape[1:], CLASSES)
    as_after_training(head)
    widths = [(8 * times, stride) for times, stride in layers]
    return head, published(FRAMES, JOINTS, CLASSES, CHANNELS, widths)


def as_after_training(model: keras.Model) -> None:
    """Lets every layer count: at first, the graphs are scaled to next to nothing."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.gamma.assign(layer.gamma * 0 + 1)


def test_operations_are_those_of_the_authors_code_and_every_form_is_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, expected = head_of(monkeypatch, (2, 2))
    assert_onnx_equals_keras(head, CLIPS, tmp_path / "head.onnx")
    assert_saved_is_equal(head, CLIPS, tmp_path / "head.keras")
    assert counted(head, tmp_path / "head.onnx") == expected


def test_weights_are_those_of_the_authors_code(monkeypatch: pytest.MonkeyPatch) -> None:
    assert published(180, 22, 28) == (1_359_814, 2_375_126_464)  # as the project's documentation says
    assert tuple((64 * times, stride) for times, stride in td_gcn.LAYERS) == PUBLISHED_LAYERS
    head, (expected, _) = head_of(monkeypatch, (1, 1), (2, 2), (2, 1))  # each kind of layer
    assert sum(int(np.prod(each.shape)) for each in head.trainable_weights) == expected


def test_each_channel_and_each_frame_has_its_own_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(td_gcn, "LAYERS", ((1, 1),))
    rng = np.random.default_rng(0)
    links = rng.normal(0, 1, (2, 5, 5)).astype(np.float32)
    x = keras.Input((4, 5, 3))
    model = keras.Model(x, td_gcn.td_gcn_network(x, 8, links))
    alpha, beta, gamma = 0.7, 0.5, 0.3
    model.get_layer("graph0_shares").set_weights([np.array([[alpha], [beta], [gamma]])])
    model.get_layer("graph0_channels").set_weights([rng.normal(0, 1, (16, 9))])
    inside = keras.Model(x, [model.get_layer("graph0_values").input, model.get_layer("graph0_norm").input])
    given, found = map(np.asarray, inside(rng.normal(0, 1, (2, 4, 5, 3)).astype(np.float32)))

    def dense(name: str, values: np.ndarray) -> np.ndarray:
        kernel, bias = model.get_layer(name).get_weights()
        return np.asarray(values @ kernel + bias)

    expected = np.zeros_like(found)
    every_relation = np.split(dense("graph0_relations", given), 2, axis=-1)
    every_value = np.split(dense("graph0_values", given), 2, axis=-1)
    for number, (relations, values) in enumerate(zip(every_relation, every_value, strict=True)):
        relations = relations.mean(axis=1)
        table = model.get_layer("graph0_channels").get_weights()[0][8 * number : 8 * number + 8]
        channels = np.tanh(relations[:, :, None] - relations[:, None]) @ table[:, :-1].T + table[:, -1]
        expected += beta * np.einsum("nuvc,ntvc->ntuc", alpha * channels + links[number][..., None], values)
        level = values.mean(axis=-1)
        expected += gamma * np.einsum("ntuv,ntvc->ntuc", np.tanh(level[..., None] - level[:, :, None]), values)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_its_state_tells_gestures_apart_that_differ_only_in_timing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not trained, which takes half a minute: a linear classifier on what random layers see. The benchmark trains it.
    monkeypatch.setattr(td_gcn, "LAYERS", ((1, 1), (2, 2)))
    store, index = write_gestures(tmp_path, (8, 0, 4), 2)
    train, test = (index[index["split"] == split] for split in ("train", "test"))
    keras.utils.set_random_seed(0)
    params = params_of("pose", "td_gcn", "none", "imagenet").model_copy(update={"units": 16})
    head = build_head(params, store.input_shape, len(GESTURES))
    as_after_training(head)
    state = keras.Model(head.input, head.get_layer(PROBABILITIES).input)
    clips = [store.take(rows["clip"].tolist()) for rows in (train, test)]

    def accuracy(known: Any, asked: Any) -> float:
        classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
        return float(classifier.fit(known, train["action"]).score(asked, test["action"]))

    blind = accuracy(*(each.mean(axis=1) for each in clips))
    assert blind < 2 / len(GESTURES)
    assert accuracy(*(np.asarray(state(each)) for each in clips)) > blind + 0.2
