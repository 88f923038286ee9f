"""Checks of what the project is built on: codecs, YouTube, settings, MLflow, DVC, the model, a GPU."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

from actreel.base.places import DVC_LOCK, MLFLOW_DATABASE, MODEL, PIPELINE
from actreel.config import ClipSpec, load_params
from actreel.errors import VideoError
from actreel.project.findings import REINSTALL, Finding, fault, fine, note

NO_PROJECT = "this folder is no project's"
CLIPS = Path(__file__).parent / "clips"
"""A film of 64 pixels and four frames for each common codec, made with ffmpeg's test pattern."""
CODECS = {
    "h264.mp4": "H.264", "hevc.mp4": "HEVC", "vp8.webm": "VP8", "vp9.webm": "VP9", "av1.mp4": "AV1",
    "xvid.avi": "MPEG-4 (Xvid)", "mpeg2.mpg": "MPEG-2", "mjpeg.avi": "Motion JPEG", "divx3.avi": "DivX 3",
    "wmv2.wmv": "WMV 2", "sorenson.flv": "Sorenson (FLV)", "theora.ogv": "Theora",
}  # fmt: skip
PARITY = 1e-4


def codecs() -> Finding:
    """Whether a film of each common codec is decoded."""
    from actreel.video.clips import load_clip

    refused = []
    for name, codec in CODECS.items():
        try:
            frames = load_clip(CLIPS / name, ClipSpec(num_frames=2, height=32, width=32))
        except VideoError:
            refused.append(codec)
            continue
        if frames.std() < 10:  # the test pattern is colourful
            refused.append(codec)
    if refused:
        return fault(f"not decoded: {', '.join(refused)}", REINSTALL)
    return fine(f"decoded: {', '.join(CODECS.values())}")


def youtube() -> Finding:
    """Whether yt-dlp finds a JavaScript runtime and the code that it runs there."""
    if find_spec("yt_dlp") is None:
        return note("yt-dlp is not installed; links to YouTube need it", "pip install 'actreel[youtube]'")
    # What it says of itself at the start of a verbose run; without a link it then ends with its usage.
    command = [sys.executable, "-P", "-m", "yt_dlp", "--ignore-config", "--verbose"]
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=60)
    own = re.search(r"yt-dlp version \S*?@?([\d.]+)", done.stderr)
    runtimes = re.search(r"JS runtimes: (.+)", done.stderr)
    solver = re.search(r"yt_dlp_ejs-([\w.]+)", done.stderr)
    if own is None or runtimes is None:
        return fault("yt-dlp does not start", "make youtube")
    said = f"yt-dlp {own[1]}, JavaScript: {runtimes[1]}, yt-dlp-ejs {solver[1] if solver else 'missing'}"
    broken = solver is None or runtimes[1].startswith("none") or "unsupported" in runtimes[1]
    return fault(said, "make youtube") if broken else fine(said)


def settings() -> Finding:
    """Whether params.yaml can be read."""
    if not PIPELINE.is_file():
        return note(NO_PROJECT, "cd PATH/TO/PROJECT")
    params = load_params()
    return fine(f"params.yaml: dataset '{params.dataset.label}', {params.model.title}")


def mlflow() -> Finding:
    """Whether MLflow's store opens, and is of this MLflow's version."""
    server = os.environ.get("MLFLOW_TRACKING_URI")
    if not server:
        if not MLFLOW_DATABASE.is_file():
            return fine("no runs yet: the first training makes the store") if PIPELINE.is_file() else note(NO_PROJECT)
        # Read-only: MLflow itself would begin a new database in place of an empty file.
        with closing(sqlite3.connect(f"{MLFLOW_DATABASE.absolute().as_uri()}?mode=ro", uri=True)) as database:
            try:
                (whole,) = database.execute("PRAGMA quick_check(1)").fetchone()
            except sqlite3.DatabaseError as error:
                whole = str(error)
        if whole != "ok":
            aside = f"mv {MLFLOW_DATABASE} {MLFLOW_DATABASE}.damaged"
            return fault(f"{MLFLOW_DATABASE} is damaged ({whole}); put a backup in its place, or begin again", aside)
    from actreel.tracking.store import look_into

    found = look_into()
    if found.out_of_date:
        return fault(f"{found.address} was written by another MLflow: {found.out_of_date}",
                     f"mlflow db upgrade {found.address}")  # fmt: skip
    return fine(f"{found.address}: {found.models} registered models")


def dvc() -> Finding:
    """Whether DVC runs here, its cache can be reached, and nobody holds its lock."""
    from actreel.dataset.fetch.dvc_internals import cache_folder, lock_is_whole
    from actreel.project.running import command_of, holders

    if not PIPELINE.is_file():
        return note(NO_PROJECT)
    cache = cache_folder()
    there = next(parent for parent in (cache, *cache.parents) if parent.exists())
    if not os.access(there, os.R_OK | os.W_OK | os.X_OK):
        return fault(f"its cache '{cache}' cannot be read and written", f"sudo chown -R \"$(id -un)\" '{there}'")
    if DVC_LOCK.exists() and not lock_is_whole(DVC_LOCK):
        return fault(f"{DVC_LOCK} was left half-written by a run that was killed", "make repro")
    pids = holders()
    if pids is not None:
        who = ", ".join(f"process {pid} ({command_of(pid)})" for pid in pids) or "a process"
        return note(f"cache at {cache}; a run is in progress: {who}", "actreel status")
    return fine(f"cache at {cache}; no run is in progress")


def model() -> Finding:
    """Whether the model loads and answers, and its files agree."""
    import numpy as np

    from actreel.inference.classifier import ActionClassifier
    from actreel.inference.model_folder import ModelFolder, default_model
    from actreel.video.clips import load_clip

    folders = [folder for folder in dict.fromkeys((default_model(), MODEL)) if ModelFolder(folder).manifest.is_file()]
    if not folders:
        return note("none yet", "make repro") if PIPELINE.is_file() else note(f"none: {NO_PROJECT}")
    said = []
    for folder in folders:
        classifier = ActionClassifier.load(folder, threads=1)
        if classifier.card.track and classifier.card.track.signals:
            said.append(f"{folder} loads; it needs signals, so it was not asked")
            continue
        (top, *_) = classifier.predict(CLIPS / "h264.mp4")
        files = ModelFolder(folder)
        told = f"{folder} knows {len(classifier.card.labels)} actions and answers"
        if not 0 < top.confidence <= 1:
            return fault(f"{folder} answers with a confidence of {top.confidence}", "dvc repro --force train")
        if files.onnx.is_file() and files.network_files() != (files.onnx,):
            clip = load_clip(CLIPS / "h264.mp4", classifier.card.clip)[np.newaxis]
            track = classifier.track_of(CLIPS / "h264.mp4")
            parts, whole = (each.score(clip, track).probabilities
                            for each in (classifier, ActionClassifier.load(folder, threads=1, whole=True)))  # fmt: skip
            if not (apart := float(np.abs(parts - whole).max())) <= PARITY:
                return fault(f"the files of {folder} do not belong together: their answers differ by {apart:.2g}",
                             "dvc repro --force train")  # fmt: skip
            told += ", its files agree"
        said.append(told)
    return fine("; ".join(said))


def gpu() -> Finding:
    """Which GPU there is; none is no fault."""
    import onnxruntime

    from actreel.training.gpu import CUDA, gpus

    found = gpus()
    if not found:
        return fine("none; the CPU is used")
    if CUDA not in onnxruntime.get_available_providers():
        return note(f"{len(found)}, but ONNX Runtime cannot use it", "make setup GPU=1")
    return fine(f"{len(found)}: {', '.join(each.name for each in found)}")
