"""Names of registered models, and of runs, which say what differs between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

MOST_SETTINGS = 4
"""The most settings in a name."""

_SAID = ("model.encoder", "model.head", "dataset.name")
"""Settings that the plain name has already."""
_SECTIONS = ("dataset", "clip", "split", "model", "train")
"""Sections that make a difference to a model."""


def registered_model(dataset: str) -> str:
    """The registry's name for a dataset's models: each dataset has its own champion."""
    return f"actreel-{dataset}"


def telling_name(plain: str, params: Mapping[str, Any], first: Mapping[str, str] | None, taken: Iterable[str]) -> str:
    """The name of a run: the settings in which it differs from the first run of its dataset come after the plain name.

    Args:
        plain: The dataset and the network: `demo small_cnn+lstm`.
        params: The run's parameters by `section.key`.
        first: Those of the dataset's first run, as MLflow has them; None: this is the first.
        taken: Names of earlier runs. A name among them gets a number: `demo small_cnn+lstm #2`.
    """
    changed = {
        key: value
        for key, value in params.items()
        if first and key in first and first[key] != str(value) and key not in _SAID and key.startswith(_SECTIONS)
    }
    parts = [plain, *(f"{key}={value}" for key, value in list(changed.items())[:MOST_SETTINGS])]
    if len(changed) > MOST_SETTINGS:
        parts.append(f"{len(changed) - MOST_SETTINGS} more")
    name = ", ".join(parts)
    names = set(taken)
    number = 2
    numbered = name
    while numbered in names:
        numbered = f"{name} #{number}"
        number += 1
    return numbered
