"""Faults in the service under load: a server is started with each, and clients send videos all the while."""

from __future__ import annotations

import json
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from chaos import inject
from chaos.inject import Fault
from chaos.report import TRACEBACK, Outcome
from tests.conftest import grey_frames, patience, write_video_file
from tests.serving.conftest import Server, launch, stop, write_served_model

LOAD_S = 3.0
JOBS = "state/jobs.sqlite"
FEEDBACK = "feedback/feedback.sqlite"

Disturb = Callable[[Server], None]


@dataclass(frozen=True)
class Trouble:
    """A fault from the start, or one that comes under load.

    Attributes:
        fault: From the start.
        disturb: Called while clients send videos.
        settings: The server's.
    """

    fault: Fault
    disturb: Disturb = lambda server: time.sleep(LOAD_S)
    settings: Mapping[str, Any] = field(default_factory=dict)


class Clients:
    """Clients that send a video again and again, as a call, as a job and with feedback on it.

    Attributes:
        sent: Requests sent.
        lost: Those without an answer, or with one in a wrong form.
        said: What refusals said, by code.
    """

    def __init__(self, server: Server, video: bytes) -> None:
        self.sent = self.lost = 0
        self.said: dict[str, str] = {}
        self._server, self._video = server, video
        self._ended = threading.Event()
        work = (self._calls, self._calls, self._jobs)
        self._rounds = [0] * len(work)
        self._threads = [threading.Thread(target=self._work, args=each) for each in enumerate(work)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(patience(60))

    @property
    def hang(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def ask(self, client: httpx.Client, method: str, path: str, **content: Any) -> dict[str, Any] | None:
        """The answer, or None if it is a refusal or lost."""
        self.sent += 1
        try:
            answer = client.request(method, path, **content)
            body = answer.json()
            if answer.is_success:
                return dict(body)
            problem = body["error"]
            self.said[problem["code"]] = f"{problem['message']} {problem['next_step']}"
            if problem["code"] == "internal":
                raise ValueError(answer.text)
        except (httpx.HTTPError, json.JSONDecodeError, LookupError, ValueError) as error:
            self.lost += 1
            self.said["lost"] = f"{method} {path}: {error!r}"
        return None

    def wait_for_rounds(self) -> None:
        """Waits until each client has sent all that it sends once more, however slow the machine is."""
        wanted = [rounds + 2 for rounds in self._rounds]  # one may be in the middle
        deadline = time.monotonic() + patience(60)
        while time.monotonic() < deadline and any(now < end for now, end in zip(self._rounds, wanted, strict=True)):
            time.sleep(0.05)

    def _work(self, place: int, work: Callable[[httpx.Client], None]) -> None:
        with self._server.client() as client:
            while not self._ended.is_set():
                work(client)
                self._rounds[place] += 1
                time.sleep(0.05)

    def _calls(self, client: httpx.Client) -> None:
        answer = self.ask(client, "POST", "/predict_file", files={"video": self._video})
        if answer:
            given = {"prediction_id": answer["prediction_id"], "correct": True}
            self.ask(client, "POST", "/feedback", json=given)

    def _jobs(self, client: httpx.Client) -> None:
        created = self.ask(client, "POST", "/jobs", files={"video": self._video})
        job = created and {"state": "queued", **created}
        deadline = time.monotonic() + patience(30)
        while job and job["state"] not in ("done", "failed"):
            time.sleep(0.05)
            now = self.ask(client, "GET", f"/jobs/{job['id']}")
            if now is None and "no_such_job" in self.said:
                break
            job = now or job
            if time.monotonic() > deadline:
                self.lost += 1
                self.said["lost"] = f"the job {job['id']} did not end"
                break


def kill_decoders(server: Server) -> None:
    for _ in range(5):
        time.sleep(LOAD_S / 5)
        for decoder in server.decoders:
            with suppress(psutil.Error):
                decoder.kill()


def freeze_decoders(server: Server) -> None:
    for decoder in server.decoders:
        with suppress(psutil.Error):
            decoder.suspend()
    time.sleep(2 * LOAD_S)
    for decoder in server.decoders:
        with suppress(psutil.Error):
            decoder.resume()


def lock(name: str, seconds: float) -> Disturb:
    def disturb(server: Server) -> None:
        time.sleep(0.5)
        with closing(sqlite3.connect(server.state.parent / name, isolation_level=None, timeout=30)) as other:
            other.execute("BEGIN EXCLUSIVE")
            time.sleep(seconds)
        time.sleep(0.5)

    return disturb


def damage(name: str, how: Callable[[Path], None]) -> Disturb:
    def disturb(server: Server) -> None:
        time.sleep(1)
        how(server.state.parent / name)
        time.sleep(LOAD_S)

    return disturb


def fill(server: Server) -> None:
    """Fills the small disk that the state is on."""
    time.sleep(0.5)
    with suppress(OSError), (server.state / "filler").open("wb") as filler:
        while True:
            filler.write(b"\0" * 4096)
            filler.flush()
    time.sleep(LOAD_S)
    (server.state / "filler").unlink()


def hang_up(server: Server) -> None:
    """Clients that leave in the middle of an upload."""
    host, port = server.address.removeprefix("http://").split(":")
    head = f"POST /predict_file HTTP/1.1\r\nHost: {host}\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    for _ in range(20):
        with socket.create_connection((host, int(port))) as client:
            client.sendall(f"{head}Content-Length: 100000\r\n\r\n--b\r\n".encode())
        time.sleep(LOAD_S / 20)


def troubles(*, mounts: bool) -> Iterator[tuple[str, Trouble]]:
    """Every fault of the service."""
    none = Fault("", around=nullcontext)
    yield "killed decoders", Trouble(none, kill_decoders)
    yield "frozen decoders", Trouble(none, freeze_decoders, {"decode_timeout_s": 2})
    yield "clients that hang up", Trouble(none, hang_up)
    for name in (JOBS, FEEDBACK):
        for seconds in (2, 14):
            yield f"{name} locked for {seconds} s", Trouble(none, lock(name, seconds))
        for how in (inject.overwritten, inject.emptied):
            yield f"{name} {how.__name__}", Trouble(none, damage(name, how))
    yield "the state's folder removed", Trouble(none, damage("state", inject.removed))
    yield "the feedback's folder removed", Trouble(none, damage("feedback", inject.removed))
    for fault in (
        inject.largest_file(200_000), inject.clock(inject.YEAR_S), inject.clock(-inject.YEAR_S), inject.slow_disk(0.02),
    ):  # fmt: skip
        yield fault.name, Trouble(fault)
    yield "40 open files", Trouble(Fault("", ("prlimit", "--nofile=40", "--")))
    yield (
        "a feedback folder that is read-only",
        Trouble(Fault("", inject.PLAIN_USER), lambda server: (server.feedback.chmod(0o500), time.sleep(LOAD_S))[0]),
    )
    if mounts:
        yield "a state folder that is full", Trouble(inject.full_disk("state", 2**20), fill)


def run_trouble(home: Path, name: str, trouble: Trouble) -> Outcome:
    """Starts a server, disturbs it under load, and judges what its clients got."""
    home.mkdir(parents=True)
    model = write_served_model(home / "model")
    video = write_video_file(home / "grey.avi", grey_frames([128] * 300, 120, 160)).read_bytes()
    (home / "feedback").mkdir()
    fault = trouble.fault
    extra = {**fault.environment, "PYTHONPATH": f"{inject.SITE}:{Path.cwd() / 'src'}:{Path.cwd()}"}
    with fault.around(home):
        server = launch(model, home, fault.prefix, extra, **trouble.settings)
        try:
            with Clients(server, video) as clients:
                trouble.disturb(server)
                clients.wait_for_rounds()
            alive = server.process.poll() is None
        finally:
            stop(server)
        (home / "said.json").write_text(json.dumps(clients.said), encoding="utf-8")
    said = "; ".join(f"{code}: {words}" for code, words in clients.said.items())
    return Outcome(
        f"service: {name}", f"{clients.sent} requests. {said or 'all answered'}",
        lost_answers=clients.lost, tracebacks=server.log.count(TRACEBACK), hangs=int(clients.hang),
        unexplained=int(not alive),
    )  # fmt: skip


def run_all(home: Path, chosen: Sequence[str] | None = None, *, mounts: bool = False) -> Iterator[Outcome]:
    """Every trouble, or those chosen by name."""
    for name, trouble in troubles(mounts=mounts):
        if chosen is None or name in chosen:
            yield run_trouble(home / name.replace("/", "_").replace(" ", "_"), name, trouble)
