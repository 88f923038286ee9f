from pathlib import Path

import numpy as np

from actreel.dataset.grouping.looks import Look, background_distances, look_at
from tests.dataset.grouping.rooms import write_rooms


def test_films_of_one_room_are_nearer_than_usual_and_those_of_others_are_not(tmp_path: Path) -> None:
    room_of = write_rooms(tmp_path)
    looks = look_at(tmp_path, [Path(clip) for clip in room_of])
    distances = background_distances([look for look in looks if isinstance(look, Look)])
    rooms = np.array(list(room_of.values()))
    same = rooms[:, None] == rooms[None]
    assert distances.shape == same.shape
    assert np.allclose(distances, distances.T, atol=1e-6)
    assert distances[same].max() < 0.3 < 0.5 < distances[~same].min()


def test_a_file_that_is_no_video_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    (reason,) = look_at(tmp_path, [Path("a.mp4")])
    assert isinstance(reason, str)
    assert "damaged or not a video" in reason
