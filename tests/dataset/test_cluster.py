"""The stages on a real Dask cluster: one worker is in this process, and one in another, which has another folder."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from distributed import CancelledError, KilledWorker, LocalCluster

from actreel.base.cores import SCHEDULER_VARIABLE
from actreel.config import ClipSpec
from actreel.dataset.cluster import _result, map_clips, run_alike
from actreel.dataset.records import index_videos
from actreel.dataset.store import StoredClips, extract_clips, video_code
from actreel.errors import ActreelError, DatasetError
from actreel.training import features
from actreel.training.encoding import EncodeClip, MirrorFeatures, one_thread
from actreel.training.features import encode_clips
from actreel.training.graph_encoder import GraphEncoder
from actreel.video.clips import load_clip
from tests.conftest import fading_frames, write_video_file
from tests.dask_cluster import Cluster
from tests.training.onnx_files.files import image_encoder

SPEC = ClipSpec(num_frames=8, height=12, width=16)
VIDEOS = Path("videos")
LOST = "v_Darken_g03_c01.avi"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of clips, one of which is damaged, that is named from the current folder."""
    for group in range(12):
        for action in ("Brighten", "Darken"):
            frames = fading_frames(np.random.default_rng(group), action == "Brighten", 12)
            write_video_file(tmp_path / VIDEOS / action / f"v_{action}_g{group:02d}_c01.avi", frames)
    (tmp_path / VIDEOS / "Darken" / LOST).write_bytes(b"no video")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A scheduler and a worker in this process."""
    settings = {"protocol": "tcp", "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, **settings) as local,
        ExitStack() as stack,
    ):
        yield Cluster(stack, local.scheduler_address)


def on_the_processor(encoder: GraphEncoder) -> tuple[EncodeClip, MirrorFeatures]:
    """As `features._open`, which loads TensorFlow only to look for a GPU."""
    packed = features._pack(encoder)
    return packed.opened(onnxruntime.InferenceSession(packed.network, one_thread()))


def made(folder: Path) -> tuple[pd.DataFrame, dict[str, bytes]]:
    """The index, and the content of each file of frames and features."""
    index = index_videos(VIDEOS)
    index["split"] = "train"
    readable = index[index["error"] == ""]
    extract_clips(readable, VIDEOS, folder / "clips", SPEC)
    weights = image_encoder(folder / "encoder.onnx")
    clips = StoredClips(folder / "clips", VIDEOS)
    encode_clips(readable, clips, folder / "features", encoder="onnx", weights=str(weights), mirror=True)
    files = [path for path in folder.rglob("*") if path.is_file()]
    return index, {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_cluster_makes_the_same_index_frames_and_features_also_when_a_worker_is_killed(
    project: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "_open", on_the_processor)
    index, files = made(project / "here")
    assert VIDEOS.as_posix() in index.set_index("clip").loc[f"Darken/{LOST}", "error"]
    monkeypatch.setenv(SCHEDULER_VARIABLE, cluster.address)
    elsewhere = project / "elsewhere"
    elsewhere.mkdir()
    worker = cluster.add_worker(elsewhere)
    index_there, files_there = made(project / "there")
    pd.testing.assert_frame_equal(index_there, index)
    assert files_there == files

    # The current folder by a name that is another folder for that worker.
    readable = index.loc[index["error"] == "", "clip"]
    unseen = [Path("/proc/self/cwd") / VIDEOS / clip for clip in readable]
    work = partial(map_clips, partial(load_clip, spec=SPEC), label="load", code=video_code)
    with pytest.raises(ActreelError, match=r"see the videos under the same path .* no such file"):
        next(work(unseen, videos=unseen))

    paths = [(VIDEOS / clip).absolute() for clip in readable]
    clips = work(paths, videos=paths)
    seen = [next(clips)]
    worker.send_signal(signal.SIGKILL)
    seen += clips
    np.testing.assert_array_equal(seen, [load_clip(path, SPEC) for path in paths])


class Ended:
    """What the cluster says of an item that ended its workers, or that it lost."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def result(self) -> int:
        raise self._error


def test_an_item_that_ends_several_workers_is_named() -> None:
    ended = Ended(KilledWorker("load", "tcp://worker", 3))
    assert _result(ended, 4, lambda item: -item) == -4  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match="'4', which crashes its process"):
        _result(ended, 4, None)  # type: ignore[arg-type]
    with pytest.raises(ActreelError, match="lost '4'"):
        _result(Ended(CancelledError("gone")), 4, None)  # type: ignore[arg-type]


def test_a_worker_that_joins_late_must_have_the_same_code() -> None:
    assert run_alike("1", lambda: "1", max, 3, 4) == 4
    with pytest.raises(ActreelError, match="same version of Actreel"):
        run_alike("1", lambda: "2", max, 3, 4)
