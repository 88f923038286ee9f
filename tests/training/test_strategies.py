"""Several devices and several workers end with one model, the one that a single device ends with."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from actreel.config import ClipSpec, ModelParams, TrainParams
from actreel.dataset.store import write_store
from actreel.errors import ConfigError
from actreel.training.features import StoredFeatures
from actreel.training.strategies import is_chief, open_strategy
from actreel.training.train import train
from tests.conftest import ROOT, free_port, patience, train_params

SPEC = ClipSpec(num_frames=4, height=8, width=8)
MODEL = ModelParams(encoder="efficientnet_lite0", weights="imagenet", head="mean", motion="none", units=4, dropout=0.0)
LABELS = ["a", "b"]
# The last batch of validation has one clip, too few for two devices.
INDEX = pd.DataFrame({"clip": [f"{place:02d}" for place in range(25)]})
INDEX["action"] = [LABELS[place % 2] for place in range(25)]
INDEX["sha256"] = INDEX["clip"]
ROWS = {"train": INDEX[:16], "val": INDEX[16:].reset_index(drop=True)}


def params_of(**changes: Any) -> TrainParams:
    small = {
        "epochs": 3,
        "batch_size": 4,
        "learning_rate": 0.02,
        "patience": 5,
        "mirror": True,
        "jitter": 1.0,
        "mixup": 0.2,
        "balance": True,
    }
    return train_params(**small | changes)


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workers")
    views = iter(np.random.default_rng(0).normal(0, 1, (len(INDEX), 2, 4, 6)).astype(np.float32))
    made_with = {"clip": SPEC.model_dump(), "encoder": "efficientnet_lite0"}
    write_store(INDEX, folder / "features", made_with, lambda names: views)
    return folder


def test_two_workers_and_two_devices_end_with_the_model_of_one(features: Path) -> None:
    ports = {free_port()}
    while len(ports) < 2:
        ports.add(free_port())
    addresses = [f"127.0.0.1:{port}" for port in ports]

    def start(name: str, strategy: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.training.worker", str(features), strategy, name],
            env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"} | env,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    processes = [start("devices", "mirrored")]
    for number in range(2):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}}
        processes.append(start(f"worker-{number}", "multi_worker", TF_CONFIG=json.dumps(task)))
    fitted, curve = train(MODEL, params_of(), StoredFeatures(features / "features"), ROWS, LABELS)
    try:
        outputs = [process.communicate(timeout=patience(90))[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0, 0], outputs
    assert "Epoch 3/3" in outputs[1]
    first, second, devices = (np.load(features / f"{name}.npz") for name in ("worker-0", "worker-1", "devices"))
    assert all(np.array_equal(first[name], second[name]) for name in first.files)
    for found in (first, devices):
        np.testing.assert_allclose(found["val_loss"], curve["val_loss"], rtol=1e-4)
        for place, weights in enumerate(fitted.get_weights()):
            np.testing.assert_allclose(found[f"arr_{place}"], weights, atol=1e-4)


def test_a_worker_must_know_which_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_chief("one")
    assert is_chief("mirrored")
    for wrong in (None, "", "{}", '{"task": {"type": "worker"}}', '{"task": 3}'):
        monkeypatch.setenv("TF_CONFIG", wrong) if wrong is not None else monkeypatch.delenv("TF_CONFIG", False)
        with pytest.raises(ConfigError, match="multi_worker' needs the environment variable TF_CONFIG"):
            open_strategy("multi_worker")
    monkeypatch.setenv("TF_CONFIG", '{"task": {"type": "worker", "index": 1}}')
    assert not is_chief("multi_worker")
