"""Real servers on loopback, with limits low enough for tests to reach."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest

from actreel.config import ClipSpec
from actreel.inference.classifier import ClassifierCard
from actreel.video.opencv import cv2
from tests.conftest import (
    ROOT,
    children_running,
    free_port,
    grey_frames,
    patience,
    write_model_folder,
    write_video_file,
)
from tests.warm_python import Started, warm_python

LABELS = ("dark", "middle", "bright")
CLIP_DURATION_S = 2.0
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""There is no TLS on loopback, and to load all certificates takes longer than most calls."""

MAX_UPLOAD_BYTES = 3 * 2**20
MAX_DURATION_S = 60
MAX_FRAMES = 2000


@dataclass
class Server:
    """A running server."""

    address: str
    process: subprocess.Popen[bytes] | Started
    state: Path
    feedback: Path
    log_file: Path

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.address, timeout=30, verify=NO_CERTIFICATES, **options)

    @property
    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8")

    @property
    def decoders(self) -> list[psutil.Process]:
        return children_running(self.process.pid, "serving.sandbox.decoder")

    def only_decoder(self) -> psutil.Process:
        """Its only decoder, once those of earlier jobs and killed ones have ended."""
        (decoder,) = wait_for(lambda: len(found := self.decoders) == 1 and found)
        return decoder

    def leftovers(self) -> list[Path]:
        """Files left by finished requests."""
        return [path for path in (self.state / "workers").glob("*/*") if path.name != "lock"]


Serve = Callable[..., Server]


def wait_for(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Waits until the condition is true, and returns its value."""
    end = time.monotonic() + patience(seconds)
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.02)
    return found


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_served_model(tmp_path_factory.mktemp("served") / "model")


def write_served_model(folder: Path) -> Path:
    """A model that labels a clip by its brightness, if that is near an action's; its manifest says clips of 2 s."""
    spec = ClipSpec(num_frames=8, height=32, width=32)
    write_model_folder(folder, spec, LABELS, max_distance=0.2, in_parts=True)
    card = ClassifierCard.model_validate_json((folder / "classifier.json").read_text(encoding="utf-8"))
    card.model_copy(update={"clip_duration_s": CLIP_DURATION_S}).save(folder)
    return folder


@pytest.fixture(scope="session")
def serve(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Starts servers; settings are given by name, as `serve(max_jobs=1)`, and another model as `serve(folder)`."""
    started: list[Server] = []

    def start(model: Path = model_folder, **settings: Any) -> Server:
        server = launch(model, tmp_path_factory.mktemp("home"), **settings)
        started.append(server)
        return server

    yield start
    for server in started:
        server.process.send_signal(signal.SIGTERM)
    for server in started:
        stop(server)


def launch(
    model_folder: Path, home: Path, prefix: Sequence[str] = (), extra: Mapping[str, str] | None = None, **settings: Any
) -> Server:
    """Starts a server, and waits until it answers.

    Args:
        model_folder: The model.
        home: Where its files go.
        prefix: Put before its command.
        extra: Added to its environment.
        settings: Those of `serving.settings`.
    """
    defaults = {
        "state_dir": home / "state",
        "feedback_dir": home / "feedback",
        "statistics_dir": home / "statistics",
        "max_upload_bytes": MAX_UPLOAD_BYTES,
        "max_duration_s": MAX_DURATION_S,
        "max_pixels": 1920 * 1080,
        "max_frames": MAX_FRAMES,
        "slow_sender_s": 2,
    }
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ACTREEL_")},
        **{f"ACTREEL_{name.upper()}": str(value) for name, value in {**defaults, **settings}.items()},
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
        **(extra or {}),
    }
    port = free_port()
    log_file = home / "log"
    module, arguments = "tests.serving.launch", [str(model_folder), str(port)]
    process: subprocess.Popen[bytes] | Started
    with log_file.open("wb") as log:
        if prefix or extra:
            process = subprocess.Popen(
                [*prefix, sys.executable, "-m", module, *arguments], cwd=ROOT, env=environment, stdout=log, stderr=log
            )
        else:
            process = warm_python().start(module, arguments, ROOT, environment, log.fileno())
    state = Path(environment["ACTREEL_STATE_DIR"])
    server = Server(f"http://127.0.0.1:{port}", process, state, Path(environment["ACTREEL_FEEDBACK_DIR"]), log_file)

    def answers() -> bool:
        if process.poll() is not None:
            raise RuntimeError(server.log)
        try:
            return httpx.get(f"{server.address}/model", verify=NO_CERTIFICATES).status_code == 200
        except httpx.TransportError:
            return False

    wait_for(answers, 20)
    return server


def stop(server: Server) -> None:
    """Ends a server, however it takes."""
    server.process.send_signal(signal.SIGTERM)
    try:
        server.process.wait(patience(10))
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()


@pytest.fixture(scope="session")
def server(serve: Serve) -> Server:
    """The server that most tests share."""
    return serve()


@pytest.fixture(scope="session")
def narrow(serve: Serve) -> Server:
    """A server that is soon full: 2 videos, 3 jobs, 1 event stream and 2 cameras of 10 small frames a second."""
    return serve(
        max_requests=2, max_jobs=3, max_streams=1, max_cameras=2, camera_frames_per_s=10, camera_frame_bytes=10_000
    )


@pytest.fixture
def halted(narrow: Server, films: Path) -> Iterator[psutil.Process]:
    """The decoder of `narrow`, standing still: it simulates a video that takes long."""
    with narrow.client() as client:  # one that has answered is there and ready
        client.post("/predict_file", files={"video": (films / "grey.avi").read_bytes()}).raise_for_status()
    decoder = narrow.only_decoder()
    decoder.suspend()
    yield decoder
    with suppress(psutil.NoSuchProcess):
        decoder.kill()


@pytest.fixture(scope="session")
def locked(serve: Serve) -> Server:
    """A server that requires the key "open sesame", and lets a video be decoded for 2 s."""
    return serve(api_key="open sesame", decode_timeout_s=2)


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of videos: `grey.avi` (1 s), `noisy.avi` (1 s), `dark_bright.avi` (12 s), `long.avi` (40 s), and
    `odd.avi` (12 s), of which two thirds show no action that the model knows."""
    folder = tmp_path_factory.mktemp("films")
    rng = np.random.default_rng(7)
    write_video_file(folder / "grey.avi", grey_frames([128] * 25))
    noise = [rng.integers(0, 255, (48, 64, 3)).astype(np.uint8) for _ in range(25)]
    write_video_file(folder / "noisy.avi", noise)
    write_video_file(folder / "dark_bright.avi", grey_frames([5] * 150 + [250] * 150))
    write_video_file(folder / "odd.avi", grey_frames([64] * 200 + [250] * 100))
    picture = cv2.resize(rng.integers(0, 255, (6, 8, 3)).astype(np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)
    frames = (np.roll(picture, place // 10, axis=1) for place in range(1000))
    write_video_file(folder / "long.avi", frames, codec="XVID")
    return folder
