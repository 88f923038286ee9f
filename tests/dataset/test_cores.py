import os
import signal

import pytest

from actreel.dataset.cores import map_on_cores
from actreel.errors import DatasetError


def double(number: int) -> int:
    return 2 * number


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def refuse(number: int) -> int:
    raise DatasetError(f"received {number}")


def test_results_come_in_the_order_of_the_items() -> None:
    assert list(map_on_cores(double, list(range(100)), label="double")) == list(range(0, 200, 2))


def test_a_worker_s_error_reaches_the_caller() -> None:
    with pytest.raises(DatasetError, match="received 1"):
        list(map_on_cores(refuse, [1], label="refuse"))


def test_a_killed_worker_is_a_message() -> None:
    with pytest.raises(DatasetError, match="killed while doing 'die'"):
        list(map_on_cores(die, [1], label="die"))
