"""`actreel teach` from clips to a draft beside the champion, in a workspace with a real registry."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from actreel.base.places import INDEX
from actreel.cli.program import main
from actreel.dataset.records import read_index, write_index
from actreel.inference.classifier import ActionClassifier
from actreel.inference.model_folder import ModelFolder
from actreel.teaching.taught import Taught
from actreel.tracking import registry
from actreel.tracking.runs import find_run, read_artifact
from tests.conftest import fading_frames, write_video_file
from tests.teaching.conftest import NAME, Workspace


def teach(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    """What `actreel teach ... --json` prints."""
    capsys.readouterr()
    main(["teach", *map(str, words), "--json"])
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def refusal(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """What it refuses with."""
    with pytest.raises(SystemExit) as stopped:
        teach(capsys, *words)
    return str(stopped.value)


def trained_clip(action: str) -> str:
    """A clip that the first version was trained on."""
    index = read_index(INDEX)
    return str(index.loc[(index["split"] == "train") & (index["action"] == action), "clip"].iloc[0])


def test_a_new_action_becomes_a_draft_which_a_person_may_make_champion(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = teach(capsys, workspace.still)
    assert (told["name"], told["version"], told["base"]) == (NAME, "2", "1")
    still, brighten, darken = told["effect"]["actions"]
    assert (still["action"], still["new"], still["taught_clips"], still["taught_groups"]) == ("Still", True, 8, 4)
    assert still["after"]["right"] == 1.0
    assert 0.3 < still["after"]["low"] < 0.8, "8 clips of 4 groups"
    for each in (brighten, darken):
        assert each["before"]["right"] == each["after"]["right"] == 1.0
        assert (each["clips"], each["groups"]) == (4, 2), "the test clips, though the lesson has a group of theirs"
    assert told["rejected"]["clips"] == 1
    assert [row[:2] for row in told["table"]] == [
        ["action", "taught"], ["Still", "8 of 4 groups"], ["Brighten", ""], ["Darken", ""],
    ]  # fmt: skip
    assert told["notes"][-1].startswith("By the rules it would become champion: ")
    assert told["rules"]["promoted"]
    assert "it knows other actions (+Still)" in told["rules"]["reason"]
    champion = registry.find_champion(NAME)
    assert champion is not None
    assert champion.version == "1", "the rules decide nothing about a draft"

    # Its files, and where it comes from.
    draft = registry.find_version(f"{NAME}@draft")
    assert (draft.version, draft.run_id) == ("2", told["run_id"])
    assert draft.labels["taught"] == "Still (8 clips of 4 groups)"
    run = find_run(draft.run_id)
    assert (run.tags["draft_of"], run.tags["base_run_id"]) == ("1", champion.run_id)
    assert run.tags["command"] == f"actreel teach {workspace.still}"
    taught = pd.read_csv(io.StringIO(read_artifact(run, "lesson/clips.csv")))
    with draft.folder() as folder:
        files = ModelFolder(folder)
        assert files.encoder.read_bytes() == workspace.champion.encoder.read_bytes()
        assert "a draft</h1>" in files.model_card.read_text(encoding="utf-8")
        before, after = (
            set(each.seen_clips.read_text(encoding="utf-8").split()) for each in (workspace.champion, files)
        )
        assert after - before == set(taught["sha256"])
        video = write_video_file(tmp_path / "new.avi", [fading_frames(np.random.default_rng(99), True, 12)[6]] * 12)
        whole, parts = (ActionClassifier.load(folder, whole=each) for each in (True, False))
        seen = [each.recognise(video) for each in (whole, parts)]
        assert parts.answer(seen[1]).label == "Still"
        assert parts.card.provenance.run_id == draft.run_id
        np.testing.assert_allclose(seen[0].probabilities, seen[1].probabilities, atol=1e-5)
        np.testing.assert_allclose(seen[0].distances, seen[1].distances, rtol=1e-3)

    # A second lesson, on the draft and without the videos of the first one: a picture that hardly gets brighter, a
    # training clip that is said to show something else, and an action of one group.
    shutil.rmtree(workspace.still)
    for group in (41, 42):
        frames = fading_frames(np.random.default_rng(group), True, 24)[12:18]
        write_video_file(tmp_path / "more" / "Brighten" / f"v_Brighten_g{group}_c01.avi", frames)
    write_video_file(tmp_path / "more" / "Lone" / "v_Lone_g51_c01.avi", frames[::-1])
    relabelled = tmp_path / "more" / "Still" / "v_Still_g61_c01.avi"
    relabelled.parent.mkdir()
    shutil.copy(Path("artifacts/videos") / trained_clip("Darken"), relabelled)
    main(["teach", str(tmp_path / "more"), "--base", f"{NAME}@draft"])
    said = capsys.readouterr().out
    assert said.startswith(f"{NAME} version 3, a draft from version 2:\n")
    rows = {line.split()[0]: line for line in said.splitlines()[2:7]}
    assert "2 of 2 groups" in rows["Brighten"]
    assert rows["Lone"].split()[-2:] == ["new", "unknown"]
    assert "unknown" in rows["Still"], "the draft had learned its clips, so only the answer after is fair"
    assert "Nothing is known of how well 'Lone' will be recognised" in said
    assert "By the rules it would not become champion" in said
    assert f"To try it beside the champion: make try MODEL={NAME}@draft" in said
    with registry.find_version(f"{NAME}@draft").folder() as folder:
        assert len(Taught.load(ModelFolder(folder).taught).rows) == 8 + 2 + 1 + 1
    assert "only clips that it was trained on" in refusal(capsys, "Still", relabelled, "--base", f"{NAME}@draft")

    main(["models"])
    listed = capsys.readouterr().out
    assert "* is champion, d the draft" in listed
    assert "never was: taught Brighten (2 clips of 2 groups), Lone (1 clip of 1 group)" in listed
    main(["models", "promote", f"{NAME}@draft", "--reason", "it sees faint light"])
    promoted = registry.find_champion(NAME)
    assert promoted is not None
    assert promoted.version == "3"
    assert registry.find_alias(NAME, registry.DRAFT) is None


def test_what_cannot_be_taught_is_refused_and_nothing_is_registered(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    index, known = read_index(INDEX), Path("artifacts/videos") / trained_clip("Darken")
    assert "only clips that it was trained on, as the same actions" in refusal(capsys, "Darken", known)
    assert "differ from the others in more than case" in refusal(capsys, "dark-en", known)
    write_index(index[index["action"] != "Darken"], INDEX)
    assert "a workspace without those of 'Darken'" in refusal(capsys, workspace.still)
    mlflow.MlflowClient().delete_registered_model_alias(NAME, registry.CHAMPION)
    assert f"'{NAME}' has no champion to teach" in refusal(capsys, workspace.still)
    assert len(mlflow.MlflowClient().search_model_versions(f"name='{NAME}'")) == 1
