"""Tracks: training and serving take the same from a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from actreel.config import ClipSpec, SoundSpec, TrackSpec
from actreel.errors import VideoError
from actreel.inference.windows import window_passes
from actreel.video.clips import load_clip
from actreel.video.tracks import load_track
from tests.conftest import grey_frames, halve_frame_count, write_video_file
from tests.sounds import tone, write_sounding

TRACK = TrackSpec(sound=SoundSpec())


def test_a_short_video_has_the_track_of_a_training_clip(tmp_path: Path, spec: ClipSpec) -> None:
    sounds = np.concatenate([tone(hertz, 0.2) for hertz in (300, 600, 1200, 2400, 4800)])
    film = write_sounding(tmp_path / "film.avi", grey_frames(range(100, 125)), sounds)
    for decoding in window_passes(film, spec, 1.0, track=TRACK):
        frames, tracks = zip(*decoding.batches(3), strict=True)
    assert [len(each) for each in tracks] == [len(each) for each in frames]
    np.testing.assert_array_equal(np.concatenate(frames), load_clip(film, spec))
    np.testing.assert_array_equal(np.concatenate(tracks), load_track(film, TRACK, spec.num_frames))


def test_a_container_that_lies_about_its_length_has_the_same_track_in_both(tmp_path: Path, spec: ClipSpec) -> None:
    film = write_video_file(tmp_path / "film.avi", grey_frames(range(120)))
    halve_frame_count(film)
    taken = []
    for decoding in window_passes(film, spec, None, track=TRACK):
        taken = [track for _, track in decoding.batches(spec.num_frames)]
    assert decoding.info.num_frames == 120
    np.testing.assert_array_equal(taken, [load_track(film, TRACK, spec.num_frames)])


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="must be a file"):
        load_track(tmp_path / "none.avi", TRACK, 4)
