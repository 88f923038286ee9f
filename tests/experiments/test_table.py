"""`python -m benchmarks.table`: which cells there are, and that a run goes on where another one ended."""

import shutil
from pathlib import Path
from typing import Any

import mlflow
import pytest

from actreel.config import PROBES, Params, load_params
from actreel.errors import ModelError
from benchmarks import table
from tests.conftest import ROOT

PARAMS = load_params(ROOT / "params.yaml")


def test_heads_come_from_the_code_and_solved_ones_first() -> None:
    assert table.heads_of("efficientnet_lite0", PARAMS) == [*PROBES, "auto", "lstm"]
    assert set(table.heads_of("pose", PARAMS)) >= {*PROBES, "auto", "lstm"}
    assert table.heads_of("signals", PARAMS) == ["mean_probe", "moments_probe", "statistics_probe", "auto", "lstm"]
    every = table.cells(PARAMS)
    assert [cell.head for cell in every].index("lstm") == sum(cell.head in (*PROBES, "auto") for cell in every)
    assert {cell.dataset for cell in every if cell.encoder == "signals"} == {"demo"}


def test_a_run_goes_on_with_what_another_one_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick_stores: None, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)

    def cross_validate(params: Params, folds: int | None) -> dict[str, Any]:
        assert (params.dataset.name, params.clip.height, folds) == ("demo", 240, 4)
        if params.model.head == "lstm":
            raise ModelError("It diverged.")
        if params.model.head == "lda_probe":
            raise KeyboardInterrupt
        return {
            "pooled_accuracy": 0.75, "pooled_accuracy_low": 0.5, "pooled_accuracy_high": 0.9, "balanced_accuracy": 0.7,
            "num_clips": 8, "num_groups": 4, "run_id": "abc",
        }  # fmt: skip

    monkeypatch.setattr(table, "cross_validate", cross_validate)
    one = "demo/efficientnet_lite1"
    with pytest.raises(KeyboardInterrupt):
        table.main(["--only", f"{one}/ridge_probe", f"{one}/lda_probe"])
    table.main(["--only", f"{one}/lstm", f"{one}/mean_probe", "--out", "table.md"])
    lines = [
        "| Encoder | Head | demo, 4 group folds | ms a clip | MB |",
        "| --- | --- | --- | --- | --- |",
        "| `efficientnet_lite1` | `mean_probe` | 0.750 (0.500 to 0.900) |  |  |",
        "| `efficientnet_lite1` | `ridge_probe` | 0.750 (0.500 to 0.900) |  |  |",
    ]
    assert (tmp_path / "table.md").read_text(encoding="utf-8").splitlines() == lines
    assert capsys.readouterr().out.splitlines() == lines
    runs = mlflow.search_runs(search_all_experiments=True, output_format="list")
    (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    assert parent.info.run_name == "encoders and heads"
    cells = {run.info.run_name: run.data for run in runs if run is not parent}
    assert set(cells) == {f"{one}/ridge_probe", f"{one}/mean_probe"}
    assert cells[f"{one}/ridge_probe"].params["head"] == "ridge_probe"
    assert cells[f"{one}/ridge_probe"].metrics["accuracy"] == 0.75
    with pytest.raises(table.ConfigError, match="Cells:\nweizmann/efficientnet_lite0/mean_probe"):
        table.main(["--only", "resnet"])


def test_small_costs_keep_two_digits() -> None:
    results = {
        table.Cell("demo", encoder, "lstm"): table.Result(0.9, 0.8, 1.0, 0.9, 480, 48, "run", ms, mb)
        for encoder, ms, mb in (("signals", 0.0436, 0.0297), ("pose", 480.24, 24.9))
    }
    lines = table.as_markdown(results).splitlines()[2:]
    assert [line.split(" | ")[-2:] for line in lines] == [["0.044", "0.03 |"], ["480.2", "24.9 |"]]
