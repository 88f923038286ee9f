"""From what a visitor says on the page to a served model that answers differently, all by the service's calls."""

import shutil
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from actreel.base.places import BENTO
from actreel.tracking import registry
from pipelines import champion
from tests.conftest import fading_frames, write_video_file
from tests.pipelines.conftest import LONGEST_S, Project, as_trained
from tests.pipelines.test_package import Served, served
from tests.serving.conftest import wait_for
from tests.serving.routes.test_jobs import ended, submit

NAME = "actreel-fading"
NEW = "Keep still"
KEY = "open sesame"


def still(folder: Path, group: int) -> Path:
    """A video of a picture whose light stays as it is."""
    frames = fading_frames(np.random.default_rng([group, 7]), True, 12)
    return write_video_file(folder / f"still{group}.avi", [frames[6]] * 12)


def ask(client: httpx.Client, video: Path) -> dict[str, Any]:
    """What the service answers to a video that is sent as the page sends it."""
    answer: dict[str, Any] = ended(client, submit(client, video))["result"]
    return answer


def say_what_they_show(client: httpx.Client, videos: list[Path]) -> None:
    """Says of each answer that it is wrong, names the action, and shares the video."""
    for video in videos:
        given = {
            "prediction_id": ask(client, video)["prediction_id"],
            "correct": False,
            "label": NEW,
            "share_video": True,
        }
        assert client.post("/feedback", json=given).raise_for_status().json()["video_kept"]


def operators(server: Served) -> httpx.Client:
    """A client with the key."""
    client = server.client()
    client.headers["X-API-Key"] = KEY
    return client


def test_feedback_on_the_page_becomes_a_served_model_that_answers_differently(
    trained: tuple[Project, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = shutil.copytree(as_trained(trained[0]), tmp_path / "project", symlinks=True)
    places = {f"ACTREEL_{name}_DIR": str(tmp_path / name.lower()) for name in ("STATE", "FEEDBACK", "STATISTICS")}
    environment = {**trained[0].env, **places, "PYTHONPATH": str(root / "src"), "BENTOML_HOME": str(tmp_path / "store")}
    environment |= {"ACTREEL_API_KEY": KEY, "ACTREEL_PROJECT_DIR": str(root)}
    project = Project(root, environment)
    monkeypatch.chdir(root)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    log, serve = tmp_path / "log", ["serving.release", "serve"]
    question = still(tmp_path, 9)

    with served(serve, root, environment, log) as server, operators(server) as client:
        say_what_they_show(client, [still(tmp_path, group) for group in range(1, 7)])
        before = ask(client, question)
        assert before["label"] in {"Brighten", "Darken"}
        assert client.get("/teach/lessons").json()["actions"] == [{"label": NEW, "clips": 6, "videos": 6}]
        lesson = client.post("/teach", json={"actions": [NEW]}).raise_for_status().json()["id"]
        told = wait_for(
            lambda: (job := client.get(f"/jobs/{lesson}").json())["state"] in ("done", "failed") and job, LONGEST_S
        )
        draft = told["result"]
        assert (draft["name"], draft["base"]) == (NAME, before["model"]["version"]), told
        assert [row[0] for row in draft["table"]] == ["action", NEW, "Brighten", "Darken"]
        assert draft["table"][1][1:4] == ["6 of 6 groups", "6 of 6 groups", "new"]
        held = registry.find_champion(NAME)
        assert held is not None
        assert held.version == draft["base"], "a draft is served by nobody's word but the operator's"
        assert ask(client, question)["label"] == before["label"]
        given = {"job": lesson, "reason": "visitors keep still"}
        assert client.post("/teach/promote", json=given).raise_for_status().json()["version"] == draft["version"]
        assert not any("tensorflow" in each.path for worker in server.workers.values() for each in worker.memory_maps())

    champion.main()
    project.run("python", "-m", "pipelines.package")
    packaged = ["bentoml", "serve", str(root / BENTO)]
    with served(packaged, root, environment, log, warm=True) as server, operators(server) as client:
        after = ask(client, question)
        known = client.get("/model").raise_for_status().json()
    assert (after["label"], known["labels"]) == (NEW, ["Brighten", "Darken", NEW])
    for answer, version in ((before, draft["base"]), (after, draft["version"])):
        found = registry.find_version(f"{answer['model']['name']}@{answer['model']['version']}")
        assert (found.version, found.run_id) == (version, answer["model"]["run_id"])
        assert len(answer["model"]["data_version"]) == 12
    assert before["model"]["data_version"] != after["model"]["data_version"]
    assert before["model"]["bento"] != after["model"]["bento"]
