"""A workspace whose champion knows Brighten and Darken, and clips of an action that it does not know."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml

from actreel.base.places import CLIPS, FEATURES, INDEX, MODEL, VIDEOS
from actreel.config import ClipSpec, ModelParams, load_params
from actreel.dataset.records import data_version, index_videos, write_index
from actreel.dataset.splits import assign_splits
from actreel.inference.manifest import Provenance
from actreel.inference.model_folder import ModelFolder
from actreel.tracking import registry, runs
from tests.conftest import ROOT, fading_frames, train_params, write_video_file
from tests.training.folders import train_folder
from tests.training.onnx_files.files import image_encoder

SPEC = ClipSpec(num_frames=8, height=12, width=16)
NAME = "actreel-fading"


@dataclass(frozen=True)
class Workspace:
    """A project folder, which is the current one.

    Attributes:
        root: The folder.
        still: A dataset folder with clips of `Still`, of four groups, and of `_unknown`.
    """

    root: Path
    still: Path

    @property
    def champion(self) -> ModelFolder:
        """The champion's files, in the workspace."""
        return ModelFolder(self.root / MODEL)


def write_still(folder: Path, groups: tuple[int, ...] = (2, 21, 22, 23)) -> Path:
    """Pictures whose light stays as it is: `Still`; and light that comes and goes: `_unknown`."""
    for group in groups:
        for clip in (1, 2):
            rng = np.random.default_rng([group, clip])
            frames = fading_frames(rng, True, 12)
            write_video_file(folder / "Still" / f"v_Still_g{group:02d}_c{clip:02d}.avi", [frames[6]] * 12)
    flicker = [frame for pair in zip(frames, frames[::-1], strict=True) for frame in pair]
    write_video_file(folder / "_unknown" / "v_Flicker_g31_c01.avi", flicker)
    return folder


@pytest.fixture(scope="session")
def trained_workspace(fading_dataset: Path, tmp_path_factory: pytest.TempPathFactory, quick_stores: None) -> Path:
    """A project with a solved head on a tiny frozen encoder, which is champion."""
    root = tmp_path_factory.mktemp("workspace")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.chdir(root)
        shutil.copy(ROOT / "dvc.yaml", "dvc.yaml")
        params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        (root / "fading").symlink_to(fading_dataset)  # a dataset is called as its folder
        params["dataset"] |= {"name": "folder", "path": str(root / "fading")}
        weights = image_encoder(root / "encoder.onnx")
        params["model"] |= {"encoder": "onnx", "weights": str(weights), "head": "statistics_probe"}
        Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        VIDEOS.parent.mkdir()
        VIDEOS.symlink_to(fading_dataset)
        index = index_videos(VIDEOS)
        index["split"] = assign_splits(index, load_params().split)
        write_index(index, INDEX)
        with runs.training_run(load_params(), load_params().split, index, data_version(index)) as run_id:
            provenance = Provenance(
                dataset="fading", data_version=data_version(index), run_id=run_id, git_commit="0", trained_at="now"
            )
            network = ModelParams.model_validate(params["model"])
            train_folder(CLIPS.parent, index, VIDEOS, SPEC, network, train_params(balance=True), provenance)
            assert all(path.is_dir() for path in (CLIPS, FEATURES, MODEL))
            version = registry.register(NAME, MODEL, {"accuracy": "1"})
        registry.set_champion(NAME, version, None, reason="it is the first")
    return root


@pytest.fixture
def workspace(trained_workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A copy of that project, which a test may change."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    root = tmp_path / "copy"
    shutil.copytree(trained_workspace, root, symlinks=True)
    monkeypatch.chdir(root)
    return Workspace(root, write_still(tmp_path / "still"))
