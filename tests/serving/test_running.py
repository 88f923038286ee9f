"""How many requests are admitted at once."""

from __future__ import annotations

import pytest

from serving.answers import RefusalError
from serving.running import Admission


def test_a_full_service_says_how_full_and_when_to_come_back() -> None:
    admission = Admission("videos", 2, retry_after_s=7)
    with admission.admitted(), admission.admitted():
        with pytest.raises(RefusalError, match="busy: The service is full: it accepts at most 2 videos") as refused:
            admission.admitted().__enter__()
        assert refused.value.status_code == 429
        assert refused.value.headers == {"Retry-After": "7"}
    with admission.admitted():
        pass


def test_a_request_that_fails_makes_room_again() -> None:
    admission = Admission("videos", 1, retry_after_s=1)
    with pytest.raises(ValueError, match="broken"), admission.admitted():
        raise ValueError("broken")
    with admission.admitted():
        pass
