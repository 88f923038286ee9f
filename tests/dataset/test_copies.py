import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from actreel.dataset.copies import join_copies, join_recordings
from actreel.dataset.fingerprints import probe_with_fingerprint
from actreel.video.opencv import cv2
from tests.conftest import grey_frames, write_video_file
from tests.dataset.test_fingerprints import scenery


def index_of(*rows: tuple[str, str | None, str]) -> pd.DataFrame:
    """An index of (clip, group or None if it is unknown, content)."""
    return pd.DataFrame(
        {"clip": clip, "action": clip.split("/")[0], "group": group or clip, "sha256": content, "error": ""}
        for clip, group, content in sorted(rows)
    )


@pytest.mark.parametrize(
    "copy", ["Kick/v_Kick_g03_c01 - Copy.avi", "Kick/Copy of v_Kick_g03_c01.avi", "Kick/z (1).avi"]
)
def test_the_clip_that_knows_its_group_stays(copy: str, caplog: pytest.LogCaptureFixture) -> None:
    index = index_of(("Kick/v_Kick_g03_c01.avi", "g03", "same"), (copy, None, "same"), ("Kick/other.avi", "g04", "x"))
    kept = join_copies(index)
    assert dict(zip(kept["clip"], kept["group"], strict=True)) == {
        "Kick/v_Kick_g03_c01.avi": "g03",
        "Kick/other.avi": "g04",
    }
    assert f"'{copy}' is a copy of 'Kick/v_Kick_g03_c01.avi'" in caplog.text


def test_of_a_copy_whose_name_tells_its_group_too_the_original_stays() -> None:
    names = (
        "Kick/Copy of v_Kick_g03_c01.avi", "Kick/v_Kick_g03_c01 (1).avi", "Kick/v_Kick_g03_c01.avi",
        "Kick/backup/v_Kick_g03_c01.avi",
    )  # fmt: skip
    index = index_of(*((name, "g03", "same") for name in names))
    assert join_copies(index)["clip"].tolist() == ["Kick/v_Kick_g03_c01.avi"]


def test_groups_that_share_a_video_become_one(caplog: pytest.LogCaptureFixture) -> None:
    index = index_of(
        ("Kick/a.avi", "g03", "same"), ("Kick/b.avi", "g07", "same"), ("Kick/c.avi", "g07", "x"),
        ("Wave/d.avi", "g07", "y"), ("Wave/e.avi", "g08", "z"),
    )  # fmt: skip
    kept = join_copies(index)
    assert dict(zip(kept["clip"], kept["group"], strict=True)) == {
        "Kick/a.avi": "g03", "Kick/c.avi": "g03", "Wave/d.avi": "g03", "Wave/e.avi": "g08",
    }  # fmt: skip
    assert "count as one group: 'g03' = 'g07'" in caplog.text


def test_a_copy_of_a_copy_links_its_groups_too() -> None:
    index = index_of(
        ("Kick/a.avi", "g1", "same"), ("Kick/b.avi", "g2", "same"),
        ("Kick/c.avi", "g2", "too"), ("Kick/d.avi", "g3", "too"),
    )  # fmt: skip
    assert set(join_copies(index)["group"]) == {"g1"}


def test_copies_without_any_group_are_one_group() -> None:
    kept = join_copies(index_of(("Kick/a.avi", None, "same"), ("Kick/b.avi", None, "same"), ("Kick/c.avi", None, "x")))
    assert kept["clip"].tolist() == ["Kick/a.avi", "Kick/c.avi"]
    assert kept["group"].tolist() == ["Kick/a.avi", "Kick/c.avi"]


def test_the_same_video_in_two_actions_stays_for_the_validation_to_refuse() -> None:
    index = index_of(("Kick/a.avi", "g1", "same"), ("Wave/a.avi", "g2", "same"))
    assert join_copies(index)["clip"].tolist() == ["Kick/a.avi", "Wave/a.avi"]


def test_without_copies_nothing_changes(caplog: pytest.LogCaptureFixture) -> None:
    index = index_of(("Kick/a.avi", "g1", "x"), ("Wave/b.avi", None, "y"))
    broken = index.assign(error=["no frames", "no frames"], sha256="")
    with caplog.at_level(logging.INFO):
        pd.testing.assert_frame_equal(join_copies(index), index)
        pd.testing.assert_frame_equal(join_copies(broken), broken)
    assert not caplog.text


def index_of_files(folder: Path, groups: dict[str, str]) -> pd.DataFrame:
    """An index of the clips in a folder with their groups."""
    rows = []
    for clip, group in groups.items():
        _, fingerprint, small = probe_with_fingerprint(folder / clip)
        rows.append({"clip": clip, "group": group, "fingerprint": fingerprint, "small_frames": small, "error": ""})
    broken = {"clip": "Kick/broken.avi", "group": "g9", "fingerprint": "", "small_frames": b"", "error": "no frames"}
    return pd.DataFrame([*rows, broken])


def test_groups_with_one_recording_encoded_anew_become_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shrunk = [cv2.resize(frame, (160, 120), interpolation=cv2.INTER_AREA) for frame in scenery(1)]
    write_video_file(tmp_path / "Kick/a.avi", scenery(1))
    write_video_file(tmp_path / "Kick/download.mp4", shrunk, codec="mp4v")
    write_video_file(tmp_path / "Kick/other.avi", scenery(2))
    index = index_of_files(tmp_path, {name: name for name in ("Kick/a.avi", "Kick/other.avi")} | {
        "Kick/download.mp4": "g7"
    })  # fmt: skip
    joined = join_recordings(index)
    assert joined["group"].tolist() == ["g7", "Kick/other.avi", "g7", "g9"]
    assert "1 pairs of clips are the same recording" in caplog.text
    assert "'Kick/a.avi' and 'Kick/download.mp4'" in caplog.text


def test_a_copy_is_found_by_what_little_happens_in_it(tmp_path: Path) -> None:
    """A small thing moves in a large still scene: the hashes of its frames differ no more than those of a copy."""
    place = scenery(3, num_frames=1)[0]
    steps = [cv2.circle(place.copy(), (150 + 4 * step, 100), 7, (255, 255, 255), -1) for step in range(12)]
    noise = np.random.default_rng(0)
    worn = [np.clip(frame + noise.normal(0, 12, frame.shape), 0, 255).astype(np.uint8) for frame in steps]
    write_video_file(tmp_path / "Walk/a.avi", steps)
    write_video_file(tmp_path / "Walk/worn.mp4", worn, codec="mp4v")
    write_video_file(tmp_path / "Walk/back.avi", steps[::-1])
    names = ("Walk/a.avi", "Walk/back.avi", "Walk/worn.mp4")
    index = index_of_files(tmp_path, {name: name for name in names})
    assert join_recordings(index)["group"].tolist() == ["Walk/a.avi", "Walk/back.avi", "Walk/a.avi", "g9"]
    assert join_recordings(index.drop(columns="small_frames"))["group"].tolist() == [*names, "g9"]


def test_where_nothing_moves_or_nothing_is_seen_clips_stay_apart(tmp_path: Path) -> None:
    names = ("Stand/a.avi", "Stand/b.avi")
    for name, grey in zip(names, (50, 200), strict=True):
        write_video_file(tmp_path / name, grey_frames([grey] * 4))
    index = index_of_files(tmp_path, {name: name for name in names})
    assert join_recordings(index)["group"].tolist() == [*names, "g9"]
    signals = index[index["fingerprint"] == ""].assign(error="")
    assert join_recordings(signals)["group"].tolist() == ["g9"]


def test_clips_before_one_background_stay_apart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    # Two people in one place: the first walks, the second walks elsewhere; and two plain pictures.
    place = scenery(3, num_frames=1)[0]
    for name, height in (("Walk/a.avi", 60), ("Walk/b.avi", 200)):
        frames = [cv2.circle(place.copy(), (20 + 20 * step, height), 14, (255, 255, 255), -1) for step in range(12)]
        write_video_file(tmp_path / name, frames)
    for name in ("Walk/plain.avi", "Walk/plainer.avi"):
        write_video_file(tmp_path / name, grey_frames(range(20, 200, 20)))
    names = ("Walk/a.avi", "Walk/b.avi", "Walk/plain.avi", "Walk/plainer.avi")
    index = index_of_files(tmp_path, {name: name for name in names})
    assert join_recordings(index)["group"].tolist() == [*names, "g9"]
    assert not caplog.text
