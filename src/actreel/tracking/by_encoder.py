"""What each encoder gave in this workspace: the best registered version of the dataset's model with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException

from actreel.config import ONNX
from actreel.errors import ModelError
from actreel.tracking.champions import list_versions
from actreel.tracking.store import is_missing


@dataclass(frozen=True)
class Gave:
    """An accuracy on test clips, with its 95 % interval for new groups.

    Attributes:
        accuracy: Of the best version.
        low: Lower bound.
        high: Upper bound.
        model: As in `actreel-demo@3`.
    """

    accuracy: float
    low: float
    high: float
    model: str


def best_by_encoder(name: str) -> dict[str, Gave]:
    """The best version with each encoder, by `model.encoder`, or by the file's name of an ONNX file.

    As the best of several on the same test clips, its accuracy is somewhat too high.

    Args:
        name: Of the registered model.
    """
    best: dict[str, Gave] = {}
    try:
        listed = list_versions(name)
    except ModelError:  # nothing has been registered yet
        return best
    for each in listed:
        tags = each.version.tags
        if not {"accuracy", "accuracy_low", "accuracy_high"} <= tags.keys():
            continue  # of an early version
        try:
            params = mlflow.get_run(each.version.run_id).data.params
        except MlflowException as error:
            if not is_missing(error):
                raise
            continue  # the run was deleted
        encoder, weights = (params.get(f"model.{key}", "") for key in ("encoder", "weights"))
        key = Path(weights).name if encoder == ONNX else encoder
        own, low, high = (float(tags[f"accuracy{end}"]) for end in ("", "_low", "_high"))
        if key not in best or own > best[key].accuracy:
            best[key] = Gave(own, low, high, f"{name}@{each.version.version}")
    return best
