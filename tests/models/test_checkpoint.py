import os
import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest

from actreel.errors import ModelError
from actreel.models.checkpoint import read_checkpoint

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


class Named:
    """Pickled as a call of a name in PyTorch, which need not be installed."""

    def __init__(self, module: str, name: str, *arguments: Any) -> None:
        self.module, self.name, self.arguments = module, name, arguments


class Storage:
    def __init__(self, kind: str, key: str, size: int) -> None:
        self.pid = ("storage", Named("torch", kind), key, "cpu", size, None)


class Writer(pickle._Pickler):  # the Python one, whose opcodes can be written by hand
    dispatch = dict(pickle._Pickler.dispatch)  # noqa: RUF012

    def persistent_id(self, value: Any) -> Any:
        return value.pid if isinstance(value, Storage) else None

    def save_named(self, value: Named) -> None:
        self.write(pickle.GLOBAL + f"{value.module}\n{value.name}\n".encode())
        if value.arguments:
            self.save(value.arguments)
            self.write(pickle.REDUCE)

    dispatch[Named] = save_named


def tensor(key: str, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0, size: int = 6) -> Named:
    storage = Storage("FloatStorage", key, size)
    return Named("torch._utils", "_rebuild_tensor_v2", storage, offset, shape, strides, False, OrderedDict())


def write(path: Path, table: Any, values: list[float], magic: int = MAGIC, announced: int | None = None) -> Path:
    def dump(value: Any, file: BinaryIO) -> None:
        Writer(file, protocol=2).dump(value)

    with path.open("wb") as file:
        for value in (magic, PROTOCOL, {"little_endian": True}, table, ["0"]):
            dump(value, file)
        file.write(struct.pack("<q", len(values) if announced is None else announced))
        file.write(np.array(values, "<f4").tobytes())
    return path


VALUES = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_tensors_come_with_their_shapes_and_strides(tmp_path: Path) -> None:
    table = OrderedDict(
        plain=tensor("0", (2, 3), (3, 1)), turned=tensor("0", (3, 2), (1, 3)), last=tensor("0", (), (), 5)
    )
    read = read_checkpoint(write(tmp_path / "a.pth", table, VALUES))
    np.testing.assert_array_equal(read["plain"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(read["turned"], [[0, 3], [1, 4], [2, 5]])
    assert read["last"] == 5
    assert {array.dtype for array in read.values()} == {np.dtype("float32")}


@pytest.mark.parametrize(
    ("module", "name"), [("os", "system"), ("builtins", "eval"), ("torch", "load"), ("collections", "defaultdict")]
)
def test_a_name_that_no_tensor_needs_is_never_called(tmp_path: Path, module: str, name: str) -> None:
    mark = tmp_path / "called"
    table = OrderedDict(a=Named(module, name, f"touch {mark}"))
    with pytest.raises(ModelError, match=f"the name {module}.{name}"):
        read_checkpoint(write(tmp_path / "a.pth", table, VALUES))
    assert not mark.exists()


def test_a_plain_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {tmp_path / 'called'}",)

    (tmp_path / "a.pth").write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(ModelError, match=r"the name posix\.system"):
        read_checkpoint(tmp_path / "a.pth")
    assert not (tmp_path / "called").exists()


@pytest.mark.parametrize(
    ("table", "changes", "fact"),
    [
        ({"a": tensor("0", (2, 4), (3, 1))}, {}, "reaches beyond its storage"),
        ({"a": tensor("0", (2, 2), (2, 1), offset=3)}, {}, "reaches beyond its storage"),
        ({"a": tensor("0", (2, 2), (-2, 1))}, {}, "an impossible shape"),
        ({"a": tensor("0", (2, 2), (2, 1), offset=-1)}, {}, "an impossible shape"),
        ({"a": tensor("0", (2, 3), (3, 1))}, {"announced": 7}, "length differs from the announced"),
        ({"a": tensor("0", (2, 3), (3, 1))}, {"values": VALUES[:5], "announced": 6}, "truncated"),
        ({"a": tensor("0", (2, 3), (3, 1), size=1 << 40)}, {}, "a storage of 1099511627776 values"),
        ({"a": tensor("0", (2, 3), (3, 1))}, {"magic": 7}, "another format"),
        ({"a": tensor("0", (6,), (1,)), "b": 3}, {}, "no attribute"),
    ],
)
def test_a_damaged_file_is_a_message(tmp_path: Path, table: Any, changes: dict[str, Any], fact: str) -> None:
    with pytest.raises(ModelError, match=fact):
        read_checkpoint(write(tmp_path / "a.pth", table, **{"values": VALUES} | changes))


def test_a_missing_file_is_a_message(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="make setup"):
        read_checkpoint(tmp_path / "none.pth")
