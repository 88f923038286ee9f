import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from actreel.config import ClipSpec
from actreel.training.pose.graph import count_weights
from tests.training.pose.networks import FIRST_SIDE, SHRINKS, converted, stand_ins

TORSO = 0.25
"""Of the stand-in's person, as a share of the region's side."""


HEIGHT, WIDTH = 24, 32


def graph_of(num_frames: int) -> onnx.ModelProto:
    return converted(ClipSpec(num_frames=num_frames, height=HEIGHT, width=WIDTH))


def outputs(frames: NDArray[np.uint8], num_frames: int = 8) -> list[NDArray[np.float32]]:
    """Features of frames, and people in them, from the graph with stand-ins."""
    content = graph_of(num_frames).SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return [np.asarray(each) for each in session.run(None, {"frames": frames})]


def run(frames: NDArray[np.uint8], num_frames: int = 8) -> NDArray[np.float32]:
    return outputs(frames, num_frames)[0]


def light_frames(*levels: int) -> NDArray[np.uint8]:
    return np.stack([np.full((HEIGHT, WIDTH, 3), level, np.uint8) for level in levels])


def sizes(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """The side of the region that each frame's landmarks were seen in, in units of the first one's; 0 for nobody."""
    return features[:, -2] / (TORSO * FIRST_SIDE)


def test_a_person_is_detected_at_the_start_and_in_the_middle_and_followed_in_between() -> None:
    features = run(light_frames(*[200] * 8))
    assert features.shape == (8, 136)
    followed = SHRINKS ** np.arange(4)
    np.testing.assert_allclose(sizes(features), [*followed, *followed], rtol=1e-4)
    np.testing.assert_allclose(features[:, -4:-2], 0, atol=1e-5)  # in the middle
    assert (features[:, -1] == 1).all()


def test_nobody_in_a_frame_is_zeros_and_the_next_person_is_detected() -> None:
    features = run(light_frames(200, 0, 200, 200, 0, 0))
    np.testing.assert_allclose(sizes(features), [1, 0, 1, SHRINKS, 0, 0], rtol=1e-4)
    assert not features[[1, 4, 5]].any()


def test_who_is_lost_is_searched_in_the_same_frame() -> None:
    frames = light_frames(200, 200, 200, 200)
    frames[2, 6:18, 10:22] = 0  # all that the followed region shows, and half of what is seen from again
    np.testing.assert_allclose(sizes(run(frames)), [1, SHRINKS, 1, SHRINKS], rtol=1e-4)


@pytest.mark.parametrize("num_frames", [1, 7, 8])
def test_halves_of_clips_and_several_clips_are_what_each_clip_is(num_frames: int) -> None:
    rng = np.random.default_rng(0)
    clips = light_frames(*rng.integers(120, 256, 2 * num_frames))
    together, half = run(clips, num_frames), max(1, num_frames // 2)
    alone = [
        run(clips[number : min(number + half, clip + num_frames)], num_frames)
        for clip in (0, num_frames)
        for number in range(clip, clip + num_frames, half)
    ]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-5)
    assert np.ptp(together[:, 0]) > 0 or num_frames == 1


def test_people_are_counted_where_somebody_is_looked_for() -> None:
    _, people = outputs(light_frames(200, 200, 0, 200, 200, 0, 200, 200))
    np.testing.assert_array_equal(people, [1, 0, 0, 1, 1, 0, 1, 0])


def test_the_network_sees_the_region_in_its_own_units() -> None:
    features = run(light_frames(153))
    # The first landmark moves by 100 pixels of 256 for a picture of 1: (128 + 60 - 128) / 64 of a torso.
    assert features[0, 0] == pytest.approx(60 / 64, rel=1e-3)


def test_weights_inside_loops_and_branches_are_counted() -> None:
    detection, landmarks = stand_ins()
    own = sum(int(np.prod(each.dims)) for each in (*detection.graph.initializer, *landmarks.graph.initializer))
    assert own < count_weights(graph_of(8).graph) < own + 1_000_000
