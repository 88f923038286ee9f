from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from actreel.dataset import demo
from actreel.dataset.demo import (
    ACTIONS,
    MOTIONS,
    ORDERED_PAIRS,
    UNKNOWN_MOTIONS,
    Take,
    draw_frames,
    draw_group,
    play,
    render_demo,
)
from actreel.dataset.records import UNKNOWN, find_clips
from actreel.errors import DatasetError
from actreel.video.opencv import cv2

GROUPS = 3


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("demo")
    render_demo(target, num_groups=GROUPS, clips_per_group=1, workers=2)
    return target


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read(path: Path) -> tuple[NDArray[np.uint8], float]:
    capture = cv2.VideoCapture(os.fspath(path))
    frames = []
    while (answer := capture.read())[0]:
        frames.append(answer[1])
    return np.stack(frames), capture.get(cv2.CAP_PROP_FPS)


def test_names_are_ucf50s(rendered: Path) -> None:
    folders = [(action, action) for action in ACTIONS] + [(UNKNOWN, "Unknown")]
    expected = [f"{folder}/v_{name}_g{group:02}_c01.avi" for folder, name in folders for group in range(1, GROUPS + 1)]
    returned = render_demo(rendered, num_groups=GROUPS, clips_per_group=1)
    assert [path.relative_to(rendered).as_posix() for path in returned] == expected
    assert [clip.as_posix() for clip in find_clips(rendered)] == sorted(expected)
    assert sorted(contents(rendered)) == sorted(expected)


def test_pairs_are_of_actions() -> None:
    paired = [action for pair in ORDERED_PAIRS for action in pair]
    assert len(set(paired)) == len(paired) == 4
    assert {*paired} < {*ACTIONS}
    assert UNKNOWN not in ACTIONS


def test_clips_are_videos(rendered: Path) -> None:
    for path in rendered.rglob("*_g01_*.avi"):
        frames, fps = read(path)
        assert frames.shape[1:] == (120, 160, 3)
        assert 30 <= len(frames) <= 50
        assert 15 <= fps <= 25
        # Something moves, and no two frames are the same: shake and noise.
        assert all((first != second).any() for first, second in pairwise(frames))


def test_bytes_do_not_depend_on_the_number_of_workers(rendered: Path, tmp_path: Path) -> None:
    render_demo(tmp_path, num_groups=GROUPS, clips_per_group=1, workers=1)
    assert contents(tmp_path) == contents(rendered)


def test_every_clip_and_every_seed_differs(rendered: Path, tmp_path: Path) -> None:
    clips = contents(rendered)
    assert len(set(clips.values())) == len(clips)
    other = tmp_path / "other.avi"
    demo._render(Take(other, "Wave", 0, 0), seed=1)
    assert other.read_bytes() != clips["Wave/v_Wave_g01_c01.avi"]


def test_a_clip_that_is_there_is_left_alone(rendered: Path, tmp_path: Path) -> None:
    for name, content in contents(rendered).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    kept, lost = tmp_path / "Wave/v_Wave_g01_c01.avi", tmp_path / "Kick/v_Kick_g02_c01.avi"
    kept.write_bytes(b"kept")
    lost.unlink()
    lost.with_name(f".{lost.name}").write_bytes(b"half a clip that a killed run left")
    render_demo(tmp_path, num_groups=GROUPS, clips_per_group=1)
    assert contents(tmp_path) == contents(rendered) | {"Wave/v_Wave_g01_c01.avi": b"kept"}


def test_a_killed_run_leaves_only_whole_clips(rendered: Path, tmp_path: Path) -> None:
    call = f"render_demo(Path({os.fspath(tmp_path)!r}), num_groups={GROUPS}, clips_per_group=1, workers=2)"
    script = f"from pathlib import Path; from actreel.dataset.demo import render_demo; {call}"
    # In a session of its own, so that the workers are killed with it.
    process = subprocess.Popen([sys.executable, "-c", script], start_new_session=True, stderr=subprocess.DEVNULL)
    while not find_clips(tmp_path) and process.poll() is None:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    whole = contents(rendered)
    clips = find_clips(tmp_path)
    assert 0 < len(clips) < len(whole)
    assert all((tmp_path / clip).read_bytes() == whole[clip.as_posix()] for clip in clips)


def test_a_clip_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "_draw_figure", fail)
    with pytest.raises(KeyboardInterrupt):
        demo._render(Take(tmp_path / "v_Wave_g01_c01.avi", "Wave", 0, 0), seed=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("first", "second"), ORDERED_PAIRS)
def test_of_a_pair_one_is_the_other_in_reverse(first: str, second: str) -> None:
    assert replace(MOTIONS[second], backward=False) == MOTIONS[first]
    group = draw_group(np.random.default_rng(1), mirrored=False)
    forward, backward = (play(MOTIONS[action], group, np.random.default_rng(2), 40) for action in (first, second))
    assert not np.array_equal(forward, backward)
    np.testing.assert_array_equal(backward, forward[::-1])


@pytest.mark.parametrize(("first", "second"), ORDERED_PAIRS)
def test_a_pair_differs_in_order_and_in_nothing_else(first: str, second: str) -> None:
    """Whoever sees all frames of a clip, but not their order, must guess; the order tells."""
    group = draw_group(np.random.default_rng(1), mirrored=False)
    blind, ordered = [], []
    for action in (first, second):
        rng = np.random.default_rng(3)  # the same takes of both, as far as the order goes
        for _ in range(16):
            frames = np.stack([cv2.resize(frame, (16, 12)) for frame in draw_frames(MOTIONS[action], group, rng)])
            half = len(frames) // 2
            blind.append(np.concatenate((frames.mean(axis=0), frames.std(axis=0))).ravel())
            ordered.append((frames[half:].mean(axis=0) - frames[:half].mean(axis=0)).ravel())
    assert guessed_right(np.stack(blind)) <= 0.7
    assert guessed_right(np.stack(ordered)) == 1


def guessed_right(features: NDArray[np.float64]) -> float:
    """Share of clips whose half of the rows is told by the nearest mean of the other clips."""
    labels = np.repeat((0, 1), len(features) // 2)
    right = 0
    for row, label in enumerate(labels):
        others = np.arange(len(features)) != row
        means = [features[others & (labels == side)].mean(axis=0) for side in (0, 1)]
        right += int(np.argmin([np.linalg.norm(features[row] - mean) for mean in means]) == label)
    return right / len(features)


def test_a_group_is_one_place_and_groups_differ(rendered: Path) -> None:
    walls, rates = {}, {}
    for action in ("Wave", "PushUps"):
        for group in range(1, GROUPS + 1):
            frames, rates[action, group] = read(rendered / action / f"v_{action}_g{group:02}_c01.avi")
            walls[action, group] = np.median(frames[:, :12], axis=(0, 1, 2))  # the colour above all heads
    for group in range(1, GROUPS + 1):
        assert rates["Wave", group] == rates["PushUps", group]
        assert np.abs(walls["Wave", group] - walls["PushUps", group]).max() <= 3
    assert len(set(rates.values())) > 1
    for group, other in ((1, 2), (2, 3), (1, 3)):
        assert np.abs(walls["Wave", group] - walls["Wave", other]).max() > 3


def test_of_no_action_are_several_scenes_even_with_few_clips(rendered: Path) -> None:
    assert UNKNOWN_MOTIONS.count(None) == 1
    assert not {*UNKNOWN_MOTIONS} & {*MOTIONS.values()}
    moved = [read(path)[0].std(axis=0).mean() for path in sorted((rendered / UNKNOWN).iterdir())]
    assert max(moved) > 1.3 * min(moved)  # one walks, one stands


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_groups": 2}, "num_groups must be at least 3. Received: 2."),
        ({"clips_per_group": 0}, "clips_per_group must be at least 1. Received: 0."),
        ({"seed": -1}, "seed must be at least 0. Received: -1."),
        ({"workers": 0}, "workers must be at least 1. Received: 0."),
    ],
)
def test_arguments_out_of_range(arguments: dict[str, int], message: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=f"^{message}$"):
        render_demo(tmp_path / "demo", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_target_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match=r"target must be a folder .* Received: '.*file'"):
        render_demo(tmp_path / "file")


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="folder must be writable"):
        demo._render(Take(tmp_path / "missing" / "v_Wave_g01_c01.avi", "Wave", 0, 0), seed=0)
