"""`actreel audit`: what the split of a folder leaks, and what that does to the accuracy."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Annotated, Any

from actreel.cli.options import NO_SETTINGS, AsJson, Settings, file_argument, file_option
from actreel.errors import MOST_NAMED, ConfigError


def audit(
    folder: Annotated[Path, file_argument("FOLDER", "the folder with one sub-folder per action")],
    train_list: Annotated[Path | None, file_option("--train-list", "the training clips, as in UCF101's lists")] = None,
    test_list: Annotated[
        Path | None, file_option("--test-list", "the test clips (without both lists: audit a random split)")
    ] = None,
    settings: Settings = NO_SETTINGS,
    as_json: AsJson = False,
) -> None:
    """Tell what a split leaks: shared groups, twins, and accuracy that is gone without them.

    The same probe is trained on the split and with groups held out; the difference is leakage.

    Examples:
        actreel audit /path/to/clips
        actreel audit /path/to/clips --train-list train.txt --test-list test.txt --json
    """
    if (train_list is None) != (test_list is None):
        raise ConfigError(
            "--train-list and --test-list belong together. Received: one of them. Without both, a random split is "
            "audited."
        )
    from actreel.config import check_params, load_params, override
    from actreel.experiments.audit import SETTINGS
    from actreel.experiments.audit import audit as audited

    with contextlib.redirect_stdout(sys.stderr):
        params = load_params()
        path = str(folder.expanduser().absolute())
        same = params.dataset.name == "folder" and params.dataset.path == path
        pattern = params.dataset.group_pattern if same else None
        values = override(params, list(SETTINGS)).model_dump(by_alias=True)
        values["dataset"] |= {"name": "folder", "path": path, "group_pattern": pattern}
        values["split"] |= {"protocol": "random"}
        if train_list is not None:
            lists = {"train_list": str(train_list), "test_list": str(test_list)}
            values["split"] |= {"protocol": "lists", **lists}
        result = audited(override(check_params(values, "params.yaml"), settings))
    print(json.dumps(result) if as_json else as_text(result, folder))


def as_text(result: dict[str, Any], folder: Path) -> str:
    """The result of an audit as lines for people."""
    from actreel.dataset.grouping.writing import command_for

    shared, twins = result["shared_groups"], result["twins"]
    leaking, tested = result["with_group_in_training"], result["test_clips"]
    kind = {
        "lists": "that of the lists",
        "folders": "that of the folders",
        "random": f"random clips, each tested once in {result['folds']} folds",
    }[result["split"]]
    lines = [
        f"split             {kind}: {tested} test clips, {result['num_groups']} groups in all",
        f"shared groups     {len(shared)}; {leaking} of {tested} test clips ({leaking / tested:.0%}) have clips of "
        "their group in the training",
        f"twins             {len(twins)} pairs of a test clip and a training clip are the same video or recording",
        *[
            f"                  {twin['test_clip']} = {twin['training_clip']} ({twin['kind']})"
            for twin in twins[:MOST_NAMED]
        ],
    ]
    if len(twins) > MOST_NAMED:
        lines.append(f"                  and {len(twins) - MOST_NAMED} more, which --json lists")
    if result["in_both_lists"]:
        lines.append(f"in both lists     {len(result['in_both_lists'])} clips, first {result['in_both_lists'][0]}")
    lines += [
        f"on this split     {_figure(result, 'split_accuracy')}",
        f"groups held out   {_figure(result, 'group_accuracy')}: the same probe on the same test clips, in "
        f"{result['group_folds']} folds of groups",
        _conclusion(result),
    ]
    if result["num_guessed"]:
        lines.append(
            f"The groups of {result['num_guessed']} clips are guessed from names, files and backgrounds; what was not "
            f"seen still leaks into the grouped figure. Look at the doubtful pairs: {command_for(folder)}"
        )
    return "\n".join(lines)


def _figure(result: dict[str, Any], name: str) -> str:
    low, high = (result[f"{name}_{end}"] for end in ("low", "high"))
    return f"{result[name]:.1%} (95 %: {low:.0%} to {high:.0%})"


def _conclusion(result: dict[str, Any]) -> str:
    low, high = (round(100 * result[f"difference_{end}"]) for end in ("low", "high"))
    points = round(100 * result["difference"])
    both = f"{result['split_accuracy']:.0%} is {result['group_accuracy']:.0%} under groups: {points:+d} points"
    if low > 0:
        return f"{both} (95 %: {low} to {high}) are leakage"
    return f"{both} (95 %: {low} to {high}), which may be chance"
