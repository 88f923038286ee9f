import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from actreel.config import ClipSpec
from actreel.dataset import store
from actreel.dataset.records import index_videos
from actreel.dataset.store import StoredClips, extract_clips, write_store
from actreel.errors import DatasetError, FileError, VideoError
from actreel.video.clips import load_clip
from tests.conftest import EditCode, write_fading_dataset

SPEC = ClipSpec(num_frames=2, height=16, width=16)


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    return write_fading_dataset(tmp_path / "videos", groups=3, clips=1)


@pytest.fixture
def index(videos: Path) -> pd.DataFrame:
    return index_videos(videos)


def test_stored_clips_are_what_load_clip_gives(
    index: pd.DataFrame, videos: Path, tmp_path: Path, spec: ClipSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "SHARD_CLIPS", 2)
    extract_clips(index, videos, tmp_path / "clips", spec)
    stored = StoredClips(tmp_path / "clips")
    assert (len(stored), stored.spec) == (6, spec)
    names = index["clip"].tolist()[::-1]
    expected = np.stack([load_clip(videos / name, spec) for name in names])
    np.testing.assert_array_equal(stored.take(names), expected)
    np.testing.assert_array_equal(np.concatenate(list(stored.batches(names, 4))), expected)


def test_memory_does_not_grow_by_what_is_taken(
    index: pd.DataFrame, videos: Path, tmp_path: Path, spec: ClipSpec
) -> None:
    extract_clips(index, videos, tmp_path / "clips", spec)
    stored = StoredClips(tmp_path / "clips")
    stored.take(index["clip"].tolist())
    if (maps := Path("/proc/self/smaps")).exists():
        (_, *mapped) = maps.read_text(encoding="utf-8").split(f"{tmp_path / 'clips'}{os.sep}")
        assert len(mapped) == len(list((tmp_path / "clips").glob("*.npy")))
        assert {int(each.partition("\nRss:")[2].split()[0]) for each in mapped} == {0}


@pytest.mark.parametrize("keep", [True, False])
def test_clips_can_be_sampled_with_other_settings(
    index: pd.DataFrame, videos: Path, tmp_path: Path, spec: ClipSpec, keep: bool
) -> None:
    extract_clips(index, videos, tmp_path / "clips", spec, keep=keep)
    extract_clips(index, videos, tmp_path / "other", SPEC, keep=False)
    stored = StoredClips(tmp_path / "clips", videos)
    assert stored.sampled_as(spec) is stored
    other, names = stored.sampled_as(SPEC), index["clip"].tolist()
    assert (other.spec, stored.spec) == (SPEC, spec)
    assert other.made_with == StoredClips(tmp_path / "other", videos).made_with
    assert other.input_shape == SPEC.shape
    np.testing.assert_array_equal(other.take(names), np.stack([load_clip(videos / name, SPEC) for name in names]))
    assert stored.take(names[:1]).shape[1:] == spec.shape


def test_an_action_s_name_may_be_as_long_as_a_folder_s(
    index: pd.DataFrame, videos: Path, tmp_path: Path, spec: ClipSpec
) -> None:
    long = index.assign(action=index["action"].map({"Brighten": "\u6325" * 85, "Darken": "D" * 255}))
    assert long["action"].notna().all()
    extract_clips(long, videos, tmp_path / "clips", spec)
    assert len(StoredClips(tmp_path / "clips").take(index["clip"].tolist())) == len(index)


def test_frames_that_are_not_kept_are_decoded_when_asked_for(
    index: pd.DataFrame, videos: Path, tmp_path: Path, spec: ClipSpec
) -> None:
    extract_clips(index, videos, tmp_path / "kept", spec)
    extract_clips(index, videos, tmp_path / "named", spec, keep=False)
    assert [file.name for file in (tmp_path / "named").iterdir()] == ["clips.json"]
    kept, named = StoredClips(tmp_path / "kept"), StoredClips(tmp_path / "named", videos)
    assert kept.made_with == named.made_with
    names, mirrored = index["clip"].tolist(), [True, False, False, True, False, True]
    assert sorted(named.clips) == sorted(names)
    np.testing.assert_array_equal(named.take(names, mirrored), kept.take(names, mirrored))
    np.testing.assert_array_equal(named.only(names[:1]).take(names[:1]), kept.take(names[:1]))
    with pytest.raises(KeyError, match=names[1]):
        named.only(names[:1]).take(names[1:2])
    (videos / names[0]).write_bytes(b"gone")
    with pytest.raises(VideoError, match=Path(names[0]).name):
        named.take(names)


def test_a_clip_that_is_taken_costs_no_look_at_all_others(
    index: pd.DataFrame, videos: Path, tmp_path: Path, spec: ClipSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract_clips(index, videos, tmp_path / "named", spec, keep=False)
    named = StoredClips(tmp_path / "named", videos)
    looked: list[Path] = []
    monkeypatch.setattr(store, "is_signal", lambda path: looked.append(path))
    store._any_signal.cache_clear()
    for name in named.clips:
        named.take([name])
    assert len(looked) == len(named.clips)
    assert named.only(named.clips[:1]).has_pictures
    assert len(looked) == len(named.clips) + 1, "another set of clips"


def test_frames_are_kept_or_not_as_the_last_run_says(
    index: pd.DataFrame, videos: Path, tmp_path: Path, spec: ClipSpec
) -> None:
    for keep, files in ((True, 3), (False, 1), (True, 3)):
        extract_clips(index, videos, tmp_path / "clips", spec, keep=keep)
        assert len(list((tmp_path / "clips").iterdir())) == files


def test_a_killed_run_keeps_each_clip_that_was_done(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="killed"):
        store_of_noise(tmp_path, killed_at="Darken/1.avi")
    assert [file.suffix for file in sorted(tmp_path.iterdir())] == [".npy", ".unfinished"]
    assert store_of_noise(tmp_path) == ["Darken/1.avi", "Darken/2.avi"]
    (tmp_path / "whole").mkdir()
    store_of_noise(tmp_path / "whole")
    np.testing.assert_array_equal(StoredClips(tmp_path).take(NAMES), StoredClips(tmp_path / "whole").take(NAMES))


def test_a_second_run_keeps_finished_shards_and_makes_missing_ones(
    index: pd.DataFrame, videos: Path, tmp_path: Path, spec: ClipSpec
) -> None:
    clips = tmp_path / "clips"
    extract_clips(index, videos, clips, spec)
    kept, lost = sorted(clips.glob("*.npy"))
    before, content = kept.stat().st_mtime_ns, lost.read_bytes()
    lost.unlink()
    (clips / f".{lost.name}.part").write_bytes(content[:100])  # what a killed run leaves
    extract_clips(index, videos, clips, spec)
    assert kept.stat().st_mtime_ns == before
    assert lost.read_bytes() == content
    assert len(list(clips.iterdir())) == 3


def test_other_settings_replace_the_store(index: pd.DataFrame, videos: Path, tmp_path: Path, spec: ClipSpec) -> None:
    clips = tmp_path / "clips"
    extract_clips(index, videos, clips, spec)
    old = set(clips.glob("*.npy"))
    extract_clips(index, videos, clips, spec.model_copy(update={"height": 40}))
    new = set(clips.glob("*.npy"))
    assert len(new) == 2
    assert not old & new
    assert StoredClips(clips).take(index["clip"].tolist()[:1]).shape == (1, 8, 40, 32, 3)


def test_frames_made_by_other_code_are_extracted_again(
    index: pd.DataFrame, videos: Path, tmp_path: Path, spec: ClipSpec, edit_code: EditCode
) -> None:
    clips = tmp_path / "clips"
    extract_clips(index, videos, clips, spec)
    old = set(clips.glob("*.npy"))
    edit_code("video/clips.py", "Resizes a decoded frame", "Scales a decoded frame")
    extract_clips(index, videos, clips, spec)
    assert set(clips.glob("*.npy")) == old, "words are no code"
    edit_code("video/clips.py", "cv2.INTER_AREA", "cv2.INTER_CUBIC")
    extract_clips(index, videos, clips, spec)
    new = set(clips.glob("*.npy"))
    assert len(new) == len(old)
    assert not new & old


def test_changed_content_is_extracted_again(index: pd.DataFrame, videos: Path, tmp_path: Path, spec: ClipSpec) -> None:
    extract_clips(index, videos, tmp_path / "clips", spec)
    names = [index.loc[index["action"] == action, "clip"].iloc[0] for action in ("Brighten", "Darken")]
    (videos / names[0]).write_bytes((videos / names[1]).read_bytes())
    extract_clips(index_videos(videos), videos, tmp_path / "clips", spec)
    stored = StoredClips(tmp_path / "clips").take(names)
    np.testing.assert_array_equal(stored[0], stored[1])


def test_a_clip_that_breaks_is_named(index: pd.DataFrame, videos: Path, tmp_path: Path, spec: ClipSpec) -> None:
    (videos / index["clip"][4]).write_bytes(b"gone")
    with pytest.raises(VideoError, match=Path(index["clip"][4]).name):
        extract_clips(index, videos, tmp_path / "clips", spec)


def test_nothing_to_extract_is_an_error(index: pd.DataFrame, tmp_path: Path, spec: ClipSpec) -> None:
    with pytest.raises(DatasetError, match="at least 1 clip"):
        extract_clips(index.iloc[:0], tmp_path, tmp_path / "clips", spec)


def test_a_folder_without_a_store_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"clips\.json' is missing.*dvc repro extract"):
        StoredClips(tmp_path)


NAMES = [f"{action}/{number}.avi" for action in ("Brighten", "Darken") for number in range(3)]


def store_of_noise(folder: Path, killed_at: str | None = None) -> list[str]:
    """Brings a store of two shards up to date; returns the clips that were made for it."""
    made: list[str] = []

    def make(names: Sequence[str]) -> Iterator[NDArray[np.uint8]]:
        for name in names:
            if name == killed_at:
                raise RuntimeError("killed")
            made.append(name)
            yield np.random.default_rng(NAMES.index(name)).integers(0, 255, SPEC.shape, np.uint8)

    index = pd.DataFrame({"clip": NAMES, "action": [Path(name).parts[0] for name in NAMES], "sha256": NAMES})
    write_store(index, folder, {"clip": SPEC.model_dump()}, make)
    return made


def cut_off(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def overwrite(file: Path) -> None:
    with file.open("r+b") as stream:
        stream.seek(-500, os.SEEK_END)
        stream.write(b"damaged!")


def empty(file: Path) -> None:
    os.truncate(file, 0)


@pytest.mark.parametrize(
    ("damage", "interrupted"), [(cut_off, False), (overwrite, False), (empty, False), (cut_off, True), (empty, True)]
)
def test_a_damaged_shard_is_made_again_and_the_other_is_kept(
    tmp_path: Path, damage: Callable[[Path], None], interrupted: bool, caplog: pytest.LogCaptureFixture
) -> None:
    assert store_of_noise(tmp_path) == NAMES
    kept, damaged = sorted(tmp_path.glob("*.npy"))
    before, content = kept.stat().st_mtime_ns, damaged.read_bytes()
    damage(damaged)
    if interrupted:  # the manifest comes last
        (tmp_path / "clips.json").unlink()
    assert store_of_noise(tmp_path) == NAMES[3:]
    assert damaged.read_bytes() == content
    assert kept.stat().st_mtime_ns == before
    assert f"'{damaged}' is damaged and is made again" in caplog.text
    assert store_of_noise(tmp_path) == []


@pytest.mark.parametrize("damage", [cut_off, empty, Path.unlink])
@pytest.mark.parametrize("name", ["*.npy", "clips.json"])
def test_a_damaged_store_is_named_where_it_is_read_and_made_good_where_it_is_written(
    tmp_path: Path, damage: Callable[[Path], None], name: str
) -> None:
    store_of_noise(tmp_path)
    expected = StoredClips(tmp_path).take(NAMES)
    damaged = min(tmp_path.glob(name))
    damage(damaged)
    state = "is missing" if damage is Path.unlink else "is damaged or was not written completely"
    with pytest.raises(FileError, match=rf"{damaged.name}' {state}.*dvc repro extract"):
        StoredClips(tmp_path)
    store_of_noise(tmp_path)
    np.testing.assert_array_equal(StoredClips(tmp_path).take(NAMES), expected)
