from __future__ import annotations

import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from actreel.base.atomic import temporary_name
from actreel.base.places import UNKNOWN
from actreel.dataset.demo import ACTIONS, film, render_demo
from actreel.dataset.demo.render import Take, _render
from actreel.dataset.records import find_clips
from actreel.errors import DatasetError
from tests.dataset.demo.conftest import GROUPS, read


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_names_are_ucf50s(rendered: Path) -> None:
    folders = [(action, action) for action in ACTIONS] + [(UNKNOWN, "Unknown")]
    expected = [f"{folder}/v_{name}_g{group:02}_c01.avi" for folder, name in folders for group in range(1, GROUPS + 1)]
    returned = render_demo(rendered, num_groups=GROUPS, clips_per_group=1)
    assert [path.relative_to(rendered).as_posix() for path in returned] == expected
    assert [clip.as_posix() for clip in find_clips(rendered)] == sorted(expected)
    assert sorted(contents(rendered)) == sorted(expected)


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
    _render(Take(other, "Wave", 0, 0), seed=1)
    assert other.read_bytes() != clips["Wave/v_Wave_g01_c01.avi"]


def test_a_clip_that_is_there_is_left_alone(rendered: Path, tmp_path: Path) -> None:
    for name, content in contents(rendered).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    kept, lost = tmp_path / "Wave/v_Wave_g01_c01.avi", tmp_path / "Kick/v_Kick_g02_c01.avi"
    kept.write_bytes(b"kept")
    lost.unlink()
    temporary_name(lost).write_bytes(b"half a clip that a killed run left")
    render_demo(tmp_path, num_groups=GROUPS, clips_per_group=1)
    assert contents(tmp_path) == contents(rendered) | {"Wave/v_Wave_g01_c01.avi": b"kept"}


# Python imports a file of this name at its start. The worker that finishes a clip first kills all of them.
KILLS = """
import os, pathlib, signal
replace = pathlib.Path.replace

def once(self, target):
    replace(self, target)
    if str(target).endswith(".avi"):
        os.killpg(0, signal.SIGKILL)

pathlib.Path.replace = once
"""


def test_a_killed_run_leaves_only_whole_clips(rendered: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(KILLS, encoding="utf-8")
    target = tmp_path / "clips"
    call = f"render_demo(Path({os.fspath(target)!r}), num_groups={GROUPS}, clips_per_group=1, workers=2)"
    script = f"from pathlib import Path; from actreel.dataset.demo import render_demo; {call}"
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    # In a session of its own, so that nothing else is killed.
    killed = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": path}, start_new_session=True
    )
    assert killed.returncode == -signal.SIGKILL
    whole, clips = contents(rendered), find_clips(target)
    assert 1 <= len(clips) < len(whole)
    assert all((target / clip).read_bytes() == whole[clip.as_posix()] for clip in clips)


def test_a_clip_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(film, "_draw_figure", fail)
    with pytest.raises(KeyboardInterrupt):
        _render(Take(tmp_path / "v_Wave_g01_c01.avi", "Wave", 0, 0), seed=0)
    assert list(tmp_path.iterdir()) == []


def test_clips_of_no_action_show_several_scenes(rendered: Path) -> None:
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


def test_a_target_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match=r"target must be a folder .* Received: '.*file'"):
        render_demo(tmp_path / "file")


@pytest.mark.parametrize("folder", ["file", "/proc/self"])  # not a folder, and one that even root cannot write to
def test_a_folder_that_cannot_be_written_to(folder: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match="folder of a clip must be writable"):
        _render(Take(tmp_path / folder / "v_Wave_g01_c01.avi", "Wave", 0, 0), seed=0)
