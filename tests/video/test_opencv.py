from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


def test_only_one_module_imports_opencv() -> None:
    """Its log level must be set before anyone loads it."""
    folders = ("src", "serving", "pipelines", "tests", "benchmarks")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    words = ("import " + "cv2", "from " + "cv2")
    lines = {file: file.read_text(encoding="utf-8").splitlines() for file in files}
    importers = [file for file in files if any(line.strip().startswith(words) for line in lines[file])]
    assert importers == [ROOT / "src" / "actreel" / "video" / "opencv.py"]


@pytest.mark.parametrize("first", ["actreel.cli", "serving.sandbox.decoder", "serving.recognition", "tests.conftest"])
def test_nothing_but_our_own_words_is_on_the_terminal(first: str, tmp_path: Path) -> None:
    (tmp_path / "broken.avi").write_bytes(b"RIFF" + bytes(2000))
    code = (
        f"import {first}\nfrom actreel.video.opencv import cv2\nfrom actreel.video.decode import probe\n"
        f"cv2.VideoCapture('{tmp_path}/none_%d.avi')\n"
        f"try: probe(__import__('pathlib').Path('{tmp_path}/broken.avi'))\nexcept Exception: pass\n"
    )
    # This process has set it, and a child would inherit it.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENCV_")}
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert said.stderr == ""
