"""`make learn`: what it decides. tests/pipelines/test_pipeline.py runs the whole of it on a folder of real clips."""

import logging
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from actreel.config import Params, load_params
from actreel.errors import ConfigError, DatasetError
from pipelines import learn as program
from pipelines.learn import fitting_split, look, read_recipe, recipe_names, settings_for
from tests.conftest import ROOT

TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")


@pytest.fixture
def params() -> Params:
    return load_params(ROOT / "params.yaml")


def clips(folder: Path, groups: int, actions: Iterable[str] = "ab", name: str = "v_x_g{group:02d}_c{clip}.avi") -> Path:
    """Files that are called like clips; nothing here opens them."""
    for action in actions:
        (folder / action).mkdir(parents=True, exist_ok=True)
        for group in range(1, groups + 1):
            for clip in (1, 2):
                (folder / action / name.format(group=group, clip=clip)).touch()
    return folder


def test_a_folder_gets_a_recipe_and_is_told_why(
    params: Params, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = clips(tmp_path / "my clips", 9)
    with caplog.at_level(logging.INFO):
        new, changes = settings_for(params, str(folder), "", "")
    assert (new.dataset.name, new.dataset.path) == ("folder", str(folder))
    assert (new.model.encoder, new.clip.height) == ("efficientnet_lite0", 224)
    assert "36 clips of 2 actions (18 to 18 of each) in 9 groups, with the recipe 'auto'" in caplog.text
    assert "six linear heads are solved on its features" in caplog.text
    assert "RECIPE=NAME (lrcn" in caplog.text
    assert changes.keys() == {"dataset", "split", "clip", "model", "train"}


def test_a_folder_of_signals_gets_the_recipe_for_them(params: Params, tmp_path: Path) -> None:
    folder = str(clips(tmp_path / "clips", 9, name="v_x_g{group:02d}_c{clip}.csv"))
    new, _ = settings_for(params, folder, "", "")
    assert (new.model.encoder, new.model.head) == ("signals", "auto")


def test_another_recipe_is_taken_by_its_name_and_leaves_nothing_of_the_first(params: Params, tmp_path: Path) -> None:
    folder = str(clips(tmp_path / "clips", 9))
    first, _ = settings_for(params, folder, "transfer", "")
    back, _ = settings_for(first, folder, "lrcn", "")
    assert (back.clip, back.model, back.train) == (params.clip, params.model, params.train)
    with pytest.raises(ConfigError, match=r"RECIPE must be one of .*lrcn.*transfer.*Received: 'lrnc'"):
        settings_for(params, folder, "lrnc", "")


def test_recipes_set_the_same_keys_and_say_what_they_cost() -> None:
    keys = set()
    for name in recipe_names():
        recipe = read_recipe(name)
        assert recipe.about and recipe.cost and recipe.results  # noqa: PT018
        keys.add(tuple(sorted(f"{section}.{key}" for section, values in recipe.settings.items() for key in values)))
    assert len(keys) == 1


def test_choosing_keeps_the_comments_of_params_yaml_and_what_it_does_not_touch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(TEXT, encoding="utf-8")
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    monkeypatch.setattr(program, "run_pipeline", lambda again: None)
    program.main(["--recipe", "lrcn", "--", str(clips(tmp_path / "my clips, é #1", 9))])
    changed = Path("params.yaml").read_text(encoding="utf-8")
    expected: dict[str, Any] = yaml.safe_load(TEXT)
    expected["dataset"] |= {"name": "folder", "path": str(tmp_path / "my clips, é #1")}
    assert yaml.safe_load(changed) == expected
    assert re.findall("# .*", changed) == re.findall("# .*", TEXT)
    # The same command again, after it was killed, changes nothing.
    program.main(["--recipe", "lrcn", "--", "my clips, é #1"])
    assert Path("params.yaml").read_text(encoding="utf-8") == changed


def test_what_was_set_for_another_folder_does_not_count_and_for_the_same_one_does(
    params: Params, tmp_path: Path
) -> None:
    one, other = clips(tmp_path / "one", 9), clips(tmp_path / "other", 9)
    first, _ = settings_for(params, str(one), "", "(?P<group>g[0-9]+)")
    mine = first.model_copy(update={"split": first.split.model_copy(update={"test": 0.3})})
    again, _ = settings_for(mine, str(one), "", "")
    assert (again.dataset.group_pattern, again.split.test) == ("(?P<group>g[0-9]+)", 0.3)
    elsewhere, _ = settings_for(mine, str(other), "", "")
    assert (elsewhere.dataset.group_pattern, elsewhere.split.test) == (None, 0.25)


def test_a_tilde_is_the_home_and_a_wrong_path_is_a_sentence(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = clips(tmp_path / "clips", 9)
    assert settings_for(params, "~/clips", "", "")[0].dataset.path == str(folder)
    with pytest.raises(DatasetError, match=r"Did you mean .*clips'"):
        settings_for(params, "~/clip", "", "")
    with pytest.raises(DatasetError, match="at least 2 actions must have 3 groups"):
        settings_for(params, str(clips(tmp_path / "few", 2)), "", "")


def test_guessed_groups_are_a_warning_with_the_command(
    params: Params, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = clips(tmp_path / "my clips", 9, name="ann{group}_{clip}.mp4")
    dataset = params.dataset.model_copy(update={"name": "folder", "path": str(folder)})
    assert look(dataset)["group"].nunique() == 36
    (warning,) = [text for text in caplog.messages if "are guessed" in text]
    assert f"written to groups.csv: actreel groups '{folder}'." in warning
    command = warning.rpartition(": ")[2]
    assert f"make learn FROM='{folder}' GROUP_PATTERN=" in command
    pattern = re.findall("GROUP_PATTERN='(.*)'", command)[0]
    caplog.clear()
    assert look(dataset.model_copy(update={"group_pattern": pattern}))["group"].nunique() == 9
    clips(folder, 9, actions=["_unknown"], name="street{group}{clip}.mp4")  # no action: its groups matter less
    assert look(dataset.model_copy(update={"group_pattern": pattern}))["group"].nunique() == 9
    assert "are guessed" not in caplog.text


def test_a_small_folder_holds_out_more_or_says_that_no_test_can_tell(
    params: Params, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fitted(groups: int) -> float:
        folder = clips(tmp_path / str(groups), groups)
        index = look(params.dataset.model_copy(update={"name": "folder", "path": str(folder)}))
        with caplog.at_level(logging.INFO):
            return fitting_split(index, params.split).test

    assert fitted(12) == 0.25
    assert not caplog.text
    assert fitted(5) > 0.25
    assert "of the clips are held out for the test" in caplog.text
    assert fitted(3) == 0.25
    assert "even a perfect model could not be told from chance" in caplog.text


def test_a_folder_that_comes_split_is_seen_as_such(params: Params, tmp_path: Path) -> None:
    for split, groups in (("train", 9), ("test", 5)):
        clips(tmp_path / "wrapped" / split, groups, name=f"v_x_g{{group}}{len(split)}_c{{clip}}.avi")
    index = look(params.dataset.model_copy(update={"name": "folder", "path": str(tmp_path / "wrapped")}))
    assert set(index["action"]) == {"a", "b"}
    assert index.groupby("folder_split").size().to_dict() == {"test": 20, "train": 36}
    assert fitting_split(index, params.split) == params.split


@pytest.mark.parametrize("path", ["/a b/it's", '/a "q" `b` $x $(y) $$', "/é ü/日本", "/a;b&c|d>e", "-x", "/a\\b"])
def test_make_hands_any_path_over_as_it_was_typed(tmp_path: Path, path: str) -> None:
    said = tmp_path / "python"
    said.write_text('#!/bin/sh\nfor each; do printf "[%s]" "$each"; done\n', encoding="utf-8")
    said.chmod(0o755)
    # Only the line of the target, with a `python` that prints its arguments; no set-up.
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    text = text.replace("learn: setup", "learn:").replace("export PATH :=", "export OLD :=")
    (tmp_path / "Makefile").write_text(text, encoding="utf-8")
    env = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["make", "--silent", "learn", f"FROM={path}"], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"[-m][pipelines.learn][--recipe][][--group][][--][{path}]"
