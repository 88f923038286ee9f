"""Signals: what is taken from a file, and what is refused in words."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from actreel.config import ClipSpec, SignalSpec, TrackSpec
from actreel.errors import SignalError, VideoLimitError
from actreel.video import signals
from actreel.video.clips import load_clip
from actreel.video.decode import decode_passes
from actreel.video.info import VideoLimits
from actreel.video.signals import describe_signal, need_signal, read_signal, signal_beside, signal_parts
from actreel.video.tracks import load_track

SPEC = SignalSpec(columns=("a", "b"), samples=2)


def csv(folder: Path, text: str) -> Path:
    (folder / "clip.csv").write_text(text, encoding="utf-8")
    return folder / "clip.avi"


def npz(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "clip.npz", **arrays)
    return folder / "clip.npz"


def test_each_kind_of_file_holds_the_same(tmp_path: Path) -> None:
    times, values = np.array([0, 0.5, 1.0]), np.array([[1.0, 2], [3, 4], [5, 6]])
    csv(tmp_path, "\ufefftime,a,b\r\n0,1,2\r\n0.5,3,4\r\n1,5,6\r\n")
    npz(tmp_path, time=times, values=values, columns=["a", "b"])
    parquet.write_table(pa.table({"a": values[:, 0], "time": times, "b": values[:, 1]}), tmp_path / "clip.parquet")
    for ending in (".csv", ".npz", ".parquet"):
        found = read_signal(tmp_path / f"clip{ending}")
        np.testing.assert_array_equal(found.times, times)
        np.testing.assert_array_equal(found.values, values)
        assert found.columns == ("a", "b")
    assert signal_beside(tmp_path / "clip.avi") == tmp_path / "clip.csv"
    assert signal_beside(tmp_path / "other.avi") is None
    with pytest.raises(SignalError, match=r"needs the signals beside a video: 'other\.csv'"):
        need_signal(tmp_path / "other.avi")


def test_parts_are_means_of_the_line_through_the_samples_whatever_their_rate(tmp_path: Path) -> None:
    expected = [[0.125, 1, 0.375, 1], [0.625, 1, 0.875, 1]]
    for rate in (2, 7, 1000):
        rows = (f"{time:.9f},{time:.9f},1" for time in np.linspace(0, 1, rate))
        video = csv(tmp_path, "time,a,b\n" + "\n".join(rows))
        np.testing.assert_allclose(list(signal_parts(video, SPEC, 1.0, 2)), expected, atol=1e-6)


def test_columns_are_taken_by_name_and_ends_go_on_level(tmp_path: Path) -> None:
    video = csv(tmp_path, "b,c,time,a\n7,0,1,3\n7,0,1.5,3\n9,0,2,5\n")
    parts = np.stack(list(signal_parts(video, SignalSpec(columns=("a", "b"), samples=1), 4.0, 4)))
    np.testing.assert_allclose(parts[[0, 3]], [[3, 7], [5, 9]])


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "must have a column 'time'"),
        ("a,b\n1,2\n3,4\n", r"must have a column 'time' .*Received: 2 columns \(a, b\)"),
        ("time\n1\n2\n", "1 to 64 others"),
        ("time,a,a\n0,1,2\n1,1,2\n", "of different names"),
        ("time," + ",".join(map(str, range(65))) + "\n", "Received: 66 columns"),
        ("time,a\n0,1\n", "Received: 1 rows"),
        ("time,a\n0,1\n1,2,3\n", "must be a table of numbers as .csv"),
        ("time,a\n0,1\n1,x\n", "could not convert string 'x'"),
        ("time,a\n0,1\n1,nan\n", "finite numbers. Received: none in row 2"),
        ("time,a\n0,1\ninf,1\n", "finite numbers. Received: none in row 2"),
        ("time,a\n0,1\n2,1\n1,1\n", "must not go backwards. Received: 1 s after 2 s, in row 3"),
    ],
)
def test_a_table_that_cannot_be_is_refused(tmp_path: Path, text: str, rule: str) -> None:
    csv(tmp_path, text)
    with pytest.raises(SignalError, match=rule):
        read_signal(tmp_path / "clip.csv")


def test_signals_of_another_time_or_other_sensors_are_refused(tmp_path: Path) -> None:
    video = csv(tmp_path, "time,a,b\n1700000000,1,1\n1700000001,1,1\n")
    with pytest.raises(SignalError, match=r"0 to 2\. Received: 1\.7e\+09 to 1\.7e\+09"):
        list(signal_parts(video, SPEC, 2.0, 4))
    with pytest.raises(SignalError, match=r"learned from: z, a\. Received: none called z"):
        list(signal_parts(video, SignalSpec(columns=("z", "a")), 2.0, 4))


def test_large_files_are_refused_before_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("values.npy", bytes(129 * 2**20))
    (tmp_path / "bomb.npz").write_bytes(bomb.getvalue())
    with pytest.raises(SignalError, match="at most 16777216 numbers"):
        read_signal(tmp_path / "bomb.npz")
    many = {name: pa.array(np.zeros(2**20)) for name in ("time", *map(str, range(16)))}
    parquet.write_table(pa.table(many), tmp_path / "bomb.parquet", compression="zstd")
    with pytest.raises(SignalError, match="at most 16777216 numbers"):
        read_signal(tmp_path / "bomb.parquet")
    csv(tmp_path, "time,a\n0,1\n1,1\n2,1\n")
    monkeypatch.setattr(signals, "MOST_ROWS", 2)
    with pytest.raises(SignalError, match="2 to 2 rows"):
        read_signal(tmp_path / "clip.csv")
    monkeypatch.setattr(signals, "MOST_BYTES", 10)
    with pytest.raises(SignalError, match="Lower their rate"):
        read_signal(tmp_path / "clip.csv")


@pytest.mark.parametrize(
    "arrays",
    [
        {"time": [0, 1], "values": [[1], [2]]},
        {"time": [0, 1], "values": np.array([[1], [{}]], dtype=object), "columns": ["a"]},
        {"time": [0, 1, 2], "values": [[1], [2]], "columns": ["a"]},
        {"time": [0, 1], "values": [[1], [2]], "columns": ["a", "b"]},
    ],
)
def test_arrays_that_do_not_fit_or_hold_objects_are_refused(tmp_path: Path, arrays: dict[str, Any]) -> None:
    with pytest.raises(SignalError, match="Signals must"):
        read_signal(npz(tmp_path, **arrays))


@pytest.mark.parametrize("ending", [".csv", ".npz", ".parquet"])
def test_noise_is_refused(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"clip{ending}").write_bytes(np.random.default_rng(0).bytes(3000))
    with pytest.raises(SignalError, match="Signals must"):
        read_signal(tmp_path / f"clip{ending}")


def test_signals_alone_last_from_their_first_to_their_last_sample(tmp_path: Path) -> None:
    csv(tmp_path, "time,a,b\n100,0,1\n100.5,1,1\n102,4,1\n")
    clip = tmp_path / "clip.csv"
    info = describe_signal(clip)
    assert (info.duration_s, info.num_frames, info.fps) == (2, 3, 1)
    assert (info.width, info.height, info.codec) == (0, 0, "csv")
    assert need_signal(clip) == clip
    assert signal_beside(clip) is None
    expected = [[0.5, 1, 1.5, 1], [2.5, 1, 3.5, 1]]
    np.testing.assert_allclose(list(signal_parts(clip, SPEC, info.duration_s, 2)), expected)
    np.testing.assert_allclose(load_track(clip, TrackSpec(signals=SPEC), 2), expected)
    csv(tmp_path, "time,a,b\n100,0,1\n100,1,1\n")
    with pytest.raises(SignalError, match=r"must last longer than 0 s\. Received: all samples at 100 s"):
        describe_signal(clip)


def test_nobody_takes_signals_for_pictures(tmp_path: Path) -> None:
    csv(tmp_path, "time,a,b\n0,0,1\n3,1,1\n")
    clip = tmp_path / "clip.csv"
    with pytest.raises(SignalError, match=r"'clip\.csv' holds signals, and here pictures are needed"):
        load_clip(clip, ClipSpec(num_frames=2, height=16, width=16))
    with pytest.raises(VideoLimitError, match=r"at most 2 s\. Received: 3 s"):
        next(decode_passes(clip, VideoLimits(max_pixels=1, max_frames=1, max_duration_s=2)))
