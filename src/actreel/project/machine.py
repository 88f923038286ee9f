"""Checks of the machine: Python, packages, disk, memory, folders, ports, ffmpeg."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

import actreel
from actreel.base.places import ARTIFACTS, CLIPS, FEATURES, PARAMS, PIPELINE, REPORTS, SERVED
from actreel.base.ports import check_free
from actreel.errors import ConfigError
from actreel.feedback import default_folder
from actreel.project.findings import REINSTALL, Finding, fault, fine, note

EXTRAS = {"": "onnxruntime", "pipeline": "dvc", "serve": "bentoml", "youtube": "yt-dlp", "dev": "pytest"}
"""The extras, each with a package that is installed with it alone."""
FOR_A_PROJECT = frozenset({"", "pipeline", "serve", "youtube"})
PORTS = {3000: "make serve", 5000: "make ui"}
MIN_MEMORY_GB = 1.0
BASE_GB = 0.6
"""Model, registry, reports and Bento of a small model, beside its clips."""
UCF50_CLIPS, UCF50_ARCHIVE_GB = 6700, 3.3


def python() -> Finding:
    """Python's version, where it is, and whether what it runs is the code in this folder."""
    asked = metadata("actreel")["Requires-Python"] or ">=3.11"
    bounds = [(sign, tuple(map(int, number.split(".")))) for sign, number in re.findall(r"([<>]=?)\s*([\d.]+)", asked)]
    own = sys.version_info[:2]
    fits = all(own >= bound if sign == ">=" else own < bound for sign, bound in bounds)
    said = f"{platform.python_version()} at {sys.executable}"
    here, installed = Path("src", "actreel"), Path(actreel.__file__).parent
    if PIPELINE.is_file() and here.is_dir() and not here.samefile(installed):
        return fault(
            f"{said}, whose code is that of another folder, '{installed}'", "make setup && source .venv/bin/activate"
        )
    return fine(said) if fits else fault(f"{said}; it must be {asked}", "rm -rf .venv && make PYTHON=python3.12 setup")


def packages() -> Finding:
    """The extras that are installed, and versions that differ from the lock."""
    wanted = _wanted()
    there = {extra: _version_of(mark) is not None for extra, mark in EXTRAS.items()}
    missing = [name for extra, names in wanted.items() if there.get(extra) for name in names if not _version_of(name)]
    installed = ", ".join(extra for extra, found in there.items() if extra and found) or "none"
    if missing:
        return fault(f"extras: {installed}; not installed: {', '.join(sorted(set(missing)))}", REINSTALL)
    if PIPELINE.is_file() and (without := [extra for extra in FOR_A_PROJECT if not there[extra]]):
        return fault(f"extras: {installed}; a project needs {', '.join(sorted(without))}", REINSTALL)
    pinned = _pinned()
    other = [
        f"{name} {own} (locked: {' or '.join(sorted(pinned[name]))})"
        for name in sorted({name for extra, names in wanted.items() if there.get(extra) for name in names})
        if (own := _version_of(name)) and name in pinned and own not in pinned[name]
    ]
    if other:
        return note(
            f"extras: {installed}; not as in the lock: {', '.join(other)}", "touch pyproject.toml && make setup"
        )
    return fine(f"actreel {version('actreel')}; extras: {installed}" + ("; all as in the lock" if pinned else ""))


def _wanted() -> dict[str, list[str]]:
    """The packages that each extra asks for by name; those for some platforms only are left out."""
    wanted: dict[str, list[str]] = {"": []}
    for requirement in requires("actreel") or ():
        asked, _, marker = requirement.partition(";")
        extra = re.fullmatch(r"\s*extra == ['\"](\w+)['\"]\s*", marker)
        name = re.split(r"[^\w.-]", asked.strip())[0].lower()
        if name != "actreel" and (extra or not marker.strip()):
            wanted.setdefault(extra[1] if extra else "", []).append(name)
    return wanted


def _version_of(name: str) -> str | None:
    for each in (name, f"{name}-gpu"):  # ONNX Runtime, set up with GPU=1
        try:
            return version(each)
        except PackageNotFoundError:
            continue
    return None


def _pinned() -> dict[str, set[str]]:
    """The versions in the lock that this environment was made from; empty outside of the repository."""
    gpu = (Path(sys.prefix) / ".installed-gpu").exists()
    lock = Path("requirements-gpu.lock" if gpu else "requirements.lock")
    pinned: dict[str, set[str]] = {}
    if PIPELINE.is_file() and lock.is_file():
        for name, number in re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE):
            pinned.setdefault(name, set()).add(number)
    return pinned


def disk() -> Finding:
    """Free space, beside what the dataset needs."""
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    if not PARAMS.is_file():
        return fine(f"{free:.1f} GB free")
    needed = _needed_gb()
    said = f"{free:.1f} GB free; the dataset needs about {needed:.1f} GB from its first run on"
    if free >= needed:
        return fine(said)
    free_up = "dvc gc --workspace"
    return note(said, free_up) if CLIPS.exists() or FEATURES.exists() else fault(said, free_up)


def _needed_gb() -> float:
    """What a first run writes: frames or features of every clip as they are stored, and the rest."""
    from actreel.config import load_params
    from actreel.dataset.folder import read_folder

    params = load_params()
    path = Path(params.dataset.path)
    needed = BASE_GB
    if params.dataset.name == "demo":
        clips = params.dataset.demo_groups * params.dataset.demo_clips * 10
    elif path.is_dir():
        clips = len(read_folder(path).clips)
    else:
        clips = UCF50_CLIPS
        needed += UCF50_ARCHIVE_GB * (1 if path.is_file() else 2)
    spec, stored = params.clip, 0.0
    if not params.model.frozen or params.train.fine_tune:
        stored += spec.num_frames * spec.height * spec.width * 3
    if params.model.frozen:
        stored += spec.num_frames * 1280 * 4
    return needed + clips * stored / 1e9


def memory() -> Finding:
    """Memory that is free now."""
    import psutil

    found = psutil.virtual_memory()
    said = f"{found.available / 1e9:.1f} of {found.total / 1e9:.1f} GB free, {os.cpu_count()} cores"
    enough = found.available / 1e9 >= MIN_MEMORY_GB
    return (
        fine(said)
        if enough
        else fault(f"{said}; training needs about {MIN_MEMORY_GB:g} GB", "ps aux --sort=-rss | head")
    )


def folders() -> Finding:
    """The folders that are written to."""
    wanted = [Path(tempfile.gettempdir()), default_folder()]
    if PIPELINE.is_file():
        home = Path(os.environ.get("BENTOML_HOME", Path.home() / "bentoml"))
        wanted += [Path.cwd(), ARTIFACTS, REPORTS, Path(".dvc"), SERVED, home]
    refused = {}
    for folder in wanted:
        there = folder.absolute()
        while not there.exists():
            there = there.parent
        try:
            with tempfile.TemporaryFile(dir=there):
                pass
        except OSError as error:
            refused[there] = error.strerror or str(error)
    if refused:
        told = ", ".join(f"'{folder}' ({why})" for folder, why in refused.items())
        names = " ".join(f"'{folder}'" for folder in refused)
        return fault(f"cannot be written to: {told}", f'sudo chown -R "$(id -un)" {names}')
    return fine(f"{len(wanted)} folders can be written to")


def ports() -> Finding:
    """The ports that service and MLflow's page listen at."""
    from actreel.base.served import find_server

    taken, said = [], []
    ours = find_server(SERVED)
    for port, command in PORTS.items():
        try:
            check_free("127.0.0.1", port, command)
            said.append(f"{port} is free")
        except ConfigError:
            if ours is not None and str(port) in ours.cmdline():
                said.append(f"{port} is this project's own server")
            else:
                taken.append(f"{command} PORT={port + 1}")
                said.append(f"{port} is in use")
    return note(", ".join(said), " or ".join(taken)) if taken else fine(", ".join(said))


def ffmpeg() -> Finding:
    """The program ffmpeg, which only conversions by hand need."""
    program = shutil.which("ffmpeg")
    if program is None:
        return note("not installed; videos that cannot be read are converted with it", "sudo apt-get install ffmpeg")
    done = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=20)
    words = done.stdout.split()
    if done.returncode or len(words) < 3:
        return note(f"{program} does not run", "sudo apt-get install --reinstall ffmpeg")
    return fine(f"{words[2]} at {program}")
