"""ONNX Runtime for browsers, for tests: fetched from npm's registry once, and kept in pytest's cache."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from actreel.errors import FetchError
from actreel.inference.browser_runtime import fetch_runtime
from actreel.inference.on_device import PACKED_PROGRAM, RUNTIME, RUNTIME_VERSION, SCRIPT, runtime_files


def add_real_runtime(model: Path, config: pytest.Config) -> None:
    """Puts the runtime beside a model; skips the test where npm's registry cannot be reached."""
    if config.cache is None:
        pytest.skip("pytest's cache is switched off, so there is no place for the runtime")
    kept = config.cache.mkdir(f"{RUNTIME}-{RUNTIME_VERSION}")
    if not runtime_files(kept):
        try:
            fetch_runtime(kept / RUNTIME)
        except FetchError as error:
            pytest.skip(str(error))
    shutil.copytree(kept / RUNTIME, model / RUNTIME)


def add_stand_in(model: Path) -> None:
    """Puts files of the runtime's names beside a model, for tests that run none of them."""
    (model / RUNTIME).mkdir()
    for name in (SCRIPT, PACKED_PROGRAM):
        (model / RUNTIME / name).write_bytes(name.encode())
