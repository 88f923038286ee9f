"""When the temperature makes the calibration error of new groups larger, on simulated clips.

A small network, stopped where the loss on four validation groups is lowest, learns ten actions. The temperature is
fitted on the same clips, as the stage train does it, or on twelve groups more; it is tested on six other groups, as
few as a test has, and on forty, which come close to the truth.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import softmax

from actreel.evaluation.metrics import calibration_error
from actreel.training.calibration import fit_temperature, sharpened

ACTIONS, FEATURES, UNITS, CLIPS = 10, 16, 64, 8
"""Clips of each action in each group."""
TRAIN, VAL, MORE, TEST, ALL_TEST = 14, 4, 12, 6, 40
"""Groups."""
STEPS, RATE = 200, 0.01
SHIFTS, DRAWS = (0.0, 0.6), 60
"""How far a group's clips are shifted."""


def clips(shift: float, groups: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], ...]:
    """Features, float64 (N, F), actions and groups, int64 (N,); each group shifts all its clips, and each action's."""
    centres, of_group = rng.normal(0, 1, (ACTIONS, FEATURES)), rng.normal(0, shift, (groups, FEATURES))
    of_both = rng.normal(0, shift, (ACTIONS, groups, FEATURES))
    action, group = (np.repeat(axis.ravel(), CLIPS) for axis in np.meshgrid(np.arange(ACTIONS), np.arange(groups)))
    noise = rng.normal(0, 1.2, (len(action), FEATURES))
    return centres[action] + of_group[group] + of_both[action, group] + noise, action, group


def answers(
    known: NDArray[np.float64], targets: NDArray[np.int64], val: NDArray[np.float64], val_targets: NDArray[np.int64],
    test: NDArray[np.float64], rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:  # fmt: skip
    """Probabilities of the validation and test clips by the step with the lowest validation loss; Adam, one layer."""
    weights = [rng.normal(0, FEATURES**-0.5, (FEATURES, UNITS)), np.zeros((UNITS, ACTIONS))]
    first, second = ([np.zeros_like(each) for each in weights] for _ in range(2))
    wanted, kept, lowest = np.eye(ACTIONS)[targets], [], np.inf
    for step in range(1, STEPS + 1):
        hidden = np.maximum(known @ weights[0], 0)
        error = (softmax(hidden @ weights[1], axis=1) - wanted) / len(known)
        slopes = [known.T @ ((error @ weights[1].T) * (hidden > 0)), hidden.T @ error]
        for place, slope in enumerate(slopes):
            first[place] = 0.9 * first[place] + 0.1 * slope
            second[place] = 0.999 * second[place] + 0.001 * slope**2
            mean, spread = first[place] / (1 - 0.9**step), second[place] / (1 - 0.999**step)
            weights[place] -= RATE * mean / (np.sqrt(spread) + 1e-8)
        said = softmax(np.maximum(val @ weights[0], 0) @ weights[1], axis=1)
        if (loss := _loss(said, val_targets)) < lowest:
            lowest, kept = loss, [said, softmax(np.maximum(test @ weights[0], 0) @ weights[1], axis=1)]
    return kept[0].astype(np.float32), kept[1].astype(np.float32)


def draw(shift: float, seed: int) -> dict[str, float]:
    """Temperatures from few and from more groups, and how much each changes error and loss of new groups."""
    rng = np.random.default_rng(seed)
    features, action, group = clips(shift, TRAIN + VAL + MORE + ALL_TEST, rng)
    train, val = group < TRAIN, (group >= TRAIN) & (group < TRAIN + VAL)
    others = group >= TRAIN + VAL
    said_val, said = answers(features[train], action[train], features[val], action[val], features[others], rng)
    targets, place = action[others], group[others] - TRAIN - VAL
    more, tests = place < MORE, {"few": (place >= MORE) & (place < MORE + TEST), "many": place >= MORE}
    temperatures = {
        "val": fit_temperature(said_val, action[val]),
        "more": fit_temperature(np.concatenate([said_val, said[more]]), np.r_[action[val], targets[more]]),
    }
    found = {f"temperature, {name}": temperature for name, temperature in temperatures.items()}
    for test, rows in tests.items():
        found[f"error, {test}"] = calibration_error(said[rows], targets[rows])
        for name, temperature in temperatures.items():
            after = sharpened(said[rows], 1 / temperature)
            found[f"{name}, {test}"] = calibration_error(after, targets[rows]) - found[f"error, {test}"]
            found[f"loss: {name}, {test}"] = _loss(after, targets[rows]) - _loss(said[rows], targets[rows])
    return found


def _loss(probabilities: NDArray[np.floating], targets: NDArray[np.int64]) -> float:
    return float(-np.log(np.maximum(probabilities[np.arange(len(targets)), targets], 1e-12)).mean())


def main() -> None:
    """Prints the errors before, and the changes by the temperature from validation groups and from more groups."""
    for shift in SHIFTS:
        table = pd.DataFrame([draw(shift, seed) for seed in range(DRAWS)])
        summary = table.describe().loc[["mean", "std", "min", "max"]].T.assign(grown=(table > 0).mean())
        print(f"groups shifted by {shift:g}\n{summary.round(4).to_string()}", flush=True)


if __name__ == "__main__":
    main()
