"""A folder whose action depends on the room alone: a leaky split is right, and a grouped one guesses."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from actreel.cli import main
from actreel.models import PRETRAINED
from actreel.quiet_keras import keras
from tests.conftest import ROOT
from tests.dataset.grouping.rooms import write_rooms


def upper_edge(frames: Any, weights: str) -> Any:
    """Stands in for a pretrained encoder: it sees the room's wall, which nobody hides there."""
    layers = keras.layers
    edge = layers.Cropping2D(((0, 14), (0, 0)))(layers.Rescaling(1 / 255)(frames))
    return layers.Flatten()(layers.AveragePooling2D(2)(edge))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_a_split_leaks_is_told_beside_a_grouped_one(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRETRAINED, "efficientnet_lite0", upper_edge)
    lists: dict[str, list[str]] = {"train": [], "test": []}
    for number, (clip, room) in enumerate(write_rooms(project / "films", rooms=6).items()):
        target = project / "clips" / "AB"[room % 2] / f"v_x_g{room:02}_c{number:02}.avi"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(project / "films" / clip, target)
        lists["test" if number % 4 == 0 else "train"].append(f"{target.parent.name}/{target.name}")
    shutil.copy(project / "clips" / lists["test"][0], project / "clips" / "A" / "v_x_g00_c99.avi")
    lists["train"].append("A/v_x_g00_c99.avi")
    for name, clips in lists.items():
        (project / f"{name}.txt").write_text("\n".join(clips), encoding="utf-8")
    small = ["--set", "clip.height=16", "--set", "clip.width=16", "--set", "clip.num_frames=2"]
    main(["audit", "clips", "--train-list", "train.txt", "--test-list", "test.txt", "--json", *small])
    result = json.loads(capsys.readouterr().out)
    assert result["split"] == "lists"
    assert (result["test_clips"], result["with_group_in_training"]) == (6, 6)
    assert [(twin["test_clip"], twin["training_clip"]) for twin in result["twins"]] == [
        (lists["test"][0], "A/v_x_g00_c99.avi")
    ]
    assert result["split_accuracy"] == 1
    assert result["group_accuracy"] < 1
    assert result["difference"] == pytest.approx(result["split_accuracy"] - result["group_accuracy"])
    assert result["difference_low"] <= result["difference"] <= result["difference_high"]
