"""dvc.yaml against the code: a stage reruns when what it imports or reads changes."""

import ast
from pathlib import Path

import grimp
import pytest
import yaml

ROOT = Path(__file__).parents[1]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
SECTIONS = {"validate": "validate_"}


def room_of(module: str) -> str:
    """The folder of `src/actreel` that a module lies in, or the file itself at its top; a file of `pipelines`."""
    if not module.startswith("actreel."):
        return f"{module.replace('.', '/')}.py"
    room = Path("src/actreel", module.split(".")[1])
    return room.as_posix() if (ROOT / room).is_dir() else f"{room.as_posix()}.py"


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("actreel", "pipelines", cache_dir=None)


@pytest.mark.parametrize("stage", STAGES)
def test_every_imported_folder_is_a_dependency(stage: str, graph: grimp.ImportGraph) -> None:
    module = f"pipelines.{stage}"
    imported = ({module} | graph.find_upstream_modules(module)) - {"pipelines", "actreel"}
    listed = {dep for dep in STAGES[stage]["deps"] if dep.startswith(("src/", "pipelines/"))}
    assert listed == {room_of(name) for name in imported}


def test_a_stage_is_read_at_a_glance() -> None:
    assert max(len(stage["deps"]) for stage in STAGES.values()) <= 20


@pytest.mark.parametrize("stage", STAGES)
def test_params_are_those_that_the_stage_reads(stage: str) -> None:
    tree = ast.parse((ROOT / "pipelines" / f"{stage}.py").read_text(encoding="utf-8"))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    inner = {id(node.value) for node in nodes}
    chains = [ast.unparse(node) for node in nodes if id(node) not in inner]
    read = {chain.removeprefix("params.") for chain in chains if chain.startswith("params.")}
    # A stage lists a section, or only the keys of it that it reads.
    listed = {SECTIONS.get(name, name) for name in STAGES[stage]["params"]}
    covers = {name: {key for key in read if f"{key}.".startswith(f"{name}.")} for name in listed}
    assert all(covers.values())
    assert set().union(*covers.values()) == read


def test_a_stage_stands_for_each_file() -> None:
    files = {path.stem for path in (ROOT / "pipelines").glob("*.py")} - {"__init__"}
    assert files == {
        *STAGES,
        "bento_store",
        "fetch",
        "learn",
        "pose",
        "repro",
        "summary",
    }  # bento_store is a part of package; data.dvc is the stage of fetch; the others come before and after stages
