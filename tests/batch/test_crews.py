"""On a real Dask cluster: a scheduler and two workers, each a process of its own."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from distributed import Client, Future

from actreel.batch import crews
from actreel.batch.crews import cluster_crew, local_crew, recognise_on_worker
from actreel.batch.job import Outcome, pack_job
from actreel.config import ClipSpec
from actreel.dataset import cluster as clusters
from actreel.errors import ActreelError
from tests.conftest import free_port, grey_frames, write_model_folder, write_video_file
from tests.dask_cluster import Cluster


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with ExitStack() as stack:
        yield Cluster(stack)


@pytest.fixture
def model(tmp_path: Path, spec: ClipSpec) -> Path:
    return write_model_folder(tmp_path / "model", spec, ("dark", "middle", "bright"), in_parts=True)


def by_source(outcomes: Iterator[Outcome]) -> list[Outcome]:
    return sorted(outcomes, key=lambda outcome: outcome.source)


def test_a_cluster_gives_the_same_answers_also_when_a_worker_is_killed(
    cluster: Cluster, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crews, "PER_THREAD", 2)
    items = [
        str(write_video_file(tmp_path / f"{number:02d}.avi", grey_frames([number * 12] * 12))) for number in range(20)
    ]
    (tmp_path / "text.avi").write_text("no video", encoding="utf-8")
    items.append(str(tmp_path / "text.avi"))
    job = pack_job(model, set())
    expected = by_source(local_crew(1)(job, items, False))
    assert sum(outcome.row is not None for outcome in expected) == 20
    work = cluster_crew(cluster.address)
    with pytest.raises(ActreelError, match="has no worker yet"):
        next(work(job, items, False))
    first = cluster.add_worker()
    cluster.add_worker()
    assert by_source(work(job, items, False)) == expected
    outcomes = work(job, items, False)
    seen = [next(outcomes), next(outcomes)]
    first.send_signal(signal.SIGKILL)
    assert by_source(iter([*seen, *outcomes])) == expected


def test_a_job_that_the_cluster_lost_is_sent_again_and_is_not_mixed_with_another_run_s(
    cluster: Cluster, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: ClipSpec
) -> None:
    monkeypatch.setattr(crews, "PER_THREAD", 1)
    other = write_model_folder(tmp_path / "other", spec, ("night", "day"), in_parts=True)
    items = [str(write_video_file(tmp_path / f"{number}.avi", grey_frames([number * 60] * 12))) for number in range(5)]
    jobs = [pack_job(folder, set()) for folder in (model, other)]
    expected = [by_source(local_crew(1)(job, items, False)) for job in jobs]
    cluster.add_worker()
    runs = [cluster_crew(cluster.address)(job, items, False) for job in jobs]
    seen = [[next(run)] for run in runs]
    with Client(cluster.address) as client:
        held = {key for keys in client.has_what().values() for key in keys}
        sent = [key for key in held if not str(key).startswith(recognise_on_worker.__name__)]
        assert len(sent) == 2, "each run has data of its own"
        client.cancel([Future(key, client) for key in sent], force=True)
    for begun, run, whole in zip(seen, runs, expected, strict=True):
        assert by_source(iter([*begun, *run])) == whole


def test_workers_of_another_version_are_named(cluster: Cluster, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.add_worker()
    monkeypatch.setattr(crews, "job_code", _other_code)
    with pytest.raises(ActreelError, match=r"same version of Actreel .*Others have: tcp://127"):
        next(cluster_crew(cluster.address)(pack_job(model, set()), ["a.avi"], False))


def _other_code() -> str:
    return f"process {os.getpid()}"


def test_no_scheduler_at_the_address(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "CONNECT_S", 0.3)
    address = f"tcp://127.0.0.1:{free_port()}"
    with pytest.raises(ActreelError, match=re.escape(address) + r".*dask scheduler"):
        next(cluster_crew(address)(pack_job(model, set()), ["a.avi"], False))
