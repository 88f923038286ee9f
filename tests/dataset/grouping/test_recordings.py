import pytest

from actreel.dataset.grouping.recordings import Recording, neighbours, recording_of
from actreel.video.info import VideoInfo

INFO = VideoInfo(30.0, 60, 60, 640, 480, 2.0, "h264")


def made(time: str, model: str = "Phone 3") -> Recording:
    return recording_of({"creation_time": time, "make": "Acme", "model": model}, INFO)


def test_time_device_and_form_are_read() -> None:
    recording = made("2024-05-01T10:00:00.000000Z")
    assert recording.created is not None
    assert recording.created.isoformat() == "2024-05-01T10:00:00+00:00"
    assert recording.device == "Acme Phone 3"
    assert recording.form == (640, 480, 30.0, "h264", "")


@pytest.mark.parametrize("time", ["1904-01-01T00:00:00Z", "2024-05-01", "yesterday: noon", ""])
def test_a_clock_that_was_never_set_or_tells_no_time_counts_for_nothing(time: str) -> None:
    assert made(time).created is None


def test_neighbours_were_recorded_by_one_device_within_half_an_hour() -> None:
    first = made("2024:05:01 10:00:00")
    assert neighbours(first, made("2024-05-01T10:29:00Z"))
    assert not neighbours(first, made("2024-05-01T10:31:00Z"))
    assert not neighbours(first, made("2024-05-01T10:01:00Z", "Phone 4"))
    assert not neighbours(first, made(""))
