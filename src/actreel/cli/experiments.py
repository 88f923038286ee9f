"""`actreel crossval`, `leakage`, `tune` and `compare`: experiments with params.yaml and MLflow runs."""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from actreel.cli import completion
from actreel.cli.options import NO_SETTINGS, AsJson, Fresh, Settings, file_option
from actreel.errors import MOST_NAMED


def _check_folds(text: str) -> str:
    if text != "logo" and not (text.isdecimal() and int(text) >= 2):
        raise typer.BadParameter(f"folds must be 'logo' or a number of at least 2. Received: '{text}'")
    return text


def crossval(
    folds: Annotated[
        str,
        typer.Option(
            metavar="logo|K",
            help="leave one group out, or K folds of groups",
            callback=_check_folds,
            autocompletion=completion.folds,
        ),
    ],
    choose: Annotated[
        Path | None, file_option("--choose", "select settings in each fold's training groups: a YAML list")
    ] = None,
    inner_folds: Annotated[int, typer.Option(metavar="K", min=2, help="folds to select settings on")] = 4,
    fresh: Fresh = False,
    settings: Settings = NO_SETTINGS,
    as_json: AsJson = False,
) -> None:
    """Cross-validate: test every clip once, with a model trained on other groups.

    A run that was interrupted goes on with the fold where it stopped.

    Examples:
        actreel crossval --folds logo
        actreel crossval --folds 5 --set model.head=gru --set train.epochs=30 --json
    """
    from actreel.config import load_params, override
    from actreel.evaluation.intervals import FEW_GROUPS
    from actreel.experiments.crossval import cross_validate
    from actreel.experiments.nested import read_candidates

    with contextlib.redirect_stdout(sys.stderr):
        params = override(load_params(), settings)
        candidates = read_candidates(choose, params) if choose else []
        num_folds = None if folds == "logo" else int(folds)
        result = cross_validate(params, num_folds, candidates=candidates, inner_folds=inner_folds, fresh=fresh)
    if as_json:
        print(json.dumps(result))
        return
    for fold in result["folds"]:
        groups = ", ".join(fold["groups"]) if len(fold["groups"]) <= MOST_NAMED else f"{len(fold['groups'])} groups"
        print(f"fold {fold['fold']:3d}  accuracy {fold['accuracy']:.3f}  {fold['num_test_clips']} clips of {groups}")
        if "choice" in fold:
            print(f"          selected: {json.dumps(fold['choice']['settings'])}")
    print(
        f"mean accuracy {result['mean_accuracy']:.3f} over the folds, standard deviation {result['std_accuracy']:.3f}"
    )
    print(f"accuracy {result['pooled_accuracy']:.3f}, balanced {result['balanced_accuracy']:.3f}, over all clips:")
    print(f"{result['num_clips']} clips of {result['num_groups']} groups")
    print(
        f"95 % interval for new groups {result['pooled_accuracy_low']:.3f} to {result['pooled_accuracy_high']:.3f}"
        + (", wide since there are few groups" if result["num_groups"] < FEW_GROUPS else "")
    )
    if result["leaky"]:
        print("leaky: clips of one group were in both train and test, so the accuracy is too high")


def leakage(
    repeats: Annotated[int, typer.Option(metavar="N", min=1, help="pairs of models")] = 3,
    settings: Settings = NO_SETTINGS,
    as_json: AsJson = False,
) -> None:
    """Measure how much a random split raises the accuracy of the same model.

    Each repeat trains one model with groups held out and one on a random split of the same clips.

    Examples:
        actreel leakage
        actreel leakage --repeats 5 --json
    """
    from actreel.config import load_params, override
    from actreel.experiments.leakage import measure_leakage

    with contextlib.redirect_stdout(sys.stderr):
        result = measure_leakage(override(load_params(), settings), repeats)
    if as_json:
        print(json.dumps(result))
        return
    print(f"groups held out  {result['group_accuracy']:.3f}")
    print(f"random split     {result['random_accuracy']:.3f}")
    spread = f", standard deviation {result['std_difference']:.3f}" if repeats > 1 else ""
    print(f"leakage          {result['difference']:+.3f} over {repeats} repeats{spread}")


def tune(
    trials: Annotated[int, typer.Option(metavar="N", min=1, help="total number of finished trials")] = 20,
    sampler: Annotated[
        Literal["tpe", "nsga2"],
        typer.Option(metavar="tpe|nsga2", help="nsga2 trades accuracy against model size"),
    ] = "tpe",
    space: Annotated[Path | None, file_option("--space", "search space in YAML (without it: that of the head)")] = None,
    folds: Annotated[
        int | None,
        typer.Option(metavar="K", min=2, help="score trials on K inner folds (without it: on the val clips)"),
    ] = None,
    fresh: Fresh = False,
    settings: Settings = NO_SETTINGS,
    as_json: AsJson = False,
) -> None:
    """Search for settings without using the test clips.

    Prints the command that runs the pipeline with the best ones. A search that was interrupted goes on.

    Examples:
        actreel tune --trials 20 --set model.encoder=efficientnet_lite0
        actreel tune --trials 20 --sampler nsga2 --folds 4 --space space.yaml --json
    """
    from actreel.config import load_params, override
    from actreel.experiments.nested import flags
    from actreel.experiments.space import default_space, read_space
    from actreel.experiments.tuning import tune as search

    with contextlib.redirect_stdout(sys.stderr):
        params = override(load_params(), settings)
        searched = read_space(space, params) if space else default_space(params)
        result = search(params, trials, searched, sampler, folds, fresh=fresh)
    if as_json:
        print(json.dumps(result))
        return
    pruned = sum(trial["state"] == "pruned" for trial in result["trials"])
    print(f"{result['finished']} trials ({pruned} pruned) in {result['study']}, MLflow run {result['run_id']}")
    print(f"best on clips inside the training groups: balanced accuracy {result['balanced_accuracy']:.3f}")
    best = [*settings, *flags(result["best"])]
    print("dvc exp run " + " ".join(shlex.quote(word) for setting in best for word in ("-S", setting)))


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN",
            help="an id, the start of an id, a name, or champion; the others are compared with the first",
            autocompletion=completion.runs,
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Compare MLflow runs, with a paired test on the same clips.

    Examples:
        actreel compare champion 3f2a
        actreel compare 3f2a 9b17 champion --json
    """
    from actreel.experiments.compare import as_text
    from actreel.experiments.compare import compare as compared

    result = compared(runs)
    print(json.dumps(result) if as_json else as_text(result))
