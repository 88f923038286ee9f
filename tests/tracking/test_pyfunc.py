"""The registered classifier in a virtual environment that holds its declared requirements and nothing else."""

import base64
import json
import os
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pandas as pd
import pytest
from packaging.requirements import Requirement

from actreel.config import ClipSpec, Params
from actreel.errors import VideoError
from actreel.inference.model_folder import ModelFolder
from actreel.tracking import registry, runs
from actreel.tracking.pyfunc import PathClassifier, video_file
from tests.conftest import grey_frames, patience, write_model_folder, write_video_file

UV = Path(sys.executable).with_name("uv")
PREDICT = """
import importlib.util, json, sys
import mlflow

assert importlib.util.find_spec("actreel") is None, "the package must come from the logged model"
model = mlflow.pyfunc.load_model(sys.argv[1])
answers = model.predict([sys.argv[2]]) + model.predict(model.input_example)
print(json.dumps([[answer.label, answer.known] for answer in answers]))
"""


def link_installed(requirements: list[Requirement], packages: Path) -> None:
    """Links what is required, and what that requires, from the tests' environment, with what is compiled of it."""
    done: set[str] = set()
    linked: set[str] = set()
    while requirements:
        required = requirements.pop()
        found = distribution(required.name)
        assert required.specifier.contains(found.version, prereleases=True), f"{required}: {found.version} is installed"
        if str(required) in done:
            continue
        done.add(str(required))
        for further in map(Requirement, found.requires or ()):
            extras = [{"extra": extra} for extra in ("", *required.extras)]
            if further.marker is None or any(map(further.marker.evaluate, extras)):
                requirements.append(further)
        for file in found.files or ():
            # A package whole, with what is compiled of it; of a namespace, which packages share, the file.
            whole = Path(str(found.locate_file(file.parts[0]))) / "__init__.py"
            name = Path(file.parts[0]) if whole.is_file() else Path(file)
            if ".." in name.parts or str(name) in linked:  # a program in bin
                continue
            linked.add(str(name))
            (packages / name).parent.mkdir(parents=True, exist_ok=True)
            (packages / name).symlink_to(str(found.locate_file(name)))


def test_a_clean_environment_with_the_declared_requirements_predicts(
    project: Path, params: Params, index: pd.DataFrame, spec: ClipSpec
) -> None:
    folder = write_model_folder(project / "model", spec, ("dark", "bright"))
    ModelFolder(folder).seen_clips.write_text("0\n", encoding="utf-8")
    with runs.training_run(params, params.split, index, "abc"):
        registry.register("actreel-grey", folder, {})
    (logged,) = {path.parent for path in (project / "mlartifacts").rglob("python_model.pkl")}
    video = write_video_file(project / "video.avi", grey_frames([250] * 4))

    venv = project / "clean"
    subprocess.run(
        [str(UV), "venv", "--quiet", "--python", sys.executable, str(venv)], check=True, timeout=patience(60)
    )
    (packages,) = venv.glob("lib/*/site-packages")
    requirements = (logged / "requirements.txt").read_text(encoding="utf-8").splitlines()
    link_installed([Requirement(line) for line in requirements], packages)
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    answer = subprocess.run(
        [str(venv / "bin" / "python"), "-c", PREDICT, str(logged), str(video)],
        cwd=venv, env=env, capture_output=True, text=True, timeout=patience(60),
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout) == [["bright", True], ["dark", True]]


def test_a_video_is_read_from_a_path_and_from_a_data_uri(tmp_path: Path) -> None:
    with video_file(str(tmp_path / "any.avi")) as path:
        assert path == tmp_path / "any.avi"
    content = write_video_file(tmp_path / "video.avi", grey_frames([250] * 4)).read_bytes()
    with video_file(f"data:video/avi;base64,{base64.b64encode(content).decode()}") as path:
        assert path.read_bytes() == content
    assert not path.exists()


@pytest.mark.parametrize("source", ["data:video/mp4;base64,no base64!", "data:video/mp4,abc", "data:"])
def test_a_data_uri_without_base64_is_refused(source: str) -> None:
    with pytest.raises(VideoError, match=r"as 'data:video/mp4;base64,\.\.\.'\. Received: 'data:"), video_file(source):
        pass


def test_importing_the_logged_class_imports_nothing_that_trains() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", f"import {PathClassifier.__module__}, sys; print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    ours = {name.split(".")[1] for name in loaded if name.startswith("actreel.")}
    assert ours.isdisjoint({"dataset", "training", "evaluation", "models", "quiet_keras"})
