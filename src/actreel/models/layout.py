"""A copy of a network whose training step is faster on CPUs."""

from __future__ import annotations

from collections.abc import Iterator

from actreel.models.encoders import CONVOLUTION, POOLING
from actreel.quiet_keras import keras, tf

MOST_FRAMES = 64
"""Up to this many frames a recurrent layer is unrolled; building takes longer with each frame."""


def quick_to_fit(model: keras.Model) -> keras.Model:
    """Copies a network whose encoder is `small_cnn` for fitting on CPUs.

    The copy has the same weights in the same order and gives the same numbers, so the trained weights go back into the
    network with `set_weights`. Biases are added after the pooling, where there are up to 16 times fewer numbers, and
    an LSTM or GRU is unrolled. The copy has custom layers: save the network, never the copy.

    Args:
        model: A `keras.Model`, not compiled.

    Returns:
        The copy; the model itself if it has another encoder, or if there is a GPU.
    """
    if tf.config.list_physical_devices("GPU") or not any(_is(layer, CONVOLUTION) for layer in _layers(model)):
        return model
    copy = keras.models.clone_model(model, clone_function=_laid_out, recursive=True)
    copy.set_weights(model.get_weights())
    return copy


class _MaxPoolingThenBias(keras.layers.MaxPooling2D):  # type: ignore[misc]
    """Max-pooling, followed by the bias of the convolution before it."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.bias = self.add_weight(shape=input_shape[-1:], initializer="zeros", name="bias")
        super().build(input_shape)

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        return super().call(inputs) + self.bias


def _laid_out(layer: keras.Layer) -> keras.Layer:
    config = layer.get_config()
    if _is(layer, CONVOLUTION):
        return type(layer).from_config(config | {"use_bias": False})
    if _is(layer, POOLING):
        return _MaxPoolingThenBias.from_config(config)
    if isinstance(layer, keras.layers.LSTM | keras.layers.GRU) and layer.input.shape[1] <= MOST_FRAMES:
        return type(layer).from_config(config | {"unroll": True})
    return type(layer).from_config(config)


def _is(layer: keras.Layer, kind: str) -> bool:
    return str(layer.name)[:-1] == kind  # they are numbered


def _layers(model: keras.Model) -> Iterator[keras.Layer]:
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
