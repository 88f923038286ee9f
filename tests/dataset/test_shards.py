import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from actreel.dataset.shards import finished_arrays, open_shard, release, write_shard

ARRAYS = np.random.default_rng(0).integers(0, 255, (5, 3, 4), np.uint8)


class KilledError(Exception):
    pass


def until(count: int) -> Any:
    """The first arrays; then the process is killed."""
    yield from ARRAYS[:count]
    raise KilledError


def write_until(shard: Path, count: int) -> None:
    with pytest.raises(KilledError):
        write_shard(shard, until(count), len(ARRAYS))


@pytest.mark.parametrize("arrays", [ARRAYS, ARRAYS.astype(np.float32), ARRAYS[:, :, ::-1]], ids=["u1", "f4", "view"])
def test_a_shard_is_the_file_that_numpy_saves(tmp_path: Path, arrays: NDArray[Any]) -> None:
    write_shard(tmp_path / "a.npy", iter(arrays), len(arrays))
    np.save(tmp_path / "b.npy", np.stack(list(arrays)))
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
    np.testing.assert_array_equal(open_shard(tmp_path / "a.npy", len(arrays)), arrays)
    assert {file.name for file in tmp_path.iterdir()} == {"a.npy", "b.npy"}


def test_interrupted_work_goes_on_after_the_last_array(tmp_path: Path) -> None:
    shard = tmp_path / "a.npy"
    assert finished_arrays(shard) == 0
    write_until(shard, 4)
    assert finished_arrays(shard) == 4
    assert not shard.exists()
    write_shard(shard, iter(ARRAYS[4:]), len(ARRAYS))
    np.testing.assert_array_equal(open_shard(shard, 5), ARRAYS)


def test_zeros_that_a_power_cut_leaves_are_no_array(tmp_path: Path) -> None:
    write_until(tmp_path / "a.npy", 2)
    with (tmp_path / "a.unfinished").open("ab") as file:
        file.write(bytes(1000))
    assert finished_arrays(tmp_path / "a.npy") == 2


@given(data=st.data())
def test_what_was_half_written_is_never_taken_for_whole(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shard = tmp_path_factory.mktemp("shards") / "a.npy"
    write_until(shard, 3)
    unfinished = shard.with_suffix(".unfinished")
    size = unfinished.stat().st_size
    content = bytearray(unfinished.read_bytes()[: data.draw(st.integers(0, size), label="written")])
    if content and data.draw(st.booleans(), label="overwritten"):
        content[data.draw(st.integers(0, len(content) - 1), label="at")] ^= 0x55
    unfinished.write_bytes(content)
    done = finished_arrays(shard)
    assert done <= len(content) * 3 // size
    write_shard(shard, itertools.islice(ARRAYS, done, None), len(ARRAYS))
    np.testing.assert_array_equal(open_shard(shard, 5), ARRAYS)


def test_what_reading_a_shard_took_is_given_back_and_can_be_read_again(tmp_path: Path) -> None:
    def resident() -> int:
        """Kilobytes of the shard's pages in this process."""
        maps = Path("/proc/self/smaps").read_text(encoding="utf-8").partition(str(shard))[2]
        return int(maps.partition("\nRss:")[2].split()[0])

    shard, numbers = tmp_path / "a.npy", np.arange(200_000)
    write_shard(shard, [numbers], 1)
    opened = open_shard(shard, 1)
    assert opened.sum() == numbers.sum()
    if Path("/proc/self/smaps").exists():
        assert resident() > 1000
    release(opened)
    if Path("/proc/self/smaps").exists():
        assert resident() == 0
    np.testing.assert_array_equal(opened[0], numbers)
