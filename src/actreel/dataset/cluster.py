"""Processes many clips at once on the workers of a Dask cluster, where the environment names one.

The workers see the same files under the same paths. Dask is imported only when a cluster is used: it takes a second.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from actreel.base.cores import scheduler_address
from actreel.base.progress import tracked
from actreel.dataset.parallel import IN_FLIGHT, crash_error, map_on_cores
from actreel.errors import ActreelError

if TYPE_CHECKING:
    from distributed import Client, Future

Item = TypeVar("Item")
Result = TypeVar("Result")

CONNECT_S = 20


def map_clips(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    label: str,
    code: Callable[[], str],
    videos: Sequence[Path],
    on_crash: Callable[[Item], Result] | None = None,
) -> Iterator[Result]:
    """As `map_on_cores`; on the Dask cluster that `ACTREEL_SCHEDULER` names, if it is set.

    Args:
        function: As for `map_on_cores`. It must not depend on the current folder: a worker has another one.
        items: What to work on.
        label: Label of the progress bar.
        code: Importable by name: digests the code that `function` runs. Each worker must give the same.
        videos: The items' files, as absolute paths. Each worker must see them.
        on_crash: As for `map_on_cores`.

    Raises:
        ActreelError: No scheduler answers, or a worker differs; see `connected`.
        DatasetError: As for `map_on_cores`.
    """
    address = scheduler_address()
    if address is None:
        yield from map_on_cores(function, items, label=label, on_crash=on_crash)
    elif items:
        with connected(address, code, videos) as client:
            yield from tracked(in_order(client, function, items, code=code, on_crash=on_crash), label, len(items))


@contextmanager
def connected(address: str, code: Callable[[], str], files: Sequence[Path] = ()) -> Iterator[Client]:
    """Connects to a Dask cluster whose workers are checked.

    Args:
        address: The scheduler's, such as `tcp://host:8786`.
        code: Importable by name: digests the code of the work.
        files: What the workers must see as this machine does; the first, the middle and the last one are looked at.

    Raises:
        ActreelError: No scheduler answers, there is no worker, or one lacks Actreel, has another version of it, or does
            not see the files.
    """
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise ActreelError(
            f"A Dask cluster at '{address}' needs the extra 'batch': {error}. Run: pip install 'actreel[batch]'"
        ) from error
    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ActreelError(
            f"A Dask scheduler must answer at '{address}'. {error}. "
            "Start one with: dask scheduler, and workers with: dask worker ADDRESS"
        ) from error
    with client:
        _check_code(client, code)
        _check_files(client, [files[place] for place in (0, len(files) // 2, -1)] if files else [])
        yield client


def in_order(
    client: Client,
    function: Callable[..., Result],
    items: Sequence[Item],
    *,
    code: Callable[[], str],
    shared: Any = None,
    on_crash: Callable[[Item], Result] | None = None,
) -> Iterator[Result]:
    """Applies `function` to each item on the cluster and yields the results in the order of the items.

    If a worker dies, its items go to the others; one that ends several workers is at fault.

    Args:
        client: From `connected`.
        function: Importable by name.
        items: What to work on.
        code: As for `connected`; a worker that has joined since is asked too.
        shared: What `function` takes before each item; it is sent to each worker once. None: nothing.
        on_crash: As for `map_on_cores`.

    Raises:
        DatasetError: An item ended several workers; the message names it.
        ActreelError: The cluster went away, or a worker has joined that has another version.
    """
    first = () if shared is None else (scatter_whole(client, shared),)
    here = code()
    most = IN_FLIGHT * sum(client.nthreads().values())
    waiting = deque(items)
    flying: deque[tuple[Item, Future[Any]]] = deque()
    while waiting or flying:
        # Few at a time: results do not pile up if the caller is slow.
        while waiting and len(flying) < most:
            item = waiting.popleft()
            flying.append((item, client.submit(run_alike, here, code, function, *first, item, pure=False)))
        item, future = flying.popleft()
        yield _result(future, item, on_crash)


def scatter_whole(client: Client, shared: Any) -> Future[Any]:
    """Sends a value to each worker as one piece of data, with a name of its own."""
    # In a list: Dask would store each value of a dictionary under its key, such as head.onnx, and two runs with other
    # models would share that name. Not hashed: equal values would share one name, and the run that ends first frees it.
    (sent,) = client.scatter([shared], broadcast=True, hash=False)
    return cast("Future[Any]", sent)


def run_alike(expected: str, code: Callable[[], str], function: Callable[..., Result], *values: Any) -> Result:
    """Runs a function in a worker, if its code is that of the machine that asks.

    Raises:
        ActreelError: It is not.
    """
    if code() != expected:
        raise _other_version([socket.gethostname()])
    return function(*values)


def _result(future: Future[Any], item: Item, on_crash: Callable[[Item], Result] | None) -> Result:
    from distributed import CancelledError, KilledWorker

    try:
        result: Result = future.result()
        return result
    except KilledWorker as error:
        if on_crash is not None:
            return on_crash(item)
        raise crash_error(item) from error
    except CancelledError as error:
        raise ActreelError(
            f"The Dask cluster must stay until the work is done. Received: one that lost '{item}' ({error}). Start it "
            "again, and run the same command: it goes on where it was stopped."
        ) from error


def _check_code(client: Client, code: Callable[[], str]) -> None:
    try:
        codes = client.run(code)
    except Exception as error:  # whatever a worker without Actreel raises when it unpickles the question
        raise ActreelError(
            f"Each Dask worker must have Actreel with the extras that this machine has. {error}. "
            "Install the same lock file there."
        ) from error
    if not codes:
        raise ActreelError("The Dask cluster has no worker yet. Start one with: dask worker ADDRESS")
    here = code()
    if other := sorted(worker for worker, its in codes.items() if its != here):
        raise _other_version(other)


def _other_version(workers: Sequence[str]) -> ActreelError:
    return ActreelError(
        f"Each Dask worker must have the same version of Actreel and of its libraries as this machine. "
        f"Others have: {', '.join(workers)}. Install the same lock file there."
    )


def _check_files(client: Client, files: Sequence[Path]) -> None:
    here = file_sizes(files)
    for worker, sizes in sorted(client.run(file_sizes, files).items()):
        for file, expected, found in zip(files, here, sizes, strict=True):
            if found != expected:
                there = "no such file" if found is None else f"another file, of {found:,} bytes"
                raise ActreelError(
                    f"Each Dask worker must see the videos under the same path as this machine. Received: '{file}', of "
                    f"which {worker} has {there}. Share its folder with that machine, under this path."
                )


def file_sizes(files: Sequence[Path]) -> list[int | None]:
    """The size of each file in bytes; None where there is none."""
    return [file.stat().st_size if file.is_file() else None for file in files]
