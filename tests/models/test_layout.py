"""The quick layout is the same network: same numbers, same weights, same steps."""

import numpy as np
import pytest

from actreel.config import ClipSpec, ModelParams
from actreel.models import build_head, build_model
from actreel.models import layout as layouts
from actreel.models.layout import quick_to_fit
from actreel.quiet_keras import keras

SPEC = ClipSpec(num_frames=3, height=32, width=40)
CLIPS = np.random.default_rng(0).integers(0, 256, (6, *SPEC.shape), dtype=np.uint8)
TARGETS = np.array([0, 1, 2, 0, 1, 2])


def params_of(head: str, encoder: str = "small_cnn") -> ModelParams:
    return ModelParams(encoder=encoder, weights="none", head=head, motion="none", units=8, dropout=0)


# The LSTM of attention_lstm is laid out as that of lstm, and bilstm's stay as they are.
@pytest.mark.parametrize("head", ["mean", "lstm", "gru"])
def test_a_network_in_the_quick_layout_gives_and_learns_the_same(head: str) -> None:
    keras.utils.set_random_seed(0)
    model = build_model(params_of(head), SPEC, 3)
    start = [np.random.default_rng(1).normal(0, 0.2, weights.shape) for weights in model.get_weights()]
    model.set_weights(start)  # biases that are not 0
    quick = quick_to_fit(model)
    assert quick is not model
    np.testing.assert_allclose(quick(CLIPS), model(CLIPS), rtol=0, atol=1e-6)
    assert np.ptp(np.asarray(model(CLIPS)), axis=0).max() > 1e-3, "clips that look alike would hide a difference"
    for network in (model, quick):
        network.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        network.fit(CLIPS, TARGETS, batch_size=3, epochs=2, shuffle=False, verbose=0)
    for place, (ours, theirs) in enumerate(zip(quick.get_weights(), model.get_weights(), strict=True)):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
        of_encoder = place < 8
        assert not of_encoder or np.abs(theirs - start[place]).max() > 1e-4, "nothing was learned"


def test_steps_of_a_long_clip_stay_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model(params_of("lstm"), SPEC, 3)

    def unrolled() -> bool:
        return bool(quick_to_fit(model).get_layer("head").get_layer("lstm").unroll)

    assert unrolled()
    monkeypatch.setattr(layouts, "MOST_FRAMES", SPEC.num_frames - 1)
    assert not unrolled()


def test_networks_without_the_cnn_and_those_on_a_gpu_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    for model in (
        build_head(params_of("lstm"), (SPEC.num_frames, 7), 3),
        build_model(params_of("convlstm", "pixels"), SPEC, 3),
    ):
        assert quick_to_fit(model) is model
    monkeypatch.setattr(layouts.tf.config, "list_physical_devices", lambda kind: [kind])
    model = build_model(params_of("lstm"), SPEC, 3)
    assert quick_to_fit(model) is model
