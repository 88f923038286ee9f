"""The clips that a model is trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from actreel.dataset.store import Store


@dataclass(frozen=True)
class TrainingData:
    """What a model is trained on.

    Attributes:
        index: The whole index, with splits.
        rows: Index rows of the splits `train` and `val`.
        labels: The K actions, in the order of the model's outputs.
        store: The clips' frames, or their features if the encoder is frozen.
    """

    index: pd.DataFrame
    rows: Mapping[str, pd.DataFrame]
    labels: list[str]
    store: Store
