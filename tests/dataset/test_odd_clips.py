"""Odd clips, as real files, on their way into the index: each is described as it is, or named with what to do."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from actreel.config import ClipSpec
from actreel.dataset import records
from actreel.dataset.records import index_videos
from actreel.dataset.sources import adopt_folder
from actreel.errors import DatasetError
from actreel.video.clips import load_clip, load_clip_and_info
from actreel.video.decode import probe
from tests.conftest import grey_frames, write_video_file
from tests.dataset.containers import claim_frames, show_frames_at, show_frames_for, turn

LEVELS = range(0, 240, 8)


def noise(num_frames: int = 30) -> list[NDArray[np.uint8]]:
    """Frames that compress badly: each is found at its share of the file."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(num_frames)]


@pytest.mark.parametrize(
    ("ending", "codec"), [("avi", "XVID"), ("mp4", "mp4v"), ("mov", "mp4v"), ("mkv", "MJPG"), ("webm", "VP80")]
)
def test_every_container_is_read(tmp_path: Path, ending: str, codec: str) -> None:
    info = probe(write_video_file(tmp_path / f"clip.{ending}", grey_frames(LEVELS), codec=codec))
    assert (info.num_frames, info.fps, info.width, info.height, info.duration_s) == (30, 25, 64, 48, 1.2)


@pytest.mark.parametrize("claimed", [0, 5, 900])
def test_frames_that_decode_are_counted_not_those_that_are_claimed(tmp_path: Path, claimed: int) -> None:
    clip = claim_frames(write_video_file(tmp_path / "clip.avi", grey_frames(LEVELS)), claimed)
    info = probe(clip)
    assert (info.num_frames, info.header_frames, info.duration_s) == (30, claimed, 1.2)
    spec = ClipSpec(num_frames=3, height=32, width=32)
    assert load_clip(clip, spec).mean(axis=(1, 2, 3)) == pytest.approx([40, 120, 200], abs=4)


@pytest.mark.parametrize(("ending", "codec"), [("avi", "MJPG"), ("mkv", "MJPG")])
def test_a_cut_off_clip_has_the_frames_that_are_left(tmp_path: Path, ending: str, codec: str) -> None:
    clip = write_video_file(tmp_path / f"clip.{ending}", noise(), codec=codec)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    info = probe(clip)
    assert 10 <= info.num_frames <= 16
    assert info.header_frames == 30


@pytest.mark.parametrize(
    ("degrees", "size", "bright"), [(90, (48, 64), (0, 1)), (180, (64, 48), (1, 1)), (270, (48, 64), (1, 0))]
)
def test_a_turned_clip_is_seen_upright(
    tmp_path: Path, degrees: int, size: tuple[int, int], bright: tuple[int, int]
) -> None:
    frame = np.zeros((48, 64, 3), dtype=np.uint8)
    frame[:24, :32] = 255  # top left, before turning
    clip = turn(write_video_file(tmp_path / "clip.mp4", [frame] * 5, codec="mp4v"), degrees)
    info = probe(clip)
    assert (info.width, info.height) == size
    (picture,) = load_clip(clip, ClipSpec(num_frames=1, height=32, width=32))
    quarters = picture[..., 0].reshape(2, 16, 2, 16).mean(axis=(1, 3))
    assert np.unravel_index(quarters.argmax(), (2, 2)) == bright
    assert np.sort(quarters.ravel())[-2] < 50 < 200 < quarters.max()


def test_a_variable_frame_rate_gives_its_mean_and_the_true_duration(tmp_path: Path) -> None:
    durations = [40] * 20 + [200] * 10
    mp4 = show_frames_for(write_video_file(tmp_path / "a.mp4", noise(), codec="mp4v"), durations)
    times = np.cumsum([0, *durations[:-1]]).tolist()
    webm = show_frames_at(write_video_file(tmp_path / "a.webm", noise(), codec="VP80"), times)
    spec = ClipSpec(num_frames=4, height=32, width=32)
    for clip in (mp4, webm):
        info = probe(clip)
        assert info.num_frames == 30
        assert info.duration_s == pytest.approx(2.8, rel=0.06)  # how long the last frame is shown may be untold
        assert info.fps == pytest.approx(30 / 2.8, rel=0.06)
        assert load_clip_and_info(clip, spec)[1] == info


def test_a_clip_of_one_frame_and_a_portrait_one_are_clips(tmp_path: Path) -> None:
    one = write_video_file(tmp_path / "one.avi", grey_frames([80]))
    assert (probe(one).num_frames, probe(one).duration_s) == (1, 0.04)
    spec = ClipSpec(num_frames=4, height=32, width=32)
    assert load_clip(one, spec).shape == (4, 32, 32, 3)
    portrait = probe(write_video_file(tmp_path / "portrait.mp4", grey_frames(LEVELS, 96, 32), codec="mp4v"))
    assert (portrait.width, portrait.height) == (32, 96)


def write_folder(folder: Path) -> Path:
    for action, level in {"Wave": 0, "Clap": 100}.items():
        for group in (1, 2):
            write_video_file(folder / action / f"v_{action}_g0{group}_c01.avi", grey_frames([level, level + group]))
    return folder


def test_names_in_any_script_and_nested_folders_keep_to_the_index(tmp_path: Path) -> None:
    names = ["Wave/day 2/ä b (1).mp4", "Wave/日本/動画.avi", "Clap/🙂/v_Clap_g03_c01.avi", "Clap/it's 100%.avi"]
    for place, name in enumerate(names):
        codec = "mp4v" if name.endswith("mp4") else "MJPG"
        write_video_file(tmp_path / "source" / name, grey_frames([place, 100 + place]), codec=codec)
    adopt_folder(tmp_path / "source", tmp_path / "videos")
    index = index_videos(tmp_path / "videos").set_index("clip")
    assert sorted(index.index) == sorted(names)
    assert (index["error"] == "").all()
    assert index.loc[names[2], "group"] == "g03"
    assert index.loc[names[0], "action"] == "Wave"


def test_a_repeated_clip_is_kept_once_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    videos = write_folder(tmp_path)
    first = videos / "Wave" / "v_Wave_g01_c01.avi"
    for name in ("v_Wave_g01_c02.avi", "v_Wave_g02_c07.avi"):
        (videos / "Wave" / name).write_bytes(first.read_bytes())
    index = index_videos(videos)
    assert [clip for clip in index["clip"] if clip.startswith("Wave/")] == [
        "Wave/v_Wave_g01_c01.avi",
        "Wave/v_Wave_g02_c01.avi",
    ]
    assert index.index.tolist() == list(range(len(index)))
    assert "2 clips duplicate another clip of their action and are ignored" in caplog.text
    assert "'Wave/v_Wave_g02_c07.avi' is a copy of 'Wave/v_Wave_g01_c01.avi'" in caplog.text


def test_a_clip_repeated_in_another_action_is_left_to_the_gate(tmp_path: Path) -> None:
    videos = write_folder(tmp_path)
    content = (videos / "Wave" / "v_Wave_g01_c01.avi").read_bytes()
    (videos / "Clap" / "v_Clap_g05_c01.avi").write_bytes(content)
    assert index_videos(videos)["sha256"].duplicated().sum() == 1


def test_two_unreadable_clips_are_both_named_though_they_are_alike(tmp_path: Path) -> None:
    videos = write_folder(tmp_path)
    for name in ("v_Wave_g03_c01.avi", "v_Wave_g04_c01.avi"):
        (videos / "Wave" / name).write_bytes(b"")
    broken = index_videos(videos).query("error != ''")
    assert len(broken) == 2
    for row in broken.itertuples():
        assert row.clip in row.error
        assert "Replace or remove it." in row.error


def _crash_on_some(videos: Path, clip: Path) -> dict[str, object]:
    import ctypes

    if clip.name == "v_Wave_g02_c01.avi":
        ctypes.string_at(0)  # a real segmentation fault, as a decoder's
    return records._index_clip(videos, clip)


def test_a_clip_that_crashes_the_decoder_is_a_row_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index_clip = records.map_clips

    def with_crash(function: object, *args: object, **settings: object) -> object:
        return index_clip(partial(_crash_on_some, tmp_path), *args, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(records, "map_clips", with_crash)
    index = index_videos(write_folder(tmp_path)).set_index("clip")
    assert (
        "v_Wave_g02_c01.avi', which crashes the decoder. Replace or remove it."
        in index.loc["Wave/v_Wave_g02_c01.avi", "error"]
    )
    assert (index["error"] == "").sum() == 3
    assert len(index.loc["Wave/v_Wave_g02_c01.avi", "sha256"]) == 64


def test_groups_reach_the_index(tmp_path: Path) -> None:
    videos = write_folder(tmp_path)
    assert index_videos(videos, group_pattern=r"_(?P<group>c\d+)\.")["group"].tolist() == ["c01"] * 4
    (videos / "groups.csv").write_text("clip,group\nWave/v_Wave_g02_c01.avi,Anna\n", encoding="utf-8")
    assert index_videos(videos)["group"].tolist() == ["g01", "g02", "g01", "Anna"]
    (videos / "groups.csv").write_text("clip\n", encoding="utf-8")
    with pytest.raises(DatasetError, match="columns clip,group"):
        index_videos(videos)
