import pytest

from actreel.training.sides import mirrored_labels


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Turn Left", "Turn Right"),
        ("TurnLeft", "TurnRight"),
        ("wave_left", "wave_right"),
        ("left-hand-wave", "right-hand-wave"),
        ("LEFT2", "RIGHT2"),
        ("kickleft", "kickright"),
        ("left to right", "right to left"),
        ("Left", "Right"),
    ],
)
def test_labels_that_differ_in_the_side_are_each_other_s_mirror_image(left: str, right: str) -> None:
    assert mirrored_labels([left, "Jump", right]) == {left: right, right: left}


@pytest.mark.parametrize("label", ["Turn Left", "TurnLeft", "wave_right", "left-hand-wave", "WaveRight2", "RIGHT"])
def test_a_side_without_its_partner_has_no_mirror_image(label: str) -> None:
    assert mirrored_labels([label, "Jump"]) == {label: None}


@pytest.mark.parametrize("label", ["Brighten", "Leftover", "cleft", "Upright", "Write", "copyright", ""])
def test_words_that_only_contain_a_side_are_no_sides(label: str) -> None:
    assert mirrored_labels([label, "Jump"]) == {}
