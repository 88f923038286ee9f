import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.request import urlopen

import pandas as pd
import pytest
from playwright.sync_api import expect

from actreel.config import ClipSpec, Params
from actreel.tracking import registry, runs, store
from actreel.tracking.mlflow_internals import LOCATIONS, move_artifacts
from tests.browser import chromium
from tests.conftest import free_port, patience
from tests.tracking.test_registry import model_folder
from tests.warm_python import warm_python


def test_no_location_of_a_registered_model_is_forgotten(
    project: Path, params: Params, index: pd.DataFrame, spec: ClipSpec
) -> None:
    with runs.training_run(params, params.split, index, "abc"):
        registry.register("actreel-grey", model_folder(project / "model", spec), {})
    old = (project / "mlartifacts").as_uri()
    database = project / "mlflow.db"
    with closing(sqlite3.connect(database)) as connection:
        with connection:  # beside the folder, so to be left alone
            connection.execute("UPDATE experiments SET artifact_location = ? WHERE name = 'Default'", (f"{old}-2",))
        move_artifacts(database, old, "file:///elsewhere")
        found = {
            (table, column): [value for (value,) in connection.execute(f'SELECT "{column}" FROM "{table}"')]  # noqa: S608
            for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (column,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()
        }
    left = {place for place, values in found.items() if any(str(value).startswith(f"{old}/") for value in values)}
    assert left == set()
    assert f"{old}-2" in found["experiments", "artifact_location"]
    moved = {place for place, values in found.items() if any("/elsewhere" in str(value) for value in values)}
    assert moved <= set(LOCATIONS)
    assert len(moved) >= 4


@pytest.fixture
def page_of_runs(project: Path, params: Params, index: pd.DataFrame) -> Iterator[str]:
    """The address of the runs on MLflow's own page, which runs."""
    with runs.training_run(params, params.split, index, "abc"):
        runs.log_epoch(1, {"loss": 2.0, "val_loss": 2.5, "accuracy": 0.5, "val_accuracy": 0.25})
        runs.log_metrics({"accuracy": 0.75, "accuracy_low": 0.5, "accuracy_high": 0.875})
    port = free_port()
    server = f"http://127.0.0.1:{port}"
    command = ["server", "--backend-store-uri", f"sqlite:///{project / 'mlflow.db'}", "--workers", "1"]
    environment = warm_python().added_to(os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"})
    with Path(os.devnull).open("wb") as nothing:
        process = warm_python().start("mlflow", [*command, "--port", str(port)], project, environment, nothing.fileno())
    try:
        deadline = time.monotonic() + patience(60)
        while True:
            with suppress(OSError), urlopen(f"{server}/health"):  # noqa: S310 (an address on loopback)
                break
            assert time.monotonic() < deadline, "MLflow's server did not start"
            time.sleep(0.2)
        yield store.runs_page(server)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def test_mlflows_page_opens_on_runs_with_accuracy_first_and_charts_of_accuracy_and_loss(page_of_runs: str) -> None:
    expect.set_options(timeout=patience(20_000))
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 2200, "height": 1200})
        page.goto(page_of_runs)
        expect(page.get_by_text("demo small_cnn+lstm", exact=True)).to_be_visible()
        headings = page.locator("[role=columnheader][col-id^=metrics]")
        # The first is the heading above all metrics.
        for place, name in enumerate(("accuracy", "accuracy_high", "accuracy_low"), 1):
            expect(headings.nth(place)).to_have_text(name)
        page.goto(page_of_runs + "&compareRunsMode=CHART")
        charts = ["accuracy", "val_accuracy", "val_loss", "train_accuracy", "train_loss"]
        expect(page.locator("main h4")).to_have_text(charts)
        expect(page.locator("main")).to_contain_text("Accuracy and loss")
