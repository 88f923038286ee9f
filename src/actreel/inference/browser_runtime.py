"""Fetches ONNX Runtime for browsers from npm's registry, and checks that it is the one that is meant."""

from __future__ import annotations

import gzip
import hashlib
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from actreel.base.atomic import written_aside
from actreel.errors import FetchError
from actreel.inference.on_device import PACKED_PROGRAM, PROGRAM, RUNTIME, RUNTIME_VERSION, SCRIPT

SHA256 = {
    SCRIPT: "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    PROGRAM: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
"""Of the package's files that a browser needs. The others, 110 MB, are for graphics cards and for debugging."""

TIMEOUT_S = 600.0

log = logging.getLogger(__name__)


def fetch_runtime(folder: Path) -> None:
    """Puts the runtime's two files into a folder, the WebAssembly packed with gzip.

    Deno fetches the package, which is installed for YouTube's links anyway: it asks npm's registry, or the one of
    `NPM_CONFIG_REGISTRY`, and runs none of the package's scripts. The digests here decide, whoever answered.

    Raises:
        FetchError: The registry cannot be reached, Deno is not installed, or a file is another one.
    """
    with tempfile.TemporaryDirectory(prefix="actreel-npm-") as scratch:
        log.info(f"fetching {RUNTIME} {RUNTIME_VERSION} from npm's registry")
        _fetch(Path(scratch))
        for name, digest in SHA256.items():
            content = _checked(Path(scratch), name, digest)
            packed = name == PROGRAM
            with written_aside(folder / (PACKED_PROGRAM if packed else name)) as aside:
                aside.write_bytes(gzip.compress(content, mtime=0) if packed else content)


def _fetch(scratch: Path) -> None:
    """Makes Deno put the package into its cache, `scratch`."""
    command = [sys.executable, "-m", "deno", "cache", "--no-config", "--quiet", f"npm:{RUNTIME}@{RUNTIME_VERSION}"]
    environment = os.environ | {"DENO_DIR": str(scratch), "NO_COLOR": "1"}
    try:
        subprocess.run(
            command, cwd=scratch, env=environment, check=True, capture_output=True, text=True, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        raise _not_fetched(f"it took more than {TIMEOUT_S:g} s") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().splitlines()
        raise _not_fetched(said[0] if said else "no reason given") from error


def _not_fetched(reason: str) -> FetchError:
    return FetchError(
        f"The npm package {RUNTIME} {RUNTIME_VERSION} could not be fetched: {reason}. Is npm's registry reachable, "
        "and Deno installed (pip install 'actreel[youtube]')? To package without it: "
        "dvc exp run -S package.on_device=false"
    )


def _checked(scratch: Path, name: str, digest: str) -> bytes:
    """A file of the fetched package."""
    for file in scratch.glob(f"npm/*/{RUNTIME}/{RUNTIME_VERSION}/dist/{name}"):
        content = file.read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != digest:
            raise FetchError(
                f"'{name}' of the npm package {RUNTIME} {RUNTIME_VERSION} must have the sha256 {digest}. "
                f"Received: {found}. It is not used: ask whoever runs the registry that npm is set to."
            )
        return content
    raise _not_fetched(f"it holds no dist/{name}")
