"""Saliency: which frames of a clip, and what in them, a model's answer leans on.

Over time: the head's own attention weights, where it has some. In the frames: Grad-CAM (Selvaraju et al., ICCV 2017)
on the last convolution whose maps are fine enough to show a place. Where no convolution can be reached, gradient times
input (Shrikumar et al., 2016). All of them tell what the answer depends on, not why.
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
from actreel.models import PROBABILITIES
from actreel.quiet_keras import keras, tf
from actreel.video.opencv import cv2

ATTENTION = "attention"
FINEST = 4
"""Cells a side that a map must have; a convolution with fewer comes after so much pooling that it shows no place."""

_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.Conv3D,
    keras.layers.ConvLSTM2D,
)


@dataclass(frozen=True)
class Saliency:
    """What weighed in the answer on one clip.

    Attributes:
        place: Which output is explained.
        probability: Its value, in [0, 1].
        over_time: float32 (T,), not negative, sums to 1; 0 where nothing weighs.
        maps: float32 (T, H, W) in [0, 1], the same scale for all frames.
        method: How both were found, in words.
    """

    place: int
    probability: float
    over_time: NDArray[np.float32]
    maps: NDArray[np.float32]
    method: str

    def heading(self, name: str, labels: Sequence[str]) -> str:
        """A clip's name, the answer and the method, a line each."""
        answer = f"{labels[self.place]} ({self.probability:.0%})"
        return "\n".join([name, answer, *self.method.split(", ")])


def load_network(folder: Path) -> Any:
    """The Keras model of a model folder: gradients need it, ONNX has none.

    Raises:
        ModelError: The folder holds none.
    """
    try:
        return keras.models.load_model(ModelFolder(folder).keras)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"a model folder must hold {KERAS_FILE} to show saliency. Received: '{folder}': {error}. "
            "Make one with: dvc repro"
        ) from error


def saliency_of(model: Any, clip: NDArray[np.uint8]) -> Saliency:
    """Explains the surest answer on a clip.

    Args:
        model: A whole `keras.Model`, from clips to probabilities.
        clip: uint8 (T, H, W, 3), RGB.
    """
    layers = list(_layers(model))
    with _outputs(layers) as shown:
        probabilities = np.asarray(model(clip[np.newaxis], training=False))[0]
    place = int(probabilities.argmax())
    maps, method = _maps(model, clip, place, {layer: tuple(output.shape) for layer, output in shown.items()})
    over_time = maps.mean(axis=(1, 2))
    for layer, output in shown.items():
        if layer.name == ATTENTION:
            over_time, method = np.asarray(output).reshape(len(clip)), f"attention over time, {method}"
    height, width = clip.shape[1:3]
    fine = np.stack([cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR) for frame in maps])
    return Saliency(
        place=place,
        probability=float(probabilities[place]),
        over_time=_scaled(over_time, over_time.sum()),
        maps=_scaled(fine, fine.max()),
        method=method,
    )


def explain_surest(
    model: Any,
    store: StoredClips,
    clips: list[str],
    labels: list[str],
    probabilities: NDArray[np.float32],
    right: NDArray[np.bool_],
) -> dict[str, tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]]:
    """What the surest right and the surest wrong answer lean on, if there are such.

    Args:
        model: As for `saliency_of`.
        store: Frames of the clips.
        clips: Names of N clips.
        labels: Actions in the order of the model's outputs.
        probabilities: float32 (N, K), the model's.
        right: bool (N,), which clips were answered right.

    Returns:
        By heading, frames, weights over time and in the frames, as `figures.saliency` draws them.
    """
    explained = {}
    for name, kind in (("right", right), ("wrong", ~right)):
        if kind.any():
            clip = clips[int(np.where(kind, probabilities.max(axis=1), -1).argmax())]
            (frames,) = store.take([clip])
            found = saliency_of(model, frames)
            heading = found.heading(f"{Path(clip).name}, {name}", labels)
            explained[heading] = (frames, found.over_time, found.maps)
    return explained


def _maps(
    model: Any, clip: NDArray[np.uint8], place: int, shapes: Mapping[Any, tuple[int, ...]]
) -> tuple[NDArray[np.float32], str]:
    """float32 (T, h, w), not negative, and how they were found."""
    steps = len(clip)
    # Layers whose outputs lie in time and space: time folded into the batch, or beside it.
    placed = [layer for layer, shape in shapes.items() if shape[:-3] in ((steps,), (1, steps))]
    fine = [layer for layer in placed if isinstance(layer, _CONVOLUTIONS) and min(shapes[layer][-3:-1]) >= FINEST]
    ways = [(layer, grad_cam, f"Grad-CAM of {layer.name}") for layer in fine[-1:]]
    # Their first is where the pixels have become numbers that have a gradient.
    ways += [(layer, gradient_times_input, "gradient x input") for layer in placed[:1]]
    for layer, combine, method in ways:
        output, gradient = _gradient(model, clip, place, layer)
        if gradient is not None:
            size = (steps, *output.shape[-3:])
            maps = combine(np.asarray(output).reshape(size), np.asarray(gradient).reshape(size))
            if maps.any():
                return maps, method
    # A network that has learned nothing may answer the same whatever it is shown.
    return np.zeros((steps, 1, 1), dtype=np.float32), "the answer does not depend on the clip"


def _scaled(weights: NDArray[np.float32], whole: float) -> NDArray[np.float32]:
    return np.asarray(weights / whole if whole else weights, dtype=np.float32)


def grad_cam(output: NDArray[np.float32], gradient: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each frame's maps, weighed by the mean gradient of each: float32 (T, h, w, C) twice to (T, h, w)."""
    return np.asarray(np.maximum((output * gradient.mean(axis=(1, 2), keepdims=True)).sum(axis=-1), 0))


def gradient_times_input(output: NDArray[np.float32], gradient: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much each place moves the answer, either way: float32 (T, h, w, C) twice to (T, h, w)."""
    return np.asarray(np.abs((output * gradient).sum(axis=-1)))


def _gradient(model: Any, clip: NDArray[np.uint8], place: int, layer: Any) -> tuple[Any, Any]:
    """A layer's output on the clip, and how the answer's logit changes with it (None: not at all)."""
    (last,) = (found for found in _layers(model) if found.name == PROBABILITIES)
    softmax = last.activation
    with tf.GradientTape() as tape, _outputs([layer], tape) as shown:
        # The gradient of a sure answer's probability is next to nothing, that of its logit is not.
        last.activation = keras.activations.linear
        try:
            logit = model(clip[np.newaxis], training=False)[0, place]
        finally:
            last.activation = softmax
    return shown[layer], tape.gradient(logit, shown[layer])


def _layers(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        else:
            yield layer


@contextmanager
def _outputs(layers: Iterable[Any], tape: Any = None) -> Iterator[dict[Any, Any]]:
    """Gathers what layers give while the context is open, in the order in which they are called.

    Models inside models cannot be cut open at a layer of theirs, so the layers' own calls are listened to.
    """
    shown: dict[Any, Any] = {}

    def listening(layer: Any, call: Callable[..., Any]) -> Callable[..., Any]:
        def listen(*arguments: Any, **options: Any) -> Any:
            output = call(*arguments, **options)
            if hasattr(output, "shape"):
                shown[layer] = output
                if tape is not None:
                    tape.watch(output)
            return output

        return listen

    heard = list(layers)
    for layer in heard:
        layer.call = listening(layer, layer.call)
    try:
        yield shown
    finally:
        for layer in heard:
            del layer.call
