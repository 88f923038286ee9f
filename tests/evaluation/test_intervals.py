import numpy as np
import pytest
from numpy.typing import NDArray

from actreel.evaluation.intervals import balanced_interval, interval_over_groups
from benchmarks.intervals import bootstrap, coverage


def interval_of(right: list[int], clips: list[int]) -> tuple[float, float]:
    """The interval of groups with so many clips, and so many of them right."""
    values = [int(clip < good) for good, size in zip(right, clips, strict=True) for clip in range(size)]
    return interval_over_groups(values, [f"g{number}" for number, size in enumerate(clips) for _ in range(size)])


def test_independent_clips_have_the_beta_distributions_shortest_interval() -> None:
    # All of N right: Beta(N + 1, 1), whose distribution function is x to the power of N + 1.
    for clips in (1, 28):
        low, high = interval_of([1] * clips, [1] * clips)
        assert low == pytest.approx(0.05 ** (1 / (clips + 1)), abs=0.005)
        assert high == 1
    # Half of 2 right: Beta(2, 2), whose distribution function is 3x² - 2x³.
    low, high = interval_of([1, 0], [1, 1])
    assert [3 * end**2 - 2 * end**3 for end in (low, high)] == pytest.approx([0.025, 0.975], abs=0.01)


def test_groups_that_agree_are_no_certainty() -> None:
    low, high = interval_of([1, 1], [4, 4])
    assert low < 0.12 and high > 0.6  # noqa: PT018  2 of 8 clips of two people, who did equally well
    assert interval_of([0, 0], [4, 4])[0] == 0
    four, high = interval_of([7] * 4, [7] * 4)
    assert four < 0.75
    assert high == 1
    widths = [np.ptp(interval_of([9] * groups, [10] * groups)) for groups in (2, 4, 10, 25, 100)]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 0.45 and widths[-1] < 0.06  # noqa: PT018


def test_groups_that_disagree_widen_the_interval() -> None:
    alike = interval_of([5] * 10, [10] * 10)
    unlike = interval_of([10, 0] * 5, [10] * 10)
    assert np.ptp(unlike) > 1.5 * np.ptp(alike)


def test_the_measured_accuracy_is_inside_where_one_group_is_most_clips() -> None:
    low, high = interval_of([100, *[2] * 10], [100, *[4] * 10])
    assert low < 0.6
    assert high >= 120 / 140


def test_two_models_that_agree_on_few_clips_can_still_differ() -> None:
    low, high = interval_over_groups([0] * 8, list("11223344"), levels=(-1, 0, 1))
    assert -0.6 < low < -0.1
    assert high == pytest.approx(-low, abs=0.07)
    low, high = interval_over_groups([1] * 200, [str(number) for number in range(200)], levels=(-1, 0, 1))
    assert low > 0.95
    assert high == 1


def ours(values: NDArray[np.int64], groups: NDArray[np.int64]) -> tuple[float, float]:
    return interval_over_groups(values, groups.astype(str), draws=2000)


@pytest.mark.parametrize(
    ("accuracy", "correlation", "size"),
    [(0.95, 0.15, (2, 4)), (0.95, 0.5, (4, 28)), (0.99, 0.02, (4, 28)), (0.8, 0.5, (10, 12)), (0.8, 0.15, (25, 25))],
)
def test_the_truth_is_inside_nine_times_in_ten_and_more(
    accuracy: float, correlation: float, size: tuple[int, int]
) -> None:
    shares = (1 - accuracy, accuracy)
    assert coverage(ours, (0, 1), shares, correlation, size, repeats=100)[0] >= 0.9
    if size[0] < 10:
        assert coverage(bootstrap, (0, 1), shares, correlation, size, repeats=100)[0] < 0.8, "the case is too easy"


def test_a_perfect_model_of_uneven_actions_beats_chance_and_a_constant_answer_never_does() -> None:
    # YoYo and Punch, as they are drawn for the test: 24 clips of 5 groups, and 4 of 1.
    actions = ["YoYo"] * 24 + ["Punch"] * 4
    groups = [f"g{number}" for number in (0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, *[2] * 5, *[3] * 4, *[4] * 4)] + ["g0"] * 4
    low, high = balanced_interval([1] * 28, actions, groups)
    assert 0.5 < low < 0.75
    assert high == 1
    low, high = balanced_interval([action == "YoYo" for action in actions], actions, groups)
    assert low < 0.5 < high
    # However many clips there are.
    low, _ = balanced_interval(
        [1] * 900 + [0] * 100, ["a"] * 900 + ["b"] * 100, [f"g{row % 100}" for row in range(1000)]
    )
    assert low < 0.5


@pytest.mark.parametrize("by_group", [False, True])
def test_guesses_seldom_beat_chance(by_group: bool) -> None:
    """Guesses for each clip, and one guess for each group, as of a model that knows the room instead of the action."""
    rng = np.random.default_rng(0)
    beaten = 0
    for _ in range(60):
        groups = np.repeat(np.arange(6), 4)
        actions = np.resize([0, 1], 24)
        guesses = rng.integers(0, 2, 6)[groups] if by_group else rng.integers(0, 2, 24)
        low, _ = balanced_interval(guesses == actions, actions.astype(str), groups.astype(str), draws=4000)
        beaten += low > 0.5
    assert beaten <= 4
