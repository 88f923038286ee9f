"""An encoder and a head joined: the whole model gives what the two parts give one after the other."""

import numpy as np

from actreel.models import ENCODER, HEAD, build_encoder, build_head, join
from tests.models.networks import CLIPS, SPEC, params_of


def test_the_whole_gives_what_its_parts_give_one_after_the_other() -> None:
    params = params_of("small_cnn", "lstm")
    encoder = build_encoder(params, SPEC)
    head = build_head(params, (SPEC.num_frames, *encoder.output_shape[1:]), 4)
    model = join(params, SPEC, encoder, head)
    assert (model.get_layer(ENCODER), model.get_layer(HEAD)) == (encoder, head)
    features = np.stack([encoder(clip) for clip in CLIPS])
    np.testing.assert_allclose(model(CLIPS), head(features), atol=1e-6)


def test_an_encoder_trained_with_motion_sees_the_change_of_each_pixel() -> None:
    params = params_of("small_cnn", "mean", "difference")
    encoder = build_encoder(params, SPEC)
    head = build_head(params, (SPEC.num_frames, *encoder.output_shape[1:]), 4)
    clips = CLIPS.astype(np.float32)
    change = np.abs(np.diff(clips, axis=1, prepend=clips[:, :1]))
    features = np.stack([encoder(frames) for frames in np.concatenate([clips, change], axis=-1)])
    np.testing.assert_allclose(join(params, SPEC, encoder, head)(CLIPS), head(features), atol=1e-6)
