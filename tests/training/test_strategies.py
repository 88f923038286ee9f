"""Several devices and several workers end with one model, the one that a single device ends with."""

import json
import os
import signal
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from actreel.dataset.store import write_store
from actreel.errors import ConfigError
from actreel.training.features import StoredFeatures
from actreel.training.strategies import is_chief, open_strategy
from actreel.training.train import train
from tests.conftest import ROOT, free_port, patience
from tests.training.worker import INDEX, LABELS, MODEL, ROWS, SPEC, params_of
from tests.warm_python import warm_python


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

    jobs = [("mirrored", "devices", "")]
    for number in range(2):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}}
        jobs.append(("multi_worker", f"worker-{number}", json.dumps(task)))
    env = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    with (features / "log").open("wb") as log:
        arguments = [str(features), json.dumps(jobs)]
        process = warm_python().start("tests.training.worker", arguments, ROOT, env, log.fileno())
    fitted, curve = train(MODEL, params_of(), StoredFeatures(features / "features"), ROWS, LABELS)
    try:
        status = process.wait(patience(90))
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the forks too
    output = (features / "log").read_text(encoding="utf-8")
    assert status == 0, output
    for number in range(2):
        assert f"worker-{number}: Epoch 3/3" in output
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
