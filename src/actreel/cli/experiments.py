"""`actreel crossval`, `leakage`, `tune` and `compare`: experiments with params.yaml and MLflow runs."""

from __future__ import annotations

import argparse
import contextlib
import json
import shlex
import sys
from pathlib import Path

from actreel.cli.options import Commands, add_command, add_fresh, add_json, add_set, number_from
from actreel.errors import MOST_NAMED


def add_crossval(commands: Commands) -> None:
    """Adds `actreel crossval`."""
    command = add_command(
        commands,
        "crossval",
        _crossval,
        summary="cross-validate: test every clip once, with a model trained on other groups",
        extra="pipeline",
    )
    command.add_argument(
        "--folds", required=True, type=_folds, metavar="logo|K", help="leave one group out, or K folds of groups"
    )
    command.add_argument(
        "--choose", type=Path, metavar="FILE", help="select settings in each fold's training groups: a YAML list"
    )
    command.add_argument(
        "--inner-folds", type=number_from(2), default=4, metavar="K", help="folds to select settings on (default: 4)"
    )
    add_fresh(command)
    add_set(command)
    add_json(command)


def _folds(text: str) -> int | None:
    """None for `logo`, which leaves one group out at a time."""
    if text == "logo":
        return None
    if not text.isdecimal() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"folds must be 'logo' or a number of at least 2. Received: '{text}'")
    return int(text)


def _crossval(options: argparse.Namespace) -> None:
    from actreel.config import load_params, override
    from actreel.evaluation.intervals import FEW_GROUPS
    from actreel.experiments.crossval import cross_validate
    from actreel.experiments.nested import read_candidates

    with contextlib.redirect_stdout(sys.stderr):
        params = override(load_params(), options.set)
        candidates = read_candidates(options.choose, params) if options.choose else []
        result = cross_validate(
            params, options.folds, candidates=candidates, inner_folds=options.inner_folds, fresh=options.fresh
        )
    if options.json:
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


def add_leakage(commands: Commands) -> None:
    """Adds `actreel leakage`."""
    command = add_command(
        commands,
        "leakage",
        _leakage,
        summary="measure how much a random split raises the accuracy of the same model",
        extra="pipeline",
    )
    command.add_argument("--repeats", type=number_from(1), default=3, metavar="N", help="pairs of models (default: 3)")
    add_set(command)
    add_json(command)


def _leakage(options: argparse.Namespace) -> None:
    from actreel.config import load_params, override
    from actreel.experiments.leakage import measure_leakage

    with contextlib.redirect_stdout(sys.stderr):
        result = measure_leakage(override(load_params(), options.set), options.repeats)
    if options.json:
        print(json.dumps(result))
        return
    print(f"groups held out  {result['group_accuracy']:.3f}")
    print(f"random split     {result['random_accuracy']:.3f}")
    spread = f", standard deviation {result['std_difference']:.3f}" if options.repeats > 1 else ""
    print(f"leakage          {result['difference']:+.3f} over {options.repeats} repeats{spread}")


def add_tune(commands: Commands) -> None:
    """Adds `actreel tune`."""
    command = add_command(
        commands, "tune", _tune, summary="search for settings without using the test clips", extra="pipeline"
    )
    command.add_argument(
        "--trials", type=number_from(1), default=20, metavar="N", help="total number of finished trials (default: 20)"
    )
    command.add_argument(
        "--sampler", choices=("tpe", "nsga2"), default="tpe", help="nsga2 trades accuracy against model size"
    )
    command.add_argument("--space", type=Path, metavar="FILE", help="search space in YAML (default: that of the head)")
    command.add_argument(
        "--folds", type=number_from(2), metavar="K", help="score trials on K inner folds (default: on the val clips)"
    )
    add_fresh(command)
    add_set(command)
    add_json(command)


def _tune(options: argparse.Namespace) -> None:
    from actreel.config import load_params, override
    from actreel.experiments.nested import flags
    from actreel.experiments.space import default_space, read_space
    from actreel.experiments.tuning import tune

    with contextlib.redirect_stdout(sys.stderr):
        params = override(load_params(), options.set)
        space = read_space(options.space, params) if options.space else default_space(params)
        result = tune(params, options.trials, space, options.sampler, options.folds, fresh=options.fresh)
    if options.json:
        print(json.dumps(result))
        return
    pruned = sum(trial["state"] == "pruned" for trial in result["trials"])
    print(f"{result['finished']} trials ({pruned} pruned) in {result['study']}, MLflow run {result['run_id']}")
    print(f"best on clips inside the training groups: balanced accuracy {result['balanced_accuracy']:.3f}")
    settings = [*options.set, *flags(result["best"])]
    print("dvc exp run " + " ".join(shlex.quote(word) for setting in settings for word in ("-S", setting)))


def add_compare(commands: Commands) -> None:
    """Adds `actreel compare`."""
    command = add_command(
        commands,
        "compare",
        _compare,
        summary="compare MLflow runs, with a paired test on the same clips",
        extra="pipeline",
    )
    command.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="an id, the start of an id, a name, or champion; the others are compared with the first",
    )
    add_json(command)


def _compare(options: argparse.Namespace) -> None:
    from actreel.experiments.compare import as_text, compare

    result = compare(options.runs)
    print(json.dumps(result) if options.json else as_text(result))
