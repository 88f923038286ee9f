import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import mlflow
import pytest

from actreel.cli import main
from actreel.config import ClipSpec
from actreel.errors import ModelError
from actreel.experiments.compare import compare
from actreel.inference.model_folder import ModelFolder
from actreel.tracking import registry, runs, store
from tests.conftest import write_model_folder

HEADER = "clip,sha256,group,actual,predicted,confidence"


def answers(right: str, groups: str, start: int = 0) -> str:
    """One clip for each character: + is classified correctly."""
    rows = [
        f"c{place}.avi,{place:064x},g{group},nan,{'nan' if sign == '+' else 'other'},0.9"
        for place, (sign, group) in enumerate(zip(right, groups, strict=True), start)
    ]
    return "\n".join([HEADER, *rows]) + "\n"


RUNS: dict[str, tuple[str, dict[str, str], dict[str, float]]] = {
    "first": (answers("++++----", "11223344"), {"head": "lstm", "seed": "0"}, {"accuracy": 0.5, "flops": 12000.0}),
    "second": (answers("++++++-+", "11223344"), {"head": "gru", "seed": "0"}, {"accuracy": 0.875}),
    "later": (answers("-++", "344", start=5), {"head": "gru", "seed": "0"}, {"accuracy": 0.6667}),
    "elsewhere": (answers("++", "11", start=100), {"head": "gru", "seed": "0"}, {}),
    "old": ("clip,actual,predicted,confidence\nc.avi,a,a,1\n", {}, {}),
    "not evaluated": ("", {}, {}),
}


@pytest.fixture(scope="module")
def ids(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """Runs by name, in a store of their own; two more are called twin."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "")  # MLflow sets it; so it is as before at the end
        patch.chdir(folder := tmp_path_factory.mktemp("store"))
        (folder / "dvc.yaml").touch()
        store.connect()
        ids = {}
        for name, (table, params, metrics) in RUNS.items():
            with mlflow.start_run(run_name=name, tags={"dataset": "grey"}) as run:
                mlflow.log_params(params)
                mlflow.log_metrics(metrics)
                if table:
                    mlflow.log_text(table, "reports/answers.csv")
            ids[name] = run.info.run_id
        for _ in range(2):
            mlflow.start_run(run_name="twin")
            mlflow.end_run()
        yield ids


def test_the_paired_test_by_hand(ids: Mapping[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    main(["compare", ids["first"], "second", "--json"])
    result = json.loads(capsys.readouterr().out)
    (pair,) = result["pairs"]
    assert (pair["first"], pair["second"]) == (ids["first"], ids["second"])
    assert (pair["clips"], pair["groups"]) == (8, 4)
    assert (pair["first_accuracy"], pair["second_accuracy"], pair["difference"]) == (0.5, 0.875, 0.375)
    assert (pair["only_first_right"], pair["only_second_right"]) == (0, 3)
    assert pair["p_value"] == pytest.approx(2 * 0.5**3)
    # Groups 1 and 2 gain nothing, 3 gains 1 and 4 gains 1/2: four groups cannot tell it from no gain.
    assert -0.3 < pair["low"] < 0
    assert 0.6 < pair["high"] < 0.9
    assert result["differing_params"] == ["head"]
    assert [run["metrics"]["accuracy"] for run in result["runs"]] == [0.5, 0.875]


def test_only_shared_test_clips_count(ids: Mapping[str, str]) -> None:
    (with_later, with_second) = compare(["first", ids["later"][:10], "second"])["pairs"]
    assert (with_later["clips"], with_later["groups"], with_second["clips"]) == (3, 2, 8)
    assert (with_later["first_accuracy"], with_later["difference"]) == (0, pytest.approx(2 / 3))
    (same,) = compare(["later", "second"])["pairs"]
    assert (same["only_first_right"], same["only_second_right"], same["p_value"]) == (1, 1, 1.0)


def test_the_table_shows_runs_side_by_side(ids: Mapping[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    main(["compare", "first", "second"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [ids["first"][:8], ids["second"][:8]]
    assert lines[1].split() == ["first", "second"]
    assert ["head", "lstm", "gru"] in [line.split() for line in lines]
    assert ["flops", "12,000", "-"] in [line.split() for line in lines]
    assert not any(line.startswith("seed") for line in lines)
    assert any("p = 0.25" in line for line in lines)
    assert any("which includes 0; it is wide, since 4 groups are few" in line for line in lines)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (["first", "nowhere"], "No run matches 'nowhere' among .* sqlite"),
        (["first", "twin"], "2 runs match 'twin'"),
        (["first", ""], "No run matches ''"),
        (["first"], "at least 2 runs. Received: first"),
        (["first", "first"], "'first' and 'first' are the same run, .* Name each run once"),
        (["champion"], "must be compared with another run"),
        (["first", "champion"], "'grey' has no champion"),
        (["first", "elsewhere"], "have none in common"),
        (["first", "old"], "has no sha256, group: .*dvc repro --force evaluate"),
        (["first", "not evaluated"], "has no reports.answers.csv.* Evaluate it"),
    ],
)
def test_runs_that_cannot_be_compared_are_an_error(ids: Mapping[str, str], wanted: list[str], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        compare(wanted)


def test_the_champion_is_found_by_that_name(ids: Mapping[str, str], spec: ClipSpec, tmp_path: Path) -> None:
    folder = write_model_folder(tmp_path / "model", spec, ("dark", "bright"))
    ModelFolder(folder).seen_clips.write_text("0\n", encoding="utf-8")
    with runs.reopened_run(ids["second"]):
        registry.set_champion("actreel-grey", registry.register("actreel-grey", folder, {}), None)
    assert compare(["first", "champion"])["pairs"][0]["second"] == ids["second"]
    with pytest.raises(ModelError, match="'second' and 'champion' are the same run"):
        compare(["second", "champion"])
