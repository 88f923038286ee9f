"""How far a training has come, kept in a file, so that one that was killed goes on at the epoch it was at.

The weights, the optimizer, the state of every random generator in the network and what early stopping has seen are
kept; `training_batches` knows by itself what comes next. So the end is the same, bit for bit.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actreel.config import ModelParams, TrainParams
from actreel.dataset.store import Store
from actreel.quiet_keras import keras, tf

_FINGERPRINT = "fingerprint"
_STOPPING = ("best", "wait", "best_epoch", "stopped_epoch")


def resume_folder(
    folder: Path,
    model_params: ModelParams,
    params: TrainParams,
    store: Store,
    index: pd.DataFrame,
) -> Path:
    """Makes a folder ready for a training; what another training left in it is removed.

    Another training is one with other parameters, clips, code or TensorFlow.

    Args:
        folder: Where to; kept between runs.
        model_params: The network.
        params: The run.
        store: What it is fitted to.
        index: Rows with `clip`, `action`, `split` and `sha256`.

    Returns:
        Where the training's state belongs, a folder in it.
    """
    code = hashlib.sha256()
    for file in sorted(Path(__file__).parents[1].rglob("*.py")):
        code.update(file.read_bytes())
    clips = index[["clip", "action", "split", "sha256"]].to_csv(index=False)
    told = [model_params.model_dump(), params.model_dump(), store.made_with, clips, code.hexdigest(), tf.__version__]
    fingerprint = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    file = folder / _FINGERPRINT
    if not file.exists() or file.read_text(encoding="utf-8") != fingerprint:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        file.write_text(fingerprint, encoding="utf-8")
    state = folder / "state"
    state.mkdir(exist_ok=True)
    return state


class Progress(keras.callbacks.Callback):  # type: ignore[misc]
    """Notes each epoch's metrics, and keeps the state after it in a file if there is one.

    To stand last among the callbacks: an epoch that is kept has been told to all others.

    Attributes:
        logs: The metrics of each epoch, from the first on.
    """

    def __init__(self, stopping: Any, file: Path | None) -> None:
        """Makes the callback.

        Args:
            stopping: The `keras.callbacks.EarlyStopping` beside it, or None.
            file: Where the state is kept, or None.
        """
        super().__init__()
        self.logs: list[dict[str, float]] = []
        self._stopping = stopping
        self._file = file
        self._stopped: dict[str, Any] = {}

    @property
    def best_weights(self) -> list[NDArray[Any]] | None:
        """The weights that early stopping would end with, as far as they were restored."""
        return self._stopped.get("best_weights")

    def start_from(self, loss: float, weights: list[NDArray[Any]]) -> None:
        """Lets early stopping begin with weights that are to be beaten."""
        self._stopped = {"best": loss, "best_weights": weights}

    def restore(self, model: Any) -> int:
        """Sets a compiled model back to where its training was, if that is known.

        Returns:
            The epochs that are behind; more than there are to come, if training had stopped early.
        """
        if self._file is None or not self._file.exists():
            return 0
        model.optimizer.build(model.trainable_variables)
        with np.load(self._file) as kept:
            state = json.loads(str(kept["state"]))
            for place, variable in enumerate(_variables(model)):
                variable.assign(kept[f"variable{place}"])
            best = [kept[f"best{place}"] for place in range(state["num_best"])]
        self.logs = state["logs"]
        self._stopped = state["stopping"] | {"best_weights": best or None}
        return 1 << 30 if state["stopped"] else len(self.logs)

    def on_train_begin(self, logs: Any = None) -> None:
        """Puts early stopping back; Keras has just made it forget."""
        for name, value in self._stopped.items():
            setattr(self._stopping, name, value)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Notes the epoch."""
        self.logs.append({name: float(value) for name, value in logs.items()})
        if self._file is None:
            return
        best = (self._stopping and self._stopping.best_weights) or []
        state = {
            "logs": self.logs,
            "stopped": bool(self.model.stop_training),
            "stopping": {name: getattr(self._stopping, name) for name in _STOPPING} if self._stopping else {},
            "num_best": len(best),
        }
        arrays: dict[str, Any] = {
            f"variable{place}": np.asarray(variable) for place, variable in enumerate(_variables(self.model))
        }
        arrays |= {f"best{place}": weights for place, weights in enumerate(best)}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        aside = self._file.with_name(f".{self._file.name}.part")
        with aside.open("wb") as file:
            np.savez(file, state=json.dumps(state, default=float), **arrays)
        aside.replace(self._file)


def _variables(model: Any) -> list[Any]:
    return [*model.variables, *model.optimizer.variables]
