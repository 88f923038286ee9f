"""The state of a training, kept in a file, so that a killed training resumes at the epoch where it stopped.

The file holds the weights, the optimizer, the state of every random generator in the network and what early stopping
has seen. `training_batches` needs no state: a batch depends on its position alone. A resumed training therefore ends
with the same weights, bit for bit.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actreel.base.atomic import written_aside
from actreel.base.code_digest import TRAINING, code_digest
from actreel.base.faults import reading
from actreel.base.kept_warnings import REPAIRED
from actreel.config import ModelParams, TrainParams
from actreel.dataset.store import Store
from actreel.errors import FileError
from actreel.quiet_keras import keras, tf

log = logging.getLogger(__name__)

_FINGERPRINT = "fingerprint"


def resume_folder(
    folder: Path,
    model_params: ModelParams,
    params: TrainParams,
    store: Store,
    index: pd.DataFrame,
) -> Path:
    """Prepares a folder for a training, and empties it if another training used it before.

    A training run counts as another one if the parameters, the clips, the code or TensorFlow's version differ.

    Args:
        folder: Kept between runs.
        model_params: The network.
        params: The training.
        store: What the network is fitted to.
        index: Rows with `clip`, `action`, `split` and `sha256`.

    Returns:
        A folder in it for the training's state.
    """
    clips = index[["clip", "action", "split", "sha256"]].to_csv(index=False)
    made_with = [
        model_params.model_dump(),
        params.model_dump(),
        store.made_with,
        clips,
        code_digest(*TRAINING),
        tf.__version__,
        keras.__version__,
    ]
    fingerprint = hashlib.sha256(json.dumps(made_with, sort_keys=True).encode()).hexdigest()
    file = folder / _FINGERPRINT
    if not file.exists() or file.read_text(encoding="utf-8") != fingerprint:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        file.write_text(fingerprint, encoding="utf-8")
    state = folder / "state"
    state.mkdir(exist_ok=True)
    return state


class Progress(keras.callbacks.Callback):  # type: ignore[misc]
    """Stops early, restores the best weights, and keeps the state after each epoch in a file.

    Keras's own `EarlyStopping` cannot be resumed through its public interface, so this callback does its work: it stops
    after `patience` epochs without a lower validation loss. It must come last among the callbacks, so that every other
    callback has seen an epoch before the file says that the epoch is done.

    Attributes:
        logs: The metrics of each epoch, from the first.
        best_weights: The weights of the epoch with the lowest validation loss so far; None without validation.
    """

    def __init__(self, patience: int | None, file: Path | None) -> None:
        """Makes the callback.

        Args:
            patience: Epochs without a lower validation loss; None never stops early, and keeps the last weights.
            file: Where the state is kept, or None.
        """
        super().__init__()
        self.logs: list[dict[str, float]] = []
        self.best_weights: list[NDArray[Any]] | None = None
        self._best_loss = math.inf
        self._waited = 0
        self._patience = patience
        self._file = file

    def start_from(self, loss: float, weights: list[NDArray[Any]]) -> None:
        """Starts with weights that an epoch must beat to be kept."""
        self._best_loss, self.best_weights = loss, weights

    def restore(self, model: keras.Model) -> int:
        """Restores a compiled model, whose optimizer is built, to the state in the file, if there is one.

        Returns:
            How many epochs are done; a number larger than any epoch count if the training had stopped early. A damaged
            file counts as none.
        """
        if self._file is None or not self._file.exists():
            return 0
        try:
            again = "The training starts again with its first epoch."
            # Opened here: numpy leaves a damaged file open.
            with reading(self._file, again), self._file.open("rb") as stream, np.load(stream) as kept:
                state = json.loads(str(kept["state"]))
                values = [kept[f"variable{number}"] for number in range(len(_variables(model)))]
                best = [kept[f"best{number}"] for number in range(state["num_best"])]
        except FileError as error:
            log.warning(str(error), extra=REPAIRED)
            return 0
        for variable, value in zip(_variables(model), values, strict=True):
            variable.assign(value)
        self.logs = state["logs"]
        self.best_weights = best or None
        self._best_loss, self._waited = state["best_loss"], state["waited"]
        return 1 << 30 if state["stopped"] else len(self.logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Compares the epoch with the best one, and keeps the state."""
        self.logs.append({name: float(value) for name, value in logs.items()})
        if self._patience is not None:
            self._compare(self.logs[-1]["val_loss"], epoch, self._patience)
        if self._file is not None:
            self._save(self._file)

    def on_train_end(self, logs: Any = None) -> None:
        """Restores the best weights."""
        if self.best_weights is not None:
            self.model.set_weights(self.best_weights)

    def _compare(self, loss: float, epoch: int, patience: int) -> None:
        if self.best_weights is None:  # even a loss of NaN must leave some weights
            self.best_weights = self.model.get_weights()
        self._waited += 1
        if loss < self._best_loss:
            self._best_loss, self._waited = loss, 0
            self.best_weights = self.model.get_weights()
        elif self._waited >= patience and epoch > 0:
            self.model.stop_training = True

    def _save(self, file: Path) -> None:
        best = self.best_weights or []
        state = {
            "logs": self.logs,
            "stopped": bool(self.model.stop_training),
            "best_loss": self._best_loss,
            "waited": self._waited,
            "num_best": len(best),
        }
        arrays: dict[str, Any] = {
            f"variable{number}": np.asarray(variable) for number, variable in enumerate(_variables(self.model))
        }
        arrays |= {f"best{number}": weights for number, weights in enumerate(best)}
        with written_aside(file) as aside, aside.open("wb") as stream:
            np.savez(stream, state=json.dumps(state, default=float), **arrays)


def _variables(model: keras.Model) -> list[keras.Variable]:
    return [*model.variables, *model.optimizer.variables]
