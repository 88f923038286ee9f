"""The service: start-up, memory, latency, throughput by workers, a long video, and a load of 64 clients.

python -m benchmarks.serving [--bento artifacts/bento | --encoder NAME] [--video CLIP] [--load SECONDS]
"""

from __future__ import annotations

import argparse
import http.client
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import psutil

from actreel.video.opencv import cv2
from benchmarks.untrained import SIDES

CLIENTS = 64
MIX = {"video": 0.35, "job": 0.1, "damaged": 0.15, "no form": 0.1, "link": 0.1, "page": 0.1, "nowhere": 0.1}
MEMORY_EVERY_S = 15
NOT_YOUTUBE = {"url": "http://127.0.0.1/"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__.splitlines()[0])
    parser.add_argument("--bento", type=Path, default=Path("artifacts/bento"))
    parser.add_argument(
        "--encoder", choices=SIDES, help="serve an untrained network with this encoder instead of a Bento"
    )
    parser.add_argument("--video", type=Path, help="a video to send (default: 7 s of 320x240, rendered)")
    parser.add_argument("--calls", type=int, default=60, help="calls per median (default: %(default)s)")
    parser.add_argument("--load", type=float, default=60, help="seconds of the load test (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        bento = options.bento
        if options.encoder:
            command = [sys.executable, "-m", "benchmarks.untrained", options.encoder, scratch]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            bento = Path(scratch) / "bento"
        path = options.video or write_video(Path(scratch) / "video.avi")
        video = path.read_bytes()
        print(f"{path.name}: {len(video) / 1000:.0f} kB; {os.cpu_count()} cores")
        rates = {}
        for workers in (1, 2):
            with served(bento, Path(scratch), workers) as server:
                print(f"workers: {workers}; ready in {server.ready_s:.2f} s, {memory_mb(server):.0f} MB")
                if workers == 1:
                    latency(server, video, options.calls)
                    long_video(server, Path(scratch))
                rates[workers] = throughput(server, video, clients=8, seconds=8)
                print(f"  throughput: {rates[workers]:.1f} videos/s from 8 clients, {memory_mb(server):.0f} MB after")
        print(f"two workers: {rates[2] / rates[1]:.2f} times one")
        if options.load:
            with served(bento, Path(scratch), 2) as server:
                load(server, video, options.load)


@dataclass
class Server:
    address: str
    process: subprocess.Popen[bytes]
    state: Path
    ready_s: float


@contextmanager
def served(bento: Path, scratch: Path, workers: int) -> Iterator[Server]:
    """`bentoml serve`, as `make serve` runs it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    state = scratch / f"state-{port}"
    environment = {
        **os.environ, "ACTREEL_WORKERS": str(workers), "ACTREEL_STATE_DIR": str(state),
        "ACTREEL_FEEDBACK_DIR": str(scratch / "feedback"), "ACTREEL_STATISTICS_DIR": str(scratch / "statistics"),
        "BENTOML_DO_NOT_TRACK": "True",
    }  # fmt: skip
    command = [
        sys.executable,
        "-m",
        "bentoml",
        "serve",
        str(bento.resolve()),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    started = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        address = f"http://127.0.0.1:{port}"
        while True:
            try:
                if httpx.get(f"{address}/readyz").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.02)
            if process.poll() is not None:
                raise SystemExit(f"error: '{bento}' does not start. See why: bentoml serve {bento}")
        yield Server(address, process, state, time.perf_counter() - started)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def memory_mb(server: Server) -> float:
    """Proportional set size of the whole process tree: the memory that ending it would free."""
    root = psutil.Process(server.process.pid)
    total = 0
    for one in [root, *root.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):  # decoders come and go
            total += one.memory_full_info().pss
    return total / 1e6


def latency(server: Server, video: bytes, calls: int) -> None:
    """One client, one call after the other, over one connection."""
    whole, decode, model = [], [], []
    with httpx.Client(base_url=server.address, timeout=60) as client:
        for _ in range(calls):
            started = time.perf_counter()
            took = client.post("/predict_file", files={"video": video}).json()["timings_ms"]
            whole.append((time.perf_counter() - started) * 1000)
            decode.append(took["decode"])
            model.append(took["model"])
    share = statistics.median((d + m) / w for w, d, m in zip(whole, decode, model, strict=True))
    print(
        f"  latency: median {statistics.median(whole):.1f} ms, 95 % below {sorted(whole)[int(0.95 * calls)]:.1f} ms; "
        f"decode {statistics.median(decode):.1f}, model {statistics.median(model):.1f}, together {share:.0%}"
    )


def long_video(server: Server, scratch: Path) -> None:
    """Ten minutes of video as a job: time, and memory before and during it."""
    path = write_video(scratch / "long.avi", num_frames=15_000)
    before = peak = memory_mb(server)
    started = time.perf_counter()
    with httpx.Client(base_url=server.address, timeout=60) as client, path.open("rb") as file:
        name = client.post("/jobs", files={"video": file}).json()["id"]
        while (job := client.get(f"/jobs/{name}").json())["state"] in ("queued", "running"):
            peak = max(peak, memory_mb(server))
            time.sleep(0.2)
    if job["state"] != "done":
        raise SystemExit(f"error: the job on the long video failed: {job['error']}")
    print(
        f"  10 minutes of video ({path.stat().st_size / 1e6:.0f} MB): {time.perf_counter() - started:.1f} s; "
        f"memory {before:.0f} MB before, {peak:.0f} MB peak, of which a second decoder takes about 40"
    )


def throughput(server: Server, video: bytes, clients: int, seconds: float) -> float:
    """Answers per second."""
    request = httpx.Request("POST", f"{server.address}/predict_file", files={"video": video})
    # Built once and sent as it is: the client shares the server's cores, and its own work would distort the rate.
    head = b"".join(b"%s: %s\r\n" % pair for pair in request.headers.raw)
    call = b"POST /predict_file HTTP/1.1\r\n" + head + b"\r\n" + request.read()
    done = Counter[int]()
    end = time.perf_counter() + seconds

    def work() -> None:
        with socket.create_connection((request.url.host, request.url.port or 80), timeout=60) as connection:
            while time.perf_counter() < end:
                connection.sendall(call)
                answer = http.client.HTTPResponse(connection)
                answer.begin()
                answer.read()
                done[answer.status] += 1

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if set(done) != {200}:
        raise SystemExit(f"error: not every call was answered 200: {dict(done)}")
    return done[200] / seconds


@dataclass
class Tally:
    """What the clients of the load test got."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0


def load(server: Server, video: bytes, seconds: float) -> None:
    """64 clients that send videos, jobs, pages and nonsense."""
    tally = Tally()
    before = memory_mb(server)
    end = time.perf_counter() + seconds
    threads = [threading.Thread(target=visit, args=(server, video, end, tally, number)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    during = []
    for thread in threads:
        while thread.is_alive():
            thread.join(timeout=MEMORY_EVERY_S)
            if thread.is_alive():
                during.append(f"{memory_mb(server):.0f}")
    statuses: Counter[int] = Counter()
    for (what, status), count in sorted(tally.answers.items()):
        statuses[status] += count
        print(f"  {what}: {count} x {status}")
    print(f"load of {CLIENTS} clients for {seconds:.0f} s: {statuses.total()} answers, {dict(statuses)}")
    print(f"  lost answers: {dict(tally.lost) or 'none'}; slowest answer {tally.slowest_s:.1f} s")
    time.sleep(3)
    left = [path for path in server.state.glob("workers/*/*") if path.name != "lock"]
    print(
        f"  memory {before:.0f} MB before, {' '.join(during)} every {MEMORY_EVERY_S} s, {memory_mb(server):.0f} MB "
        f"after; request folders left: {len(left)}"
    )


def visit(server: Server, video: bytes, end: float, tally: Tally, seed: int) -> None:
    rng = np.random.default_rng(seed)
    while time.perf_counter() < end:
        what = str(rng.choice(list(MIX), p=list(MIX.values())))
        started = time.perf_counter()
        try:
            with httpx.Client(base_url=server.address, timeout=60) as client:
                answer = call(client, what, video, rng)
        except httpx.HTTPError as error:
            tally.lost[f"{what}: {type(error).__name__}"] += 1
            continue
        tally.answers[what, answer.status_code] += 1
        tally.slowest_s = max(tally.slowest_s, time.perf_counter() - started)
        if answer.status_code == 429:
            time.sleep(0.2)


def call(client: httpx.Client, what: str, video: bytes, rng: np.random.Generator) -> httpx.Response:
    match what:
        case "video":
            return client.post("/predict_file", files={"video": video})
        case "job":
            return client.post("/jobs", files={"video": video})
        case "damaged":
            broken = bytearray(video[: int(rng.integers(1, len(video)))])
            for spot in rng.integers(0, len(broken), 50):
                broken[spot] ^= 255
            return client.post("/predict_file", files={"video": bytes(broken)})
        case "no form":
            return client.post("/predict_file", content=b"x" * int(rng.integers(0, 50_000)))
        case "link":
            return client.post("/predict_url", json=NOT_YOUTUBE)
        case "page":
            return client.get(str(rng.choice(["/", "/model", "/docs", "/static/page.js"])))
        case _:
            return client.get("/nowhere")


def write_video(path: Path, num_frames: int = 175, fps: float = 25.0) -> Path:
    """7 s by default, at 320x240: a picture that moves like a hand-held camera's."""
    rng = np.random.default_rng(0)
    picture = cv2.resize(rng.integers(0, 255, (30, 40, 3), dtype=np.uint8), (400, 300), interpolation=cv2.INTER_CUBIC)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"XVID"), fps, (320, 240))
    for number in range(num_frames):
        x, y = (int(40 + 35 * np.sin(number / 9)), int(30 + 25 * np.cos(number / 13)))
        writer.write(np.ascontiguousarray(picture[y : y + 240, x : x + 320]))
    writer.release()
    return path


if __name__ == "__main__":
    main()
