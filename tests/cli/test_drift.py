"""`actreel drift` on a real index, a real store of frames, real statistics and a real MLflow store."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from actreel.base.places import ANSWERS, CLIPS, INDEX
from actreel.cli import main
from actreel.config import ClipSpec
from actreel.dataset.records import data_version, write_index
from actreel.dataset.store import write_store
from actreel.errors import ModelError
from actreel.feedback import Feedback, FeedbackStore
from actreel.statistics import Asked, StatisticsLog, hour_of
from actreel.tracking import store
from actreel.tracking.runs import find_run
from tests.conftest import ROOT

NOW = datetime.now(UTC)
SPEC = ClipSpec(num_frames=4, height=16, width=16)
LABELS = ("jump", "run", "walk")


def training_index(clips: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    seconds = rng.uniform(3, 8, clips).round(2)
    rows = {
        "clip": [f"{LABELS[place % 3]}/c{place}.avi" for place in range(clips)],
        "action": [LABELS[place % 3] for place in range(clips)],
        "group": [f"g{place // 6}" for place in range(clips)],
        "split": ["train"] * (clips - 20) + ["test"] * 20,
        "sha256": [f"{place:064x}" for place in range(clips)],
        "fps": 25.0, "width": 320, "height": 240, "duration_s": seconds,
        "num_frames": (25 * seconds).astype(int),
        "level": rng.integers(60, 200, clips),
    }  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, quick_stores: None) -> Iterator[str]:
    """A project with a trained and evaluated model, now the current folder; the id of the model's run."""
    folder = tmp_path_factory.mktemp("drift")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "")  # MLflow sets it; so it is as before at the end
        patch.setenv("ACTREEL_FEEDBACK_DIR", str(folder / "feedback"))
        patch.chdir(folder)
        for name in ("params.yaml", "dvc.yaml"):
            shutil.copy(ROOT / name, name)
        index = training_index()
        levels = dict(zip(index["clip"], index["level"], strict=True))
        INDEX.parent.mkdir()
        write_index(index.drop(columns="level"), INDEX)
        write_store(
            index, CLIPS, {"clip": SPEC.model_dump()},
            lambda clips: (np.full(SPEC.shape, levels[clip], dtype=np.uint8) for clip in clips),
        )  # fmt: skip
        store.connect()
        with mlflow.start_run(run_name="model", tags={"dataset": "demo", "data_version": data_version(index)}) as run:
            mlflow.log_text(answers_to_the_test_clips().to_csv(index=False), ANSWERS.as_posix())
        yield run.info.run_id


def answers_to_the_test_clips(clips: int = 90) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    confidence = rng.uniform(0.5, 1, clips)
    return pd.DataFrame(
        {
            "clip": "c", "predicted": rng.choice(LABELS, clips), "confidence": confidence,
            "margin": 2 * confidence - 1, "distance": rng.gamma(4, 1, clips), "known": rng.random(clips) < 0.9,
        }
    )  # fmt: skip


Ask = Callable[..., Path]


@pytest.fixture
def ask(project: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Writes statistics of videos like the training clips, with some of it changed."""
    folder = tmp_path / "statistics"
    monkeypatch.setenv("ACTREEL_STATISTICS_DIR", str(folder))
    log = StatisticsLog(folder, 90, 2**20)

    def write(count: int = 60, seed: int = 0, **changes: Any) -> Path:
        rng = np.random.default_rng([seed, 2])
        clips, said = training_index(), answers_to_the_test_clips()
        for row, answer in zip(rng.integers(0, 100, count), rng.integers(0, len(said), count), strict=True):
            clip, given = clips.loc[row], said.loc[answer]
            asked = Asked(
                hour=hour_of(NOW - timedelta(hours=2)), duration_s=clip["duration_s"], fps=clip["fps"],
                width=int(clip["width"]), height=int(clip["height"]), num_frames=int(clip["num_frames"]),
                brightness=clip["level"] / 255, label=given["predicted"], confidence=given["confidence"],
                known=bool(given["known"]), distance=given["distance"], margin=given["margin"],
                model="actreel-demo@3", run_id=project,
            )  # fmt: skip
            log.add(replace(asked, **changes))
        return folder

    return write


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Any]]:
    """Runs `actreel drift … --json`; gives its exit code and result."""

    def run(*options: str) -> tuple[int, Any]:
        with pytest.raises(SystemExit) as ended:
            main(["drift", "--json", *options])
        return int(str(ended.value.code)), json.loads(capsys.readouterr().out)

    return run


Run = Callable[..., tuple[int, Any]]


def drift_runs() -> list[Any]:
    return [run for run in mlflow.search_runs(output_format="list") if run.data.tags.get("kind") == "drift"]


def test_videos_like_the_training_clips_have_not_drifted(ask: Ask, run: Run) -> None:
    for seed in range(3):
        ask(seed=seed)
    code, result = run()
    assert (code, result["verdict"], result["exit_code"]) == (0, "none", 0)
    assert (result["num_videos"], result["num_answers"], result["model"]) == (180, 180, "actreel-demo@3")
    assert {each["column"] for each in result["columns"]} == {
        "duration_s", "fps", "width", "height", "brightness", "label", "known", "confidence", "margin", "distance",
    }  # fmt: skip
    assert (result["next"], result["notes"]) == (None, [])


def test_darker_and_longer_videos_have_drifted_and_the_report_is_in_mlflow(ask: Ask, run: Run, tmp_path: Path) -> None:
    ask(brightness=0.1, duration_s=60.0)
    page = tmp_path / "page.html"
    code, result = run("--report", str(page))
    assert (code, result["verdict"], result["next"]) == (3, "drift", "actreel drift --hard 20 --answers OUT")
    drifted = {each["column"]: each for each in result["columns"] if each["drifted"]}
    assert set(drifted) == {"brightness", "duration_s"}
    assert "has drifted: the median is 60 s, of the reference" in drifted["duration_s"]["sentence"]

    logged = mlflow.get_run(result["run_id"])
    assert logged.data.tags.items() >= {"kind": "drift", "dataset": "demo", "drift": "true"}.items()
    assert logged.data.metrics["columns_drifted"] == 2
    assert logged.data.metrics["drift.brightness.effect"] == pytest.approx(drifted["brightness"]["effect"])
    assert mlflow.artifacts.load_text(f"runs:/{result['run_id']}/drift.html") == page.read_text(encoding="utf-8")
    assert json.loads(mlflow.artifacts.load_text(f"runs:/{result['run_id']}/drift.json"))["said"] == result["said"]
    assert "data_version" not in logged.data.tags  # by which training runs are told
    with pytest.raises(ModelError, match="No run matches"):
        find_run(result["run_id"])


def test_people_read_a_sentence_a_column(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    ask(fps=60.0)
    with pytest.raises(SystemExit) as ended:
        main(["drift"])
    lines = capsys.readouterr().out.splitlines()
    assert ended.value.code == 3
    assert lines[0].startswith("fps         The frame rate has drifted: the median is 60 fps, of the reference 25 fps")
    assert lines[1].split()[0] in ("duration_s", "brightness", "label", "known", "confidence", "margin", "distance")
    assert "What is asked has drifted: fps. 60 videos were asked since" in lines[-3]
    assert re.fullmatch(r"The report is in MLflow run [0-9a-f]{32}\.", lines[-2])
    assert lines[-1].startswith("Next: actreel drift --hard 20")


def test_few_videos_give_no_verdict_and_no_run(ask: Ask, run: Run) -> None:
    ask(29, fps=60.0)
    before = len(drift_runs())
    code, result = run()
    assert (code, result["verdict"], result["columns"]) == (0, "too_few", [])
    assert "29 videos were asked" in result["said"]
    assert len(drift_runs()) == before
    ask(1, fps=60.0)
    assert run()[0] == 3


def test_only_the_newest_model_s_answers_count_and_no_other_dataset_s(ask: Ask, run: Run) -> None:
    ask(40, label="jump", run_id="old", hour=hour_of(NOW - timedelta(days=3)))
    ask(50, label="jump", model="actreel-other@1", fps=60.0)
    folder = ask(60)
    with next(iter(folder.glob("*.jsonl"))).open("a") as file:
        file.write("torn\n")
    code, result = run()
    assert (code, result["num_videos"], result["num_answers"]) == (0, 100, 60)
    notes = " ".join(result["notes"])
    assert "50 videos were answered by actreel-other@1" in notes
    assert "40 videos were answered by earlier models" in notes
    assert "Damaged lines of the statistics, as after a full disk: 1" in notes
    assert run("--since", "1d")[1]["num_videos"] == 60


def test_a_model_whose_run_is_gone_leaves_its_answers_out(ask: Ask, run: Run) -> None:
    ask(run_id="0" * 32)
    code, result = run()
    assert code == 0
    assert {each["column"] for each in result["columns"]} == {"duration_s", "fps", "width", "height", "brightness"}
    assert "The answers of actreel-demo@3 are not compared. No run matches" in result["notes"][0]


def test_without_the_frames_the_brightness_is_left_out(ask: Ask, run: Run) -> None:
    ask()
    moved = CLIPS.rename(CLIPS.with_name("moved"))
    try:
        _, result = run()
    finally:
        moved.rename(CLIPS)
    assert "brightness" not in {each["column"] for each in result["columns"]}
    assert "The brightness is not compared" in result["notes"][0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "no statistics of what the service was asked"),
        (("--since", "month"), "such as 12h, 30d or 4w. Received: 'month'"),
        (("--hard", "3", "--since", "1d"), "neither --since nor --report"),
        (("--answers", "x"), "--answers belongs to --hard"),
        (("--hard", "3"), "no visitor has shared one"),
    ],
)
def test_mistakes_are_explained(options: tuple[str, ...], said: str, ask: Ask) -> None:
    with pytest.raises(SystemExit, match=re.escape(said)):
        main(["drift", *options])


def test_hard_examples_come_from_feedback(
    project: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ACTREEL_FEEDBACK_DIR", str(tmp_path / "kept"))
    video = tmp_path / "video"
    video.write_bytes(b"RIFF")
    kept = FeedbackStore(tmp_path / "kept")
    kept.add(Feedback("sure", "jump", 0.99, "m", True, None), video)
    kept.add(Feedback("wrong", "jump", 0.9, "m", False, "swim"), video)
    kept.add(Feedback("not shared", "run", 0.1, "m", False, "swim"))
    main(["drift", "--hard", "5"])
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"1.00  {tmp_path}/kept/videos/wrong.avi  a visitor says 'swim', the model 'jump'"
    assert "99% sure of 'jump'" in second
    main(["drift", "--hard", "1", "--json"])
    (only,) = json.loads(capsys.readouterr().out)["videos"]
    assert (only["label"], only["said"], only["hardness"]) == ("jump", "swim", 1)
