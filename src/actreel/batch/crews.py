"""Who works on a batch: processes of this machine, or the workers of a Dask cluster."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actreel.base.progress import tracked
from actreel.batch.job import JOB_FILE, Outcome, job_code, recognise_item, unpack_job
from actreel.dataset.cluster import connected, scatter_whole
from actreel.dataset.parallel import map_on_cores

if TYPE_CHECKING:
    from distributed import Client

Crew = Callable[[Mapping[str, bytes], Sequence[str], bool], Generator[Outcome, None, None]]
"""Recognises items: from a packed job, the items, and whether also those whose content is known."""

PER_THREAD = 4
"""Items in flight for each thread of the cluster: results do not pile up if the table is slow to write."""

MOST_LOSSES = 3
"""Times that an item is submitted again after the cluster has lost it."""

MOST_JOBS = 4
"""Jobs that a worker keeps unpacked: runs beside each other, and an old one that ends."""

CRASH = "The process that decodes it ended: the file crashes the decoder, or memory ran out."


def local_crew(workers: int | None = None) -> Crew:
    """Processes of this machine.

    Args:
        workers: How many; one per core if None.
    """

    def work(job: Mapping[str, bytes], items: Sequence[str], again: bool) -> Generator[Outcome, None, None]:
        with tempfile.TemporaryDirectory(prefix="actreel-batch-") as folder:
            unpack_job(job, Path(folder))
            function = partial(recognise_item, Path(folder), again=again)
            yield from map_on_cores(function, items, label="batch", unit="video", workers=workers, on_crash=_crashed)

    return work


def _crashed(source: str) -> Outcome:
    return Outcome(source, failure=CRASH)


def cluster_crew(address: str) -> Crew:
    """The workers of a Dask cluster. They must have this version of Actreel, and see local paths as this machine does.

    Args:
        address: The scheduler's, such as `tcp://host:8786`.
    """

    def work(job: Mapping[str, bytes], items: Sequence[str], again: bool) -> Generator[Outcome, None, None]:
        with connected(address, job_code) as client:
            yield from tracked(_on_cluster(client, dict(job), items, again), "batch", len(items), unit="video")

    return work


def _on_cluster(
    client: Client, job: dict[str, bytes], items: Sequence[str], again: bool
) -> Generator[Outcome, None, None]:
    from distributed import as_completed

    waiting = iter(items)
    sources: dict[Any, str] = {}
    losses: Counter[str] = Counter()
    shared = scatter_whole(client, job)

    def submitted(chosen: Iterable[str]) -> list[Any]:
        futures = []
        for source in chosen:
            future = client.submit(recognise_on_worker, shared, source, again=again, pure=False)
            sources[future] = source
            futures.append(future)
        return futures

    most = PER_THREAD * sum(client.nthreads().values())
    done = as_completed(submitted(islice(waiting, most)), loop=client.loop)
    for future in done:
        source = sources.pop(future)
        if future.cancelled() and losses[source] < MOST_LOSSES:  # the workers that held the job have gone
            losses[source] += 1
            if shared.cancelled():
                shared = scatter_whole(client, job)
            done.update(submitted([source]))
            continue
        yield _outcome(future, source)
        done.update(submitted(islice(waiting, 1)))


def _outcome(future: Any, source: str) -> Outcome:
    from distributed import KilledWorker

    try:
        return future.result()  # type: ignore[no-any-return]
    except KilledWorker:
        return Outcome(source, failure=CRASH)
    except Exception as error:
        return Outcome(source, failure=f"The cluster lost it: {type(error).__name__}: {error}")


_lock = threading.Lock()
_unpacked: dict[bytes, Path] = {}


def recognise_on_worker(job: Mapping[str, bytes], source: str, *, again: bool) -> Outcome:
    """Recognises one video in a Dask worker, which unpacks each job once."""
    with _lock:
        folder = _unpacked.get(job[JOB_FILE])
        if folder is None:
            while len(_unpacked) >= MOST_JOBS:
                shutil.rmtree(_unpacked.pop(next(iter(_unpacked))), ignore_errors=True)
            folder = Path(tempfile.mkdtemp(prefix="actreel-batch-"))
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            unpack_job(job, folder)
            _unpacked[job[JOB_FILE]] = folder
    return recognise_item(folder, source, again=again)
