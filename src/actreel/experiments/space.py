"""Search spaces: which settings `actreel tune` searches over, and which values it tries."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optuna.trial import Trial
from pydantic import Field, TypeAdapter, ValidationError

from actreel.config import CLIP_HEADS, FRAME_HEADS, LANDMARK_HEADS, POSE, Params, Section
from actreel.errors import ConfigError
from actreel.experiments.nested import apply, read_yaml


class Choices(Section):
    """One of these values."""

    choices: tuple[bool | int | float | str, ...] = Field(min_length=1)


class Range(Section):
    """A number from `low` to `high`, both included; an integer if both are; `log` searches on a log scale."""

    low: int | float
    high: int | float
    log: bool = False


Space = Mapping[str, Choices | Range]
"""The search space, by `section.key`."""


def default_space(params: Params) -> Space:
    """The heads that fit the encoder, and the settings that matter most for their training."""
    heads = CLIP_HEADS if params.model.encoder == "pixels" else FRAME_HEADS
    if params.model.encoder == POSE:
        heads += LANDMARK_HEADS
    return {
        "model.head": Choices(choices=heads),
        "model.motion": Choices(choices=("none", "difference")),
        "model.units": Choices(choices=(16, 32, 64, 128)),
        "model.dropout": Range(low=0.0, high=0.6),
        "train.learning_rate": Range(low=3e-4, high=1e-2, log=True),
        "train.batch_size": Choices(choices=(4, 8, 16, 32)),
        "train.mirror": Choices(choices=(False, True)),
        "train.balance": Choices(choices=(False, True)),
    }


def read_space(file: Path, params: Params) -> Space:
    """Reads a space from YAML: `section.key: {choices: […]}` or `section.key: {low: …, high: …, log: true}`.

    Raises:
        ConfigError: The file cannot be read, or a setting is unknown, out of range or cannot be selected.
    """
    try:
        space = TypeAdapter(dict[str, Choices | Range]).validate_python(read_yaml(file))
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"][:1])) or "not a mapping"
        raise ConfigError(
            f"{file} must map each section.key to {{choices: [...]}} or {{low: ..., high: ..., log: true}}. "
            f"Received: {where}: {error.errors()[0]['msg']}"
        ) from error
    for name, values in space.items():
        if isinstance(values, Range) and not (values.low < values.high and (values.low > 0 or not values.log)):
            raise ConfigError(
                f"{file}: '{name}' must have low below high, and both above 0 with log. Received: {values}"
            )
        for value in values.choices if isinstance(values, Choices) else (values.low, values.high):
            apply(params, {name: value})
    if not space:
        raise ConfigError(f"{file} must name at least one setting. Try: model.units: {{choices: [16, 32]}}")
    return space


def suggest(trial: Trial, name: str, values: Choices | Range) -> Any:
    """Asks Optuna for a value."""
    if isinstance(values, Choices):
        return trial.suggest_categorical(name, values.choices)
    if isinstance(values.low, int) and isinstance(values.high, int):
        return trial.suggest_int(name, values.low, values.high, log=values.log)
    return trial.suggest_float(name, values.low, values.high, log=values.log)
