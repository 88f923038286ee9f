"""One table of encoders and heads: accuracy on groups that were held out, with its interval, time and size.

    python -m benchmarks.table [--only WORD...] [--measure] [--out FILE] [--clips FOLDER]

A row is an encoder and a head, a cell its cross-validation on one dataset: the demo, Weizmann's and UCF50's real clips.
All have the settings of the recipe `auto` but for the size of frames that an encoder needs. Solved heads come first.
Cells are named `weizmann/efficientnet_lite0/lda_probe`; `--only` takes those whose name has one of the words.

The table is written after each cell. A killed run goes on with the fold that it was in, and cells of earlier runs stay
in the table as long as code and params.yaml do not change. MLflow has a run for the table, and below it one for each
cell.

`--measure` adds milliseconds a clip and megabytes of the ONNX files: on an idle machine only, or the times mean little.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, get_args

from actreel.base.atomic import written_aside
from actreel.base.console import exit_cleanly
from actreel.config import AUDIO, AUTO, POSE, PROBES, SIGNALS, ModelParams, Params, load_params, override
from actreel.dataset.demo.imu import write_imu
from actreel.dataset.demo.render import render_demo
from actreel.errors import ActreelError, ConfigError
from actreel.experiments.crossval import cross_validate
from actreel.experiments.heldout import results_folder
from actreel.tracking import runs
from benchmarks.network_cost import network_cost
from benchmarks.real_clips import DEFAULT, REAL_CLIPS
from pipelines.learn import read_recipe

log = logging.getLogger(__name__)

DEMO = "demo"
DEMO_FOLDS = 4
SOURCES = {clips.name: clips for clips in REAL_CLIPS}
COLUMNS = {
    "weizmann": "Weizmann, leave one person out",
    "yoyo_punch": "UCF50, YoYo and Punch, 5 group folds",
    DEMO: "demo, 4 group folds",
}
FIRST = "efficientnet_lite0"
ENCODERS = (FIRST, "efficientnet_lite1", "efficientnet_lite2", POSE, f"{FIRST}+{AUDIO}", f"{FIRST}+{POSE}", SIGNALS)
SIDES = {"efficientnet_lite1": 240, "efficientnet_lite2": 260}
TRAINED = "lstm"
"""The trained head that each encoder is given."""


@dataclass(frozen=True)
class Cell:
    """One encoder with one head on one dataset."""

    dataset: str
    encoder: str
    head: str

    @property
    def name(self) -> str:
        return f"{self.dataset}/{self.encoder}/{self.head}"


@dataclass(frozen=True)
class Result:
    """What a cell gave.

    Attributes:
        accuracy: Over all clips, each tested once.
        low: Lower bound of its 95 % interval for new groups.
        high: Upper bound.
        balanced_accuracy: The mean over the actions.
        num_clips: Clips tested.
        num_groups: Their groups.
        crossval_run: MLflow's run of the cross-validation.
        ms_per_clip: Of encoder and head in ONNX Runtime on one thread, without decoding; None if it was not measured.
        size_mb: Of their ONNX files.
    """

    accuracy: float
    low: float
    high: float
    balanced_accuracy: float
    num_clips: int
    num_groups: int
    crossval_run: str
    ms_per_clip: float | None = None
    size_mb: float | None = None


def cells(params: Params) -> list[Cell]:
    """All cells there may be, those of solved heads first."""
    every = [
        Cell(dataset, encoder, head)
        for dataset in COLUMNS
        for encoder in ENCODERS
        if encoder != SIGNALS or dataset == DEMO
        for head in heads_of(encoder, params)
    ]
    return sorted(every, key=lambda cell: cell.head not in (*PROBES, AUTO))


def heads_of(encoder: str, params: Params) -> list[str]:
    """The probes, `auto`, `TRAINED` and the heads for `pose` alone, as far as the settings allow them here."""
    taken: list[str] = list(get_args(ModelParams.model_fields["head"].annotation))
    own = [head for head in taken if _fits(POSE, head, params) and not _fits(FIRST, head, params)]
    return [head for head in (*PROBES, AUTO, TRAINED, *own) if _fits(encoder, head, params)]


def _fits(encoder: str, head: str, params: Params) -> bool:
    try:
        override(params, _network(encoder, head))
    except ConfigError:
        return False
    return True


def _network(encoder: str, head: str) -> list[str]:
    side = SIDES.get(encoder, 224)
    recipe = {key: dict(section) for key, section in _recipe().items()}
    recipe["clip"] |= {"height": side, "width": side}
    recipe["model"] |= {"encoder": encoder, "head": head}
    recipe["train"] |= {"variants": []}  # all cells see the same clips
    return [f"{section}.{key}={value}" for section, part in recipe.items() for key, value in part.items()]


@cache
def _recipe() -> Mapping[str, Mapping[str, Any]]:
    return read_recipe(AUTO).settings


def params_of(cell: Cell, params: Params, clips: Path, work: Path) -> Params:
    """The parameters of a cell; renders the demo's clips if they need signals.

    Raises:
        DatasetError: The clips are not there.
    """
    settings = _network(cell.encoder, cell.head)
    if cell.dataset != DEMO:
        folder = SOURCES[cell.dataset].at_hand(clips, work / "clips")
        settings += ["dataset.name=folder", f"dataset.path={folder}", "dataset.group_pattern=null"]
    elif cell.encoder == SIGNALS:
        settings += ["dataset.name=folder", f"dataset.path={demo_with_signals(work / 'clips' / 'demo_signals')}"]
    else:
        settings += ["dataset.name=demo"]
    return override(params, settings)


def demo_with_signals(folder: Path) -> Path:
    """The demo's clips with synthetic signals beside each; what is there already stays."""
    for clip in render_demo(folder):
        if not clip.with_suffix(".csv").exists():
            write_imu(clip)
    return folder.resolve()


def score(cell: Cell, params: Params) -> Result:
    """Cross-validates a cell."""
    found = cross_validate(params, DEMO_FOLDS if cell.dataset == DEMO else SOURCES[cell.dataset].folds)
    return Result(
        accuracy=found["pooled_accuracy"], low=found["pooled_accuracy_low"], high=found["pooled_accuracy_high"],
        balanced_accuracy=found["balanced_accuracy"], num_clips=found["num_clips"], num_groups=found["num_groups"],
        crossval_run=found["run_id"],
    )  # fmt: skip


def as_markdown(results: Mapping[Cell, Result]) -> str:
    """The table: a line for each encoder and head."""
    shown = [dataset for dataset in COLUMNS if any(cell.dataset == dataset for cell in results)]
    titles = ["Encoder", "Head", *(COLUMNS[dataset] for dataset in shown), "ms a clip", "MB"]
    lines = [f"| {' | '.join(titles)} |", f"|{' --- |' * len(titles)}"]
    for encoder, head in dict.fromkeys((cell.encoder, cell.head) for cell in results):
        found = [results.get(Cell(dataset, encoder, head)) for dataset in shown]
        costs = [
            max((value for value in (getattr(each, key) for each in found if each) if value is not None), default=None)
            for key in ("ms_per_clip", "size_mb")
        ]
        values = [f"{each.accuracy:.3f} ({each.low:.3f} to {each.high:.3f})" if each else "" for each in found]
        values += ["" if value is None else f"{value:.1f}" if value >= 1 else f"{value:.2g}" for value in costs]
        lines.append(f"| `{encoder}` | `{head}` | {' | '.join(values)} |")
    return "\n".join(lines) + "\n"


def read_results(folder: Path, every: Sequence[Cell]) -> dict[Cell, Result]:
    """The results that are kept, in the order of encoders, then heads."""
    found = {cell: _file(folder, cell) for cell in every if _file(folder, cell).exists()}
    heads = [*PROBES, AUTO, TRAINED]

    def place(cell: Cell) -> tuple[int, int]:
        return ENCODERS.index(cell.encoder), heads.index(cell.head) if cell.head in heads else len(heads)

    return {cell: Result(**json.loads(found[cell].read_text(encoding="utf-8"))) for cell in sorted(found, key=place)}


def _file(folder: Path, cell: Cell) -> Path:
    return folder / f"{cell.name.replace('/', '-')}.json"


def run(chosen: Sequence[Cell], folder: Path, params: Params, options: argparse.Namespace) -> Iterator[Cell]:
    """Scores cells one by one, each kept and logged before the next; yields those that went well."""
    for cell in chosen:
        file = _file(folder, cell)
        known = read_results(folder, [cell]).get(cell)
        try:
            settings = params_of(cell, params, options.clips, options.work)
            result = score(cell, settings)
            if options.measure:
                result = replace(result, **network_cost(settings))
            elif known:
                result = replace(result, ms_per_clip=known.ms_per_clip, size_mb=known.size_mb)
        except ActreelError as error:
            log.warning(f"{cell.name} is left out: {error}")
            continue
        with written_aside(file) as aside:
            aside.write_text(json.dumps(asdict(result)), encoding="utf-8")
        _log(cell, result, params, file)
        yield cell


def _log(cell: Cell, result: Result, params: Params, file: Path) -> None:
    with runs.parent_run(params, "encoders and heads", "held-out groups", False, file.with_name("table.run")):
        runs.log_metrics({"dataset": ", ".join(COLUMNS)})
        with runs.child_run(cell.name, file.with_suffix(".run")):
            runs.log_settings(asdict(cell))
            runs.log_metrics({name: value for name, value in asdict(result).items() if value is not None})


def main(arguments: Sequence[str] | None = None) -> None:
    """Scores the cells that were asked for, and writes the table of all that are known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[""], metavar="WORD", help="cells whose name has one of the words")
    parser.add_argument("--measure", action="store_true", help="measure time and size; on an idle machine")
    parser.add_argument("--out", type=Path, help="the table (default: table.md in the work folder)")
    parser.add_argument("--clips", type=Path, default=DEFAULT, help="the folder of real clips")
    parser.add_argument("--work", type=Path, default=Path("artifacts/table"))
    options = parser.parse_args(arguments)
    params = load_params()
    every = cells(params)
    chosen = [cell for cell in every if any(word in cell.name for word in options.only)]
    if not chosen:
        names = "\n".join(cell.name for cell in every)
        raise ConfigError(f"--only must name a cell, or a part of its name. Received: {options.only}. Cells:\n{names}")
    folder = results_folder(options.work / "results", params.model_dump(by_alias=True), fresh=False)
    out = options.out or options.work / "table.md"
    for cell in run(chosen, folder, params, options):
        results = read_results(folder, every)
        with written_aside(out) as aside:
            aside.write_text(as_markdown(results), encoding="utf-8")
        log.info(f"{cell.name}: accuracy {results[cell].accuracy:.3f}, see {out}")
    print(as_markdown(read_results(folder, every)), end="")


if __name__ == "__main__":
    exit_cleanly(main)
