"""Saliency: which frames and regions of a clip drive a model's prediction.

Over time: the head's attention weights, if it has any. Within frames: Grad-CAM (Selvaraju et al., ICCV 2017) on the
last convolution whose maps are fine enough to show a region. If no convolution can be reached, gradient times input
(Shrikumar et al., 2016). All of these show what a prediction depends on, not why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actreel.dataset.store import StoredClips
from actreel.errors import ModelError
from actreel.inference.model_folder import KERAS_FILE, ModelFolder
from actreel.models import HEAD, PROBABILITIES
from actreel.quiet_keras import keras, tf
from actreel.video.opencv import cv2

ATTENTION = "attention"
MIN_CELLS = 4
"""The fewest cells on a side of a map; after more pooling, a map no longer shows a region."""

_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.Conv3D,
    keras.layers.ConvLSTM2D,
)


@dataclass(frozen=True)
class Saliency:
    """What drives the prediction for one clip.

    Attributes:
        action: Index of the output that is explained.
        probability: Its value, in [0, 1].
        over_time: float32 (T,), not negative; sums to 1, or to 0 if the prediction does not depend on the clip.
        maps: float32 (T, H, W) in [0, 1], on the same scale for all frames.
        method: How both were computed, in words.
    """

    action: int
    probability: float
    over_time: NDArray[np.float32]
    maps: NDArray[np.float32]
    method: str

    def heading(self, name: str, labels: Sequence[str]) -> str:
        """A clip's name, the prediction and the method, on a line each."""
        prediction = f"{labels[self.action]} ({self.probability:.0%})"
        return "\n".join([name, prediction, *self.method.split(", ")])


def load_network(folder: Path) -> keras.Model:
    """Loads the Keras model of a model folder, since ONNX gives no gradients.

    Raises:
        ModelError: The folder has none that can be loaded, its encoder is an ONNX graph, or it takes a track.
    """
    try:
        network = keras.models.load_model(ModelFolder(folder).keras)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"Saliency needs {KERAS_FILE} in the model folder. Received: '{folder}': {error}. "
            "Train a model with: dvc repro"
        ) from error
    if not has_gradients(network):
        raise ModelError(
            "Saliency needs gradients, and neither an encoder that is an ONNX graph nor a model that takes more than "
            f"pictures gives them. Received: '{folder}'. Train with one encoder of Actreel's: "
            "dvc exp run -S model.encoder=efficientnet_lite0 -S model.weights=imagenet"
        )
    return network


def has_gradients(network: keras.Model) -> bool:
    """Whether a network goes from frames to probabilities; otherwise it is the head alone."""
    return bool(network.name != HEAD)


def saliency_of(model: keras.Model, clip: NDArray[np.uint8]) -> Saliency:
    """Explains the most likely action of a clip.

    Args:
        model: The whole network, from clips to probabilities.
        clip: uint8 (T, H, W, 3), RGB.
    """
    shapes: dict[keras.Layer, tuple[int, ...]] = {}
    attention: list[tf.Tensor] = []

    def look(layer: keras.Layer, output: tf.Tensor) -> None:
        shapes[layer] = tuple(output.shape)
        if layer.name == ATTENTION:
            attention.append(output)

    def run(clips: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        with _outputs_to(look, _layers(model)):
            return model(clips, training=False)[0], attention[-1:]

    probabilities, weights = _in_graph(run, clip)
    action = int(np.argmax(probabilities))
    maps, method = _maps(model, clip, action, shapes)
    over_time = maps.mean(axis=(1, 2))
    if weights:
        over_time, method = np.asarray(weights[0]).reshape(len(clip)), f"attention over time, {method}"
    height, width = clip.shape[1:3]
    fine = np.stack([cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR) for frame in maps])
    return Saliency(
        action=action,
        probability=float(probabilities[action]),
        over_time=_scaled(over_time, float(over_time.sum())),
        maps=_scaled(fine, float(fine.max())),
        method=method,
    )


def explain_most_confident(
    model: keras.Model,
    store: StoredClips,
    clips: list[str],
    labels: list[str],
    probabilities: NDArray[np.float32],
    correct: NDArray[np.bool_],
) -> dict[str, tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]]:
    """Explains the most confident correct and the most confident wrong prediction, if there are any.

    Args:
        model: As for `saliency_of`.
        store: Frames of the clips.
        clips: Names of N clips.
        labels: Actions in the order of the model's outputs.
        probabilities: float32 (N, K), the model's.
        correct: bool (N,), which clips are classified correctly.

    Returns:
        By heading, frames, weights over time and heat maps, as `plots.saliency` draws them.
    """
    explained = {}
    for name, kind in (("right", correct), ("wrong", ~correct)):
        if kind.any():
            clip = clips[int(np.where(kind, probabilities.max(axis=1), -1).argmax())]
            (frames,) = store.take([clip])
            found = saliency_of(model, frames)
            heading = found.heading(f"{Path(clip).name}, {name}", labels)
            explained[heading] = (frames, found.over_time, found.maps)
    return explained


def _maps(
    model: keras.Model, clip: NDArray[np.uint8], action: int, shapes: Mapping[keras.Layer, tuple[int, ...]]
) -> tuple[NDArray[np.float32], str]:
    """float32 (T, h, w), not negative, and how they were computed."""
    steps = len(clip)
    # Layers with outputs in time and space: time folded into the batch, or after it.
    spatial = [layer for layer, shape in shapes.items() if shape[:-3] in ((steps,), (1, steps))]
    fine = [layer for layer in spatial if isinstance(layer, _CONVOLUTIONS) and min(shapes[layer][-3:-1]) >= MIN_CELLS]
    ways = [(layer, grad_cam, f"Grad-CAM of {layer.name}") for layer in fine[-1:]]
    # The first of them is where pixels have become floats, which have a gradient.
    ways += [(layer, gradient_times_input, "gradient x input") for layer in spatial[:1]]
    for layer, combine, method in ways:
        output, gradient = _gradient(model, clip, action, layer)
        if gradient is not None:
            size = (steps, *output.shape[-3:])
            maps = combine(np.asarray(output).reshape(size), np.asarray(gradient).reshape(size))
            if maps.any():
                return maps, method
    # An untrained network may give the same output for every clip.
    return np.zeros((steps, 1, 1), dtype=np.float32), "the prediction does not depend on the clip"


def _scaled(weights: NDArray[np.float32], whole: float) -> NDArray[np.float32]:
    return np.asarray(weights / whole if whole else weights, dtype=np.float32)


def grad_cam(output: NDArray[np.float32], gradient: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums each frame's maps, weighted by their mean gradient: float32 (T, h, w, C) twice to (T, h, w)."""
    return np.asarray(np.maximum((output * gradient.mean(axis=(1, 2), keepdims=True)).sum(axis=-1), 0))


def gradient_times_input(output: NDArray[np.float32], gradient: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much each position changes the prediction, up or down: float32 (T, h, w, C) twice to (T, h, w)."""
    return np.asarray(np.abs((output * gradient).sum(axis=-1)))


def _gradient(
    model: keras.Model, clip: NDArray[np.uint8], action: int, layer: keras.Layer
) -> tuple[tf.Tensor, tf.Tensor | None]:
    """A layer's output for the clip, and the gradient of the action's logit by it; None if it does not depend on it."""
    (last,) = (found for found in _layers(model) if found.name == PROBABILITIES)
    outputs: list[tf.Tensor] = []

    def run(clips: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
        # The tape holds only what comes after the layer: with the weights, it would hold the outputs of all layers.
        with tf.GradientTape(watch_accessed_variables=False) as tape:

            def watch(_: keras.Layer, output: tf.Tensor) -> None:
                tape.watch(output)
                outputs.append(output)

            with _outputs_to(watch, [layer]):
                logit = model(clips, training=False)[0, action]
        return outputs[-1], tape.gradient(logit, outputs[-1])

    softmax = last.activation
    # The gradient of a probability vanishes near 1, that of its logit does not.
    last.activation = keras.activations.linear
    try:
        output, gradient = _in_graph(run, clip)
    finally:
        last.activation = softmax
    return output, gradient


def _in_graph(run: Callable[[tf.Tensor], Any], clip: NDArray[np.uint8]) -> Any:
    """What `run` returns for a batch of one clip.

    In a graph, TensorFlow frees a layer's output as soon as nothing needs it. Called directly, Keras keeps the outputs
    of all layers to the end: 2 GB for 20 frames of 224 px.
    """
    return tf.function(run, autograph=False)(tf.constant(clip[np.newaxis]))


def _layers(model: keras.Model) -> Iterator[keras.Layer]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        else:
            yield layer


@contextmanager
def _outputs_to(seen: Callable[[keras.Layer, tf.Tensor], None], layers: Iterable[keras.Layer]) -> Iterator[None]:
    """Hands `seen` each output of the layers while the context is open.

    Keras cannot cut a model open at a layer of a nested model, so the layers' own calls are wrapped.
    """

    def handing_on(layer: keras.Layer, call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **options: Any) -> Any:
            output = call(*arguments, **options)
            if hasattr(output, "shape"):
                seen(layer, output)
            return output

        return called

    wrapped = list(layers)
    for layer in wrapped:
        layer.call = handing_on(layer, layer.call)
    try:
        yield
    finally:
        for layer in wrapped:
            del layer.call
