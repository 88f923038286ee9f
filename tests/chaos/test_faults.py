"""The short form of `make chaos`: a few faults in cheap stages and in the service."""

from pathlib import Path

import pytest

from chaos import inject, service, stages
from chaos.report import Ledger, Outcome


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> stages.Bench:
    return stages.Bench.build(tmp_path_factory.mktemp("bench"), ("ingest", "index", "extract"))


@pytest.mark.parametrize(
    ("stage", "fault", "said"),
    [
        ("ingest", inject.read_only("artifacts/videos"), "cannot be opened or changed: Permission denied"),
        ("ingest", inject.clock(inject.YEAR_S), "completed"),
        ("ingest", inject.slow_disk(0.02), "completed"),
        ("ingest", inject.memory(2**28), "There is not enough memory"),
        ("fetch", inject.network_gone(0, 100_000), "completed"),
        ("extract", inject.largest_file(20_000), "artifacts/kept/clips/Brighten-000-"),
        ("extract", inject.damaged("artifacts/index.parquet", inject.overwritten), "dvc repro index"),
        ("extract", inject.damaged("artifacts/kept/clips/*.npy", inject.cut_off), "completed"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_stage_completes_or_says_what_happened(
    bench: stages.Bench, stage: str, fault: inject.Fault, said: str
) -> None:
    outcome = stages.run_case(bench, stage, fault)
    assert outcome.good, outcome
    assert said in outcome.note


@pytest.mark.parametrize("name", ["state/jobs.sqlite locked for 2 s", "a feedback folder that is read-only"])
def test_the_service_answers_every_request(tmp_path: Path, name: str) -> None:
    (outcome,) = service.run_all(tmp_path, [name])
    assert outcome.good, outcome
    assert ("machine_fault" in outcome.note) == ("read-only" in name)


def test_a_lost_file_a_traceback_and_a_silent_failure_are_counted(bench: stages.Bench) -> None:
    """A stage that does nothing, and one that fails with a bug."""
    code = bench.project.root / "pipelines/ingest.py"
    before = code.read_text(encoding="utf-8")
    try:
        code.write_text("import shutil; shutil.rmtree('artifacts/videos')", encoding="utf-8")
        assert stages.run_case(bench, "ingest", inject.slow_disk(0)).lost_files > 0
        code.write_text("raise ValueError('a bug')", encoding="utf-8")
        counts = stages.run_case(bench, "ingest", inject.largest_file(2**20)).counts
        assert counts["tracebacks"] > 0 < counts["unexplained"]
    finally:
        code.write_text(before, encoding="utf-8")


def test_outcomes_are_kept_and_summed_up(tmp_path: Path) -> None:
    Ledger(tmp_path / "kept").add(Outcome("a", "completed"))
    Ledger(tmp_path / "kept").add(Outcome("b", "", lost_answers=2, tracebacks=1))
    again = Ledger(tmp_path / "kept")
    assert [outcome.good for outcome in again.outcomes.values()] == [True, False]
    assert again.summary() == "2 faults: 2 lost answers, 0 lost files, 1 tracebacks, 0 hangs, 0 unexplained"
