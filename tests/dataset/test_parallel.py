import logging
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from actreel.dataset import parallel
from actreel.dataset.parallel import IN_FLIGHT, map_on_cores
from actreel.errors import DatasetError
from tests.conftest import OWN_POOL, ROOT, patience
from tests.dataset.worker import die_on, die_once, double, leave_trace, negative, refuse


@pytest.fixture(autouse=True)
def _own_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the worker processes are those of the product."""
    monkeypatch.setattr(parallel, "_pool", OWN_POOL)


def test_results_come_in_the_order_of_the_items() -> None:
    assert list(map_on_cores(double, list(range(100)), label="double")) == list(range(0, 200, 2))


def test_a_worker_s_error_reaches_the_caller() -> None:
    with pytest.raises(DatasetError, match="received 1"):
        list(map_on_cores(refuse, [1], label="refuse"))


@pytest.mark.parametrize("fatal", [0, 37, 99])
def test_an_item_that_kills_its_process_is_named(fatal: int) -> None:
    results = []
    with pytest.raises(
        DatasetError, match=rf"every clip must be .*without a crash\. Received: '{fatal}', which crashes"
    ):
        results.extend(map_on_cores(partial(die_on, frozenset({fatal})), range(100), label="die"))


def test_the_other_items_are_done_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="actreel")
    fatal = frozenset({3, 4, 40})
    results = map_on_cores(partial(die_on, fatal), range(60), label="die", on_crash=negative)
    assert list(results) == [-number if number in fatal else 2 * number for number in range(60)]
    assert "60/60" in caplog.text


def test_who_only_stood_beside_is_not_blamed(tmp_path: Path) -> None:
    function = partial(die_once, tmp_path / "died")
    assert list(map_on_cores(function, range(20), label="die", workers=2)) == list(range(20))
    assert (tmp_path / "died").exists()


def test_results_do_not_pile_up_before_they_are_used(tmp_path: Path) -> None:
    results = map_on_cores(partial(leave_trace, tmp_path), range(200), label="trace", workers=2)
    assert next(results) == 0
    time.sleep(0.5)
    assert len(list(tmp_path.iterdir())) <= 2 * IN_FLIGHT + 1
    assert sorted([0, *results]) == list(range(200))


def test_nothing_to_do_starts_nothing() -> None:
    assert list(map_on_cores(double, [], label="double")) == []


def test_workers_end_when_their_parent_is_killed() -> None:
    code = (
        "from tests.dataset.worker import stay\nfrom actreel.dataset.parallel import map_on_cores\n"
        "if __name__ == '__main__': list(map_on_cores(stay, [1, 2], label='stay', workers=2))"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        workers = [psutil.Process(int(parent.stdout.readline())) for _ in range(2)]
        parent.kill()
        assert not psutil.wait_procs(workers, timeout=patience(20))[1]
        assert parent.stdout.read() == "", "nobody holds the pipe any more"
