"""The last layer of a network in its Keras file, replaced without TensorFlow, whose start takes longer than a lesson.

A `.keras` file is a zip archive of a description in JSON and of weights in HDF5. Keras documents that, but not what the
entries are called: tests/teaching/test_keras_file.py opens what is written here with Keras, and tells if a new version
has other names.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from actreel.base.faults import TRAIN_AGAIN, reading
from actreel.errors import ModelError
from actreel.teaching.tail import Linear

CONFIG = "config.json"
WEIGHTS = "model.weights.h5"


def write_with_last_layer(before: Path, name: str, last: Linear, target: Path) -> None:
    """Copies a network, with another layer in place of one.

    Args:
        before: The `.keras` file.
        name: Of the layer, a `Dense`.
        last: The new layer.
        target: The copy.

    Raises:
        FileError: The file is damaged.
        ModelError: There is not one such layer in it.
    """
    with reading(before, TRAIN_AGAIN), zipfile.ZipFile(before) as old:
        entries = {entry: old.read(entry) for entry in old.namelist()}
        entries[CONFIG] = _described(entries[CONFIG], name, len(last.bias))
        entries[WEIGHTS] = _weighted(entries[WEIGHTS], name, last)
    with zipfile.ZipFile(target, "w") as new:
        for entry, content in entries.items():
            new.writestr(entry, content)


def _described(content: bytes, name: str, units: int) -> bytes:
    description = json.loads(content)
    layers = [layer for layer in _layers(description["config"]) if layer["config"].get("name") == name]
    if len(layers) != 1:
        raise _strange(name)
    layers[0]["config"]["units"] = units
    return json.dumps(description).encode()


def _layers(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for layer in config.get("layers", ()):
        yield layer
        yield from _layers(layer["config"])


def _weighted(content: bytes, name: str, last: Linear) -> bytes:
    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+") as weights:
        found: list[h5py.Group] = []

        def look(_: str, part: Any) -> None:
            if isinstance(part, h5py.Group) and part.attrs.get("name") == name:
                found.append(part)

        weights.visititems(look)
        if len(found) != 1 or set(found[0]) != {"0", "1"}:
            raise _strange(name)
        for place, value in (("0", last.kernel), ("1", last.bias)):
            del found[0][place]
            found[0].create_dataset(place, data=value)
    return buffer.getvalue()


def _strange(name: str) -> ModelError:
    return ModelError(
        f"Teaching needs a Keras file with one layer '{name}'. Received: one that another version of Keras wrote. "
        "Train it again: make repro"
    )
