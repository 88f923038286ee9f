"""From what a visitor says on the page to a served model that answers differently, with nothing replaced."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from actreel.cli.program import main
from actreel.feedback import folder_of
from actreel.tracking import registry
from pipelines import champion
from tests.conftest import fading_frames, write_video_file
from tests.pipelines.conftest import Project, as_trained
from tests.pipelines.test_package import Served, served
from tests.serving.routes.test_jobs import ended, submit

NAME = "actreel-fading"
NEW = "Keep still"


def still(folder: Path, group: int) -> Path:
    """A video of a picture whose light stays as it is."""
    frames = fading_frames(np.random.default_rng([group, 7]), True, 12)
    return write_video_file(folder / f"still{group}.avi", [frames[6]] * 12)


def ask(client: httpx.Client, video: Path) -> dict[str, Any]:
    """What the service answers to a video that is sent as the page sends it."""
    answer: dict[str, Any] = ended(client, submit(client, video))["result"]
    return answer


def teach_on_the_page(server: Served, videos: list[Path]) -> None:
    """Says of each answer that it is wrong, names the action, and shares the video."""
    with server.client() as client:
        for video in videos:
            given = {
                "prediction_id": ask(client, video)["prediction_id"],
                "correct": False,
                "label": NEW,
                "share_video": True,
            }
            assert client.post("/feedback", json=given).raise_for_status().json()["video_kept"]


def test_feedback_on_the_page_becomes_a_served_model_that_answers_differently(
    trained: tuple[Project, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = shutil.copytree(as_trained(trained[0]), tmp_path / "project", symlinks=True)
    places = {f"ACTREEL_{name}_DIR": str(tmp_path / name.lower()) for name in ("STATE", "FEEDBACK", "STATISTICS")}
    environment = {**trained[0].env, **places, "PYTHONPATH": str(root / "src"), "BENTOML_HOME": str(tmp_path / "store")}
    project = Project(root, environment)
    monkeypatch.chdir(root)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("ACTREEL_FEEDBACK_DIR", places["ACTREEL_FEEDBACK_DIR"])
    log, serve = tmp_path / "log", ["serving.release", "serve"]
    question = still(tmp_path, 9)

    with served(serve, root, environment, log) as server:
        teach_on_the_page(server, [still(tmp_path, group) for group in range(1, 7)])
        with server.client() as client:
            before = ask(client, question)
    assert before["label"] in {"Brighten", "Darken"}

    main(["feedback", "export", "lessons"])
    assert len(list(Path("lessons", folder_of(NEW)).iterdir())) == 6
    capsys.readouterr()
    main(["teach", "lessons", "--json"])
    draft = json.loads(capsys.readouterr().out)
    assert (draft["name"], draft["base"]) == (NAME, before["model"]["version"])
    held = registry.find_champion(NAME)
    assert held is not None
    assert held.version == draft["base"], "a draft is served by nobody's word but the operator's"

    main(["models", "promote", f"{NAME}@draft", "--reason", "visitors keep still"])
    champion.main()
    project.run(sys.executable, "-m", "pipelines.package")
    with served(serve, root, environment, log) as server, server.client() as client:
        after = ask(client, question)
        known = client.get("/model").raise_for_status().json()
    assert (after["label"], known["labels"]) == (NEW, ["Brighten", "Darken", NEW])
    for answer, version in ((before, draft["base"]), (after, draft["version"])):
        found = registry.find_version(f"{answer['model']['name']}@{answer['model']['version']}")
        assert (found.version, found.run_id) == (version, answer["model"]["run_id"])
        assert len(answer["model"]["data_version"]) == 12
    assert before["model"]["data_version"] != after["model"]["data_version"]
    assert before["model"]["bento"] != after["model"]["bento"]
