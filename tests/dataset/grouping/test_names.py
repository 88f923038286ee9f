from pathlib import Path
from random import Random

import pytest

from actreel.dataset.grouping.names import counters_meet, ids_in_names


def ids(*paths: str) -> list[str | None]:
    clips = [Path(path) for path in paths]
    return [named.group if named else None for named in ids_in_names(clips, [clip.parts[0] for clip in clips])]


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["A/v_A_g03_c01.avi", "A/v_A_g03_c02.avi", "B/v_B_g04_c01.avi"], ["g03", "g03", "g04"]),
        (["box/person01_d1.avi", "run/person01_d1.avi", "run/person02_d1.avi"], ["person 1", "person 1", "person 2"]),
        (["A/S001C001P003R001A001.avi", "B/S002C001P003R001A002.avi", "B/S001C001P004R001A002.avi"],
         ["person 3", "person 3", "person 4"]),
        (["A/x9k_000012_000022.mp4", "A/x9k_000040_000050.mp4", "B/y7q_000001_000011.mp4"], ["x9k", "x9k", "y7q"]),
        (["A/anna_1.mp4", "A/ben_1.mp4", "B/anna_2.mp4", "B/ben_2.mp4"], ["anna", "ben"] * 2),
        (["A/anna/1.mp4", "A/ben/1.mp4", "B/anna/1.mp4", "B/ben/1.mp4"], ["anna", "ben"] * 2),
        (["A/20240101_1.mp4", "A/20240102_1.mp4", "B/20240101_2.mp4"], ["2024-01-01", "2024-01-02", "2024-01-01"]),
        (["A/s01 e1.mp4", "A/s02 e1.mp4", "B/s01 e2.mp4"], ["s1", "s2", "s1"]),
    ],
)  # fmt: skip
def test_an_id_is_read_from_the_name(paths: list[str], expected: list[str]) -> None:
    assert ids(*paths) == expected


def test_names_that_tell_nothing_give_no_group() -> None:
    random = Random(0)  # noqa: S311
    assert set(ids(*[f"{'AB'[row % 2]}/{random.getrandbits(64):016x}.avi" for row in range(200)])) == {None}
    assert set(ids(*[f"Jump/IMG_{row:04}.mov" for row in range(9)])) == {None}
    action = [f"{action}/{action.lower()}_{row}.mp4" for action in ("Jump", "Run") for row in range(5)]
    assert set(ids(*action)) == {None}
    misspelt = [f"{action}/{action[:3].lower()}_{row}.mp4" for action in ("Jump", "Running") for row in range(5)]
    assert set(ids(*misspelt)) == {None}, "an id for all clips of an action is the action"


def test_counters_meet_only_where_one_camera_counted_on() -> None:
    assert counters_meet(Path("A/IMG_0012.mov"), Path("B/IMG_0013.mov"))
    assert not counters_meet(Path("A/IMG_0012.mov"), Path("B/IMG_0014.mov"))
    assert not counters_meet(Path("A/IMG_0012.mov"), Path("B/DSC_0013.mov"))
