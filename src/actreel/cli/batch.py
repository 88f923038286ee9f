"""`actreel batch`: recognises the videos of an archive, on the cores of this machine or on a Dask cluster."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from actreel.base.cores import SCHEDULER_VARIABLE
from actreel.cli.completion import model_folders
from actreel.cli.options import AsJson, file_option
from actreel.errors import ActreelError

log = logging.getLogger(__name__)


def batch(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="a folder, a CSV or Parquet file, or an address of one (s3://…)")
    ],
    out: Annotated[str, typer.Argument(metavar="OUT", help="the folder or address of the table of answers")],
    model: Annotated[
        Path | None,
        file_option("--model", "model folder (default: the packaged one)", "DIR", autocompletion=model_folders),
    ] = None,
    column: Annotated[
        str | None, typer.Option("--column", metavar="NAME", help="the column of a table with the videos")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, metavar="N", help="processes (default: one per core)")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            metavar="ADDRESS",
            envvar=SCHEDULER_VARIABLE,
            help="a Dask scheduler's, such as tcp://host:8786",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Recognise the videos of an archive; the answers are partitioned Parquet.

    Run it again at any time: a video that has an answer of the same model for the same content is not recognised
    again. Videos that fail are set aside with the reason, in OUT/_failed.

    Examples:
        actreel batch /archive answers
        actreel batch videos.csv answers --column path
        actreel batch s3://bucket/clips s3://bucket/answers --scheduler tcp://host:8786
    """
    if scheduler is not None and workers is not None:
        raise ActreelError(
            "--workers counts processes of this machine; a cluster has its own. Leave out --workers, or --scheduler "
            f"and the variable {SCHEDULER_VARIABLE}."
        )
    from actreel.batch.crews import cluster_crew, local_crew
    from actreel.batch.items import is_table, read_items
    from actreel.batch.run import run_batch
    from actreel.inference.model_folder import default_model

    if column is not None and not is_table(source):
        raise ActreelError(f"--column is a table's, and '{source}' is none. Leave it out, or give a .csv or .parquet.")
    crew = local_crew(workers) if scheduler is None else cluster_crew(scheduler)
    summary = run_batch(read_items(source, column), out, model or default_model(), crew)
    if as_json:
        print(json.dumps(asdict(summary)))
    else:
        print(
            f"{summary.videos} videos: {summary.answered} recognised, {summary.unchanged} unchanged, "
            f"{summary.failed} failed. Answers: {out}, in the partition model={summary.model}"
        )
        if summary.failed:
            print(f"Why they failed: {out}/_failed/model={summary.model}.parquet")
    if summary.failed:
        sys.exit(1)
