import os
import sys

import pytest

from actreel.base.cores import num_cores


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a process to cores")
def test_cores_that_the_process_is_kept_from_do_not_count() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert num_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert num_cores() == len(allowed)
