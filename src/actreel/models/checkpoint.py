"""Reads the tensors of a legacy PyTorch checkpoint (.pth) without PyTorch, and without running code from it.

A pickle can make its reader call any function. This reader allows the names that a table of tensors needs and raises
at any other.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from actreel.errors import ModelError

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_DTYPES: dict[str, np.dtype[Any]] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}
_MAX_VALUES = 1 << 28


class _Storage:
    """A flat array that tensors are views of; filled after the pickle is read."""

    def __init__(self, dtype: np.dtype[Any], size: int) -> None:
        self.dtype = dtype
        self.size = size
        self.values: NDArray[Any] = np.empty(0, dtype)


class _Tensor:
    """A view of a storage, as the pickle describes it."""

    def __init__(
        self, storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
    ) -> None:
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides

    def array(self) -> NDArray[Any]:
        if min(self.shape, default=1) < 1 or min(self.strides, default=0) < 0 or self.offset < 0:
            raise ValueError("a tensor with an impossible shape")
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        if last >= self.storage.size:
            raise ValueError("a tensor that reaches beyond its storage")
        values = self.storage.values[self.offset :]
        steps = [step * values.itemsize for step in self.strides]
        return np.lib.stride_tricks.as_strided(values, self.shape, steps, writeable=False)


class _TensorUnpickler(pickle.Unpickler):
    """Allows tensors, the names of their dtypes and an ordered table, and nothing else."""

    _ALLOWED: Mapping[tuple[str, str], Any] = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _Tensor,
        **{("torch", name): name for name in _DTYPES},
    }

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"the name {module}.{name}")
        return self._ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        kind: str
        _, kind, key, _, size, *_ = pid
        if not 0 <= size <= _MAX_VALUES:
            raise pickle.UnpicklingError(f"a storage of {size} values")
        return self.storages.setdefault(key, _Storage(_DTYPES[kind], size))


def read_checkpoint(path: Path) -> dict[str, NDArray[Any]]:
    """Reads the table of tensors in a legacy checkpoint (PyTorch before 1.6, not a zip).

    The layout: three small pickles (magic number, protocol, sizes), the table, the storages' keys, then each storage
    as its length (int64) and its values (little-endian).

    Args:
        path: The .pth file.

    Returns:
        float32 or int64 arrays by name, in the order of the file.

    Raises:
        ModelError: The file is missing, truncated, in another format, or names anything but tensors.
    """
    try:
        with path.open("rb") as file:
            magic, protocol, _ = (_TensorUnpickler(file).load() for _ in range(3))
            if (magic, protocol) != (_MAGIC, _PROTOCOL):
                raise ValueError("a file in another format")
            unpickler = _TensorUnpickler(file)
            table = unpickler.load()
            for key in _TensorUnpickler(file).load():
                storage = unpickler.storages[key]
                if int(np.fromfile(file, "<i8", 1)[0]) != storage.size:
                    raise ValueError("a storage whose length differs from the announced one")
                storage.values = np.fromfile(file, storage.dtype, storage.size)
                if len(storage.values) != storage.size:
                    raise ValueError("a truncated file")
            return {name: tensor.array() for name, tensor in table.items()}
    # A hostile pickle can raise anything.
    except Exception as error:
        raise ModelError(
            f"A checkpoint must be a readable table of tensors in PyTorch's legacy format. "
            f"Received: '{path}' with {error}. Install it again: make setup"
        ) from error
