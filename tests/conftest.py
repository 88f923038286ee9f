"""Real tiny videos, and folders of them that can be learned from in seconds."""

from __future__ import annotations

import gc
import logging
import os
import secrets
import shutil
import socket
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, suppress
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray
from onnx import TensorProto, helper
from sqlalchemy import create_engine

from actreel.base import code_digest
from actreel.base.console import OURS
from actreel.config import ClipSpec, TrainParams, load_params
from actreel.dataset import parallel
from actreel.inference.classifier import ClassifierCard, Provenance
from actreel.video.opencv import cv2
from tests.warm_python import WARM, fork_workers, warm_python

# A busy machine is no reason to fail, and a run is repeated with the same examples.
# New examples each time: pytest --hypothesis-profile search
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("actreel", settings.get_profile("search"), derandomize=True)
settings.load_profile("actreel")

ROOT = Path(__file__).parents[1]


TOGETHER = {
    # A trained project, which takes a minute to make.
    "trained": tuple(f"tests/pipelines/test_{name}.py" for name in ("pipeline", "skew", "team", "teaching")),
    # A browser and what its first page has compiled, and servers. They wait a lot; other workers go on meanwhile.
    "page": ("tests/serving/page/",),
    "serving": ("tests/serving/",),
}
"""Tests that share what takes long to make, by the beginnings of their names: one worker runs all of a group."""

LONGEST = ("pipelines", "training", "models", "experiments", "chaos", "youtube", "tracking", "video")
"""The folders whose files take longest."""


def shared_by(nodeid: str) -> str | None:
    """The group in `TOGETHER` that a test belongs to, if any."""
    return next((name for name, begins in TOGETHER.items() if nodeid.startswith(begins)), None)


def pytest_configure(config: pytest.Config) -> None:
    """Workers are forks of a process that has imported the slow libraries; it starts the commands that they run too."""
    if getattr(config.option, "tx", None) and not hasattr(config, "workerinput"):
        # Each core has a worker of its own: more threads only take turns. TensorFlow and NumPy read this when they are
        # imported, in the processes too that tests start.
        for threads in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ.setdefault(threads, "1")
        config.option.tx = fork_workers(config.option.tx)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest go first, so that no worker is left with one when the others have ended."""

    def place(item: pytest.Item) -> tuple[int, int]:
        ranks = [rank for rank, folder in enumerate(LONGEST) if folder in item.path.parts]
        together = [*TOGETHER, None].index(shared_by(item.nodeid))
        return together, min(ranks, default=len(LONGEST))

    items.sort(key=place)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[Any]:
    """Looks for no garbage while the tests and the libraries are imported: there is hardly any."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    """Leaves what the imports have made out of later garbage collections, each of which takes seconds otherwise.

    The remaining collections run less often: they took 2 % of the time of tests that train.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deals whole files to the workers, and to one of them all that belong together."""
    from xdist.scheduler import LoadFileScheduling

    class FileScheduling(LoadFileScheduling):  # pytest-xdist 3.8's own groups do nothing under pytest 9.2
        def _split_scope(self, nodeid: str) -> str:
            return shared_by(nodeid) or str(super()._split_scope(nodeid))

        def remove_node(self, node: Any) -> str | None:
            # pytest-xdist would run the test that ended its worker on the next one, and so on without end; and it
            # would wait for files that are done.
            units = self.assigned_work[node]
            unit, crashed = next(
                ((unit, name) for unit in units.values() for name in unit if not unit[name]), ({}, None)
            )
            if crashed is not None:
                unit[crashed] = True
            self.assigned_work[node] = {scope: unit for scope, unit in units.items() if not all(unit.values())}
            super().remove_node(node)
            return crashed

        def _reschedule(self, node: Any) -> None:
            # A worker starts a test once it knows the next one, or that there is none. pytest-xdist would let one that
            # replaces another wait for ever with a single test.
            super()._reschedule(node)
            while not node.shutting_down and self._pending_of(self.assigned_work[node]) < 2:
                super()._reschedule(node)

    return FileScheduling(config, log)


def patience(seconds: float) -> float:
    """How long to wait for what takes at most so many seconds on an idle machine: longer on a slow and on a busy one.

    It only ends a wait that would fail anyway, so it may be generous; no test may hold how long something took to it.
    """
    return 4 * seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def free_port() -> int:
    """A port for a server that binds it later: below those that Linux gives to outgoing connections meanwhile."""
    for _ in range(100):
        with socket.socket() as free, suppress(OSError):
            free.bind(("127.0.0.1", secrets.randbelow(12_000) + 20_000))
            return int(free.getsockname()[1])
    raise RuntimeError("no port is free")


def train_params(**changes: Any) -> TrainParams:
    """The training of params.yaml, with some of it changed."""
    return TrainParams.model_validate(load_params(ROOT / "params.yaml").train.model_dump() | changes)


OWN_POOL = parallel._pool
"""The worker processes of the product."""


@pytest.fixture(scope="session", autouse=True)
def _quick_workers() -> Iterator[None]:
    """Worker processes are forked from one process that has imported what they need, and has no threads.

    Elsewhere each imports it again, since it is spawned: see `actreel.dataset.parallel`. Of the session, so that it is
    there before the fixtures of modules.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload(
        ["pytest", "actreel.dataset.records", "actreel.dataset.store", "actreel.dataset.grouping.proposal"]
    )

    def pool(workers: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(workers, mp_context=context, initializer=parallel.end_with_parent)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parallel, "_pool", pool)
        yield


@pytest.fixture
def warm_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is started with this process's Python is a fork that has imported the libraries: see `tests.warm_python`."""
    server = warm_python()
    monkeypatch.setattr(sys, "executable", str(server.launchers / "python"))
    for name in (WARM, "PATH"):
        monkeypatch.setenv(name, server.added_to(os.environ)[name])


@pytest.fixture
def settings_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder, now the current one, with the settings as they come; no server holds its registry."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, name)
    return tmp_path


@cache
def _mlflow_tables() -> sqlite3.Connection:
    """An empty database of MLflow, in memory.

    To make one, MLflow goes through all migrations since its first release, which takes seconds of processor time.
    """
    from mlflow.store.db import utils

    made = sqlite3.connect(":memory:", check_same_thread=False)
    with TemporaryDirectory() as folder:
        engine = create_engine(f"sqlite:///{folder}/mlflow.db")
        utils._initialize_tables(engine)
        with engine.connect() as connection:
            connection.connection.driver_connection.backup(made)
        engine.dispose()
    return made


def write_mlflow_database(path: Path) -> None:
    """Writes an empty database of MLflow."""
    with closing(sqlite3.connect(path)) as new:
        _mlflow_tables().backup(new)


@pytest.fixture(scope="session")
def quick_stores() -> Iterator[None]:
    """From now on, each new database that MLflow makes in this process is a copy of the first."""
    from mlflow.store.db import utils

    tables = _mlflow_tables()  # before the patch, which it would call

    def initialize(engine: Any) -> None:
        with engine.connect() as connection:
            tables.backup(connection.connection.driver_connection)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "_initialize_tables", initialize)
        yield


WriteVideo = Callable[..., Path]


def write_video_file(path: Path, frames: Iterable[NDArray[np.uint8]], fps: float = 25.0, codec: str = "MJPG") -> Path:
    """Writes RGB frames with a real encoder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = None
    for frame in frames:
        if writer is None:
            size = (frame.shape[1], frame.shape[0])
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, size)
            if not writer.isOpened():
                raise OSError(f"OpenCV cannot write {codec} to {path}")
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    if writer is not None:
        writer.release()
    return path


def halve_frame_count(path: Path) -> None:
    """Makes the headers of an AVI of 120 frames claim 60."""
    data = bytearray(path.read_bytes())
    for field in (data.index(b"avih") + 8 + 16, data.index(b"strh") + 8 + 32):
        data[field : field + 4] = (60).to_bytes(4, "little")
    data[data.index(b"idx1") : data.index(b"idx1") + 4] = b"JUNK"
    path.write_bytes(data)
    assert int(cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT)) == 60


def children_running(pid: int, module: str) -> list[psutil.Process]:
    """A process's descendants that run `python -m module`."""
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.Error):  # it may have ended since it was listed
            if module in child.cmdline():
                found.append(child)
    return found


def grey_frames(levels: Iterable[int], height: int = 48, width: int = 64) -> list[NDArray[np.uint8]]:
    """Plain frames of the given brightness."""
    return [np.full((height, width, 3), level, dtype=np.uint8) for level in levels]


def fading_frames(rng: np.random.Generator, rising: bool, num_frames: int) -> list[NDArray[np.uint8]]:
    """A picture that gets brighter, or the same in reverse: only the order of the frames tells which."""
    picture = rng.integers(100, 255, (6, 8, 3))
    light = np.linspace(0.1, 1.0, num_frames)[:: 1 if rising else -1]
    frames = (np.kron(picture * share, np.ones((8, 8, 1))).clip(0, 255).astype(np.uint8) for share in light)
    return list(frames)


def write_fading_dataset(folder: Path, groups: int = 8, clips: int = 2) -> Path:
    """Two actions, Brighten and Darken, in UCF50's naming; a model blind to order cannot tell them apart."""
    for group in range(1, groups + 1):
        for clip in range(1, clips + 1):
            for action in ("Brighten", "Darken"):
                rng = np.random.default_rng([group, clip])  # the pair shares its picture
                path = folder / action / f"v_{action}_g{group:02d}_c{clip:02d}.avi"
                write_video_file(path, fading_frames(rng, action == "Brighten", 10 + group))
    return folder


EditCode = Callable[[str, str, str], None]


@pytest.fixture
def edit_code(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[EditCode]:
    """Lets `code_digest` see an edited copy of `actreel`: `edit_code("video/clips.py", "before", "after")`."""
    copy = tmp_path_factory.mktemp("edited") / "actreel"

    def edit(file: str, before: str, after: str) -> None:
        if not copy.exists():
            shutil.copytree(code_digest.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        text = (copy / file).read_text(encoding="utf-8")
        assert before in text
        (copy / file).write_text(text.replace(before, after), encoding="utf-8")
        monkeypatch.setattr(code_digest, "PACKAGE", copy)
        code_digest._digest.cache_clear()

    yield edit
    code_digest._digest.cache_clear()


@pytest.fixture
def spec() -> ClipSpec:
    return ClipSpec(num_frames=8, height=32, width=32)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """30 frames of 64x48, each brighter than the one before."""
    return write_video_file(tmp_path / "video.avi", grey_frames(range(0, 240, 8)))


@pytest.fixture(scope="session")
def fading_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fading_dataset(tmp_path_factory.mktemp("fading"))


def write_model_folder(
    folder: Path, spec: ClipSpec, labels: tuple[str, ...], max_distance: float | None = None, *, in_parts: bool = False
) -> Path:
    """A model folder made by hand: the label at place i of K is the surest for clips of mean brightness i/(K-1).

    A clip's distance is that from the nearest such brightness. In parts, beside the whole, the encoder tells each
    frame's brightness, and the head takes the mean of them.
    """
    folder.mkdir(parents=True)
    clip = helper.make_tensor_value_info("clip", TensorProto.UINT8, ["N", *spec.shape])
    brightness = [
        helper.make_node("Cast", ["clip"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "axes"], ["mean"], keepdims=0),
        helper.make_node("Div", ["mean", "scale"], ["level"]),
        helper.make_node("Unsqueeze", ["level", "last"], ["column"]),
    ]
    scale = helper.make_tensor("scale", TensorProto.FLOAT, [], [255.0])
    last = helper.make_tensor("last", TensorProto.INT64, [1], [1])
    answer = [
        helper.make_node("Sub", ["column", "centres"], ["apart"]),
        helper.make_node("Abs", ["apart"], ["gaps"]),
        helper.make_node("ReduceMin", ["gaps", "last"], ["distance"], keepdims=0),
        helper.make_node("Mul", ["apart", "apart"], ["square"]),
        helper.make_node("Mul", ["square", "sharpness"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    outputs = [
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", len(labels)]),
        helper.make_tensor_value_info("distance", TensorProto.FLOAT, ["N"]),
    ]
    centres = np.linspace(0, 1, len(labels), dtype=np.float32)
    constants = [
        last,
        helper.make_tensor("centres", TensorProto.FLOAT, [1, len(labels)], centres),
        helper.make_tensor("sharpness", TensorProto.FLOAT, [], [-40.0]),
    ]

    def write(name: str, *graph: Any) -> None:
        opset = [helper.make_opsetid("", 18)]
        model = helper.make_model(helper.make_graph(*graph), opset_imports=opset, ir_version=10)
        (folder / name).write_bytes(model.SerializeToString())

    axes = helper.make_tensor("axes", TensorProto.INT64, [4], [1, 2, 3, 4])
    write("model.onnx", [*brightness, *answer], "whole", [clip], outputs, [axes, scale, *constants])
    if in_parts:
        frame = helper.make_tensor_value_info("clip", TensorProto.UINT8, ["N", *spec.shape[1:]])
        column = helper.make_tensor_value_info("column", TensorProto.FLOAT, ["N", 1])
        axes = helper.make_tensor("axes", TensorProto.INT64, [3], [1, 2, 3])
        write("encoder.onnx", brightness, "encoder", [frame], [column], [axes, scale, last])
        features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", spec.num_frames, 1])
        mean = helper.make_node("ReduceMean", ["features", "last"], ["column"], keepdims=0)
        write("head.onnx", [mean, *answer], "head", [features], outputs, constants)
    provenance = Provenance(dataset="grey", data_version="0", run_id="none", git_commit="none", trained_at="never")
    ClassifierCard(labels=labels, clip=spec, max_distance=max_distance, provenance=provenance).save(folder)
    return folder


@pytest.fixture(scope="module", autouse=True)
def _networks_are_forgotten() -> Iterator[None]:
    """Frees networks once a worker has grown: Keras and TensorFlow keep graphs, and one grew to 11 GB.

    Only then, since a collection takes seconds.
    """
    yield
    if "keras" in sys.modules and psutil.Process().memory_info().rss > 6 * 2**30:
        sys.modules["keras"].utils.clear_session()
        gc.collect()


@pytest.fixture(scope="module", autouse=True)
def _store_is_forgotten() -> Iterator[None]:
    """MLflow notes its store in the environment, for child processes; the next module must not take it for a server."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    yield
    if before is None:
        os.environ.pop("MLFLOW_TRACKING_URI", None)
    else:
        os.environ["MLFLOW_TRACKING_URI"] = before


LEVELS = {name: logging.getLogger(name).level for name in OURS}


@pytest.fixture(autouse=True)
def _log_levels_are_restored() -> Iterator[None]:
    """A command that a test runs in this process sets the levels of our loggers; the next test must not see them.

    Nor may it see those that a fixture of a session or a module has set, which is made before.
    """
    for name, level in LEVELS.items():
        logging.getLogger(name).setLevel(level)
    yield
    for name, level in LEVELS.items():
        logging.getLogger(name).setLevel(level)
