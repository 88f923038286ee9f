"""The whole pipeline on real videos, in a DVC repository of its own."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from actreel.config import load_params
from actreel.dataset.store import StoredClips
from actreel.inference.classifier import ActionClassifier
from actreel.video.clips import load_clip
from tests.pipelines.conftest import Project, learning, stages_run

STAGES = ["source", "ingest", "index", "validate", "extract", "encode", "train", "evaluate", "champion", "package"]
CONTRACT = {
    "accuracy", "top5_accuracy", "macro_precision", "macro_recall", "macro_f1", "chance", "mean_pool_accuracy",
    "protocol", "num_test_clips", "num_test_groups", "num_classes",
}  # fmt: skip
WARNING = "1 folders contain no clips and are left out: 'Empty'"


def test_raw_video_becomes_a_packaged_champion(trained: tuple[Project, str]) -> None:
    project, output = trained
    assert stages_run(output) == STAGES
    metrics = json.loads((project.root / "reports/metrics.json").read_text(encoding="utf-8"))
    assert metrics.keys() >= CONTRACT
    assert metrics["accuracy"] == 1.0
    assert metrics["mean_pool_accuracy"] < 1.0
    assert "new champion: 100.0 % of 8 test clips of 2 groups are right" in output
    assert "the model is small_cnn + lstm" in output
    assert "The order of frames adds" in output
    assert metrics["order_gain"] == 1 - metrics["mean_pool_accuracy"]
    assert metrics["num_unknown_clips"] == 8
    assert metrics["rejection_auroc"] > 0.9
    card = json.loads((project.root / "artifacts/model/classifier.json").read_text(encoding="utf-8"))
    assert card["max_distance"] > 0
    assert {path.name for path in (project.root / "artifacts/model").iterdir()} >= {
        "model.keras", "model.onnx", "encoder.onnx", "head.onnx", "classifier.json",
    }  # fmt: skip
    served = {path.name for path in (project.root / "artifacts/bento/models").rglob("*.onnx")}
    assert served == {"encoder.onnx", "head.onnx"}
    assert (project.root / "artifacts/bento/bento.yaml").is_file()
    assert "visitors of the page can watch these clips as samples: 'Brighten/v_" in output
    assert "Traceback" not in output


def test_a_second_run_only_looks_behind_links_and_asks_who_is_champion_and_says_the_same_at_its_end(
    trained: tuple[Project, str],
) -> None:
    project, output = trained
    assert "learning from 32 clips of 2 actions (16 to 16 of each) in 8 groups, with the recipe 'small'" in output
    last = output.splitlines()[-1]
    assert last.startswith(
        "Ready to serve: actreel-fading version 1; 100.0 % of 8 test clips of 2 groups are right; the balanced "
        "accuracy, which decides, is 100.0 % (95 %: "
    )
    assert last.endswith(", and there was no champion before. Next: make serve (or, while a server runs: make reload)")
    path = load_params(project.root / "params.yaml").dataset.path
    again = project.run(*learning(Path(path)))
    assert stages_run(again) == ["source", "champion"]
    assert again.splitlines()[-1] == last
    assert f"warning: (from the stage ingest) {WARNING}" in again


def test_stored_clips_equal_what_the_service_loads(trained: tuple[Project, str]) -> None:
    project, _ = trained
    store = StoredClips(project.root / "artifacts/clips")
    for name in store.clips:
        clip = load_clip(project.root / "artifacts/videos" / name, store.spec)
        np.testing.assert_array_equal(store.take([name])[0], clip)


def test_the_command_line_predicts_with_the_trained_model(trained: tuple[Project, str]) -> None:
    project, _ = trained
    # No clip of validation: the one that is farthest off sets the limit, and rounding decides on which side it is.
    clip = "artifacts/videos/Darken/v_Darken_g02_c01.avi"
    answer = json.loads(project.answer("actreel", "predict", clip, "--json"))
    # Not its confidence: that is 0 where this small model does not know a clip.
    assert answer["top"][0]["label"] == answer["label"] == "Darken"
    direct = ActionClassifier.load(project.root / "artifacts/model").predict(project.root / clip)
    assert answer["top"][0]["confidence"] == pytest.approx(direct[0].confidence, abs=1e-6)


def test_warnings_of_the_data_are_on_the_card(trained: tuple[Project, str]) -> None:
    project, output = trained
    assert f"warning: {WARNING}" in output
    for card in ("model_card.md", "model_card.html"):
        assert WARNING in (project.root / "reports" / card).read_text(encoding="utf-8")


def test_the_report_is_complete_and_goes_with_the_champion(trained: tuple[Project, str]) -> None:
    project, _ = trained
    plots = {path.name for path in (project.root / "reports/figures").iterdir()}
    assert plots == {"curves.png", "confusion.png", "confused.png", "reliability.png", "saliency.png"}
    page = (project.root / "reports/model_card.html").read_bytes()
    assert b"small_cnn + lstm on fading" in page
    (packaged,) = (project.root / "artifacts/bento/models").rglob("model_card.html")
    assert packaged.read_bytes() == page
    assert b'alt="Frames of' in page
    classifier = ActionClassifier.load(project.root / "artifacts/model")
    samples = sorted((packaged.parent / "samples").glob("*/*.webm"))
    assert [sample.parent.name for sample in samples] == list(classifier.card.labels)
    for sample in samples:
        assert classifier.predict(sample)[0].label == sample.parent.name
    slices = pd.read_csv(project.root / "reports/slices.csv")
    assert set(slices["slice"]) == {"duration", "frame_size", "group"}
    metrics = metrics_but_time(project)
    assert slices.loc[slices["slice"] == "frame_size", "clips"].sum() == metrics["num_test_clips"]
    assert metrics["multi_clip_accuracy"] == 1.0
    answers = pd.read_csv(project.root / "reports/answers.csv")
    assert answers["known"].mean() == pytest.approx(metrics["true_accept_rate"])
    assert (answers["margin"] <= answers["confidence"]).all()
    assert (answers["distance"] > 0).all()
    assert metrics["flops"] > metrics["parameters"] > 60_000
    explained = project.run("actreel", "saliency", "artifacts/videos/Darken/v_Darken_g02_c01.avi", "--out", "why.png")
    assert "v_Darken_g02_c01.avi, Darken (" in explained


def test_dvcs_plots_need_no_network(trained: tuple[Project, str]) -> None:
    project, _ = trained
    project.run("dvc", "plots", "show")
    page = (project.root / "dvc_plots/index.html").read_text(encoding="utf-8")
    assert "//" not in page, "an address of another host"
    sources = re.findall('src="([^"]*)"', page)
    assert {source.rpartition("_")[2] for source in sources} >= {"curves.png", "confusion.png"}
    assert all((project.root / "dvc_plots" / source).is_file() for source in sources)
    untracked = re.findall(r"^\?\? (\S+)", project.run("git", "status", "--short"), re.MULTILINE)
    assert {"dvc.lock", "reports/"} <= set(untracked), "what a team commits"
    assert not [name for name in untracked if name.startswith((".", "mlflow", "dvc_plots"))]


def metrics_but_time(project: Project) -> dict[str, Any]:
    """The metrics that a second run must repeat."""
    metrics: dict[str, Any] = json.loads((project.root / "reports/metrics.json").read_text(encoding="utf-8"))
    assert metrics.pop("ms_per_clip") > 0
    return metrics


def test_changed_training_reruns_it_and_later_stages_and_the_champion_must_be_beaten(
    trained: tuple[Project, str],
) -> None:
    project, _ = trained
    before = metrics_but_time(project)
    settings = ("train.patience=50", "package.show_clips=false", "package.precision=int8", "package.max_drop=0.5")
    output = project.run("dvc", "exp", "run", *(word for setting in settings for word in ("-S", setting)))
    assert stages_run(output) == ["source", "train", "evaluate", "champion", "package"]
    assert "not champion: 100.0 % of 8 test clips of 2 groups are right" in output
    assert "undecided, so version 1 stays; make serve MODEL=actreel-fading@2 serves this one all the same" in output
    assert "packaged actreel" in output  # the one from before
    assert packaged_version(project) == "1"
    (card,) = (project.root / "artifacts/bento/models").rglob("model_card.html")
    assert "Frames of clips are not shown." in card.read_text(encoding="utf-8")
    assert 'alt="Frames of' not in card.read_text(encoding="utf-8")
    assert 'alt="Confusion matrix' in card.read_text(encoding="utf-8")
    assert not list((project.root / "artifacts/bento").rglob("*.webm"))
    bento = yaml.safe_load((project.root / "artifacts/bento/bento.yaml").read_text(encoding="utf-8"))
    assert (bento["labels"]["precision"], bento["labels"]["float32_accuracy"]) == ("int8", "1")
    assert ActionClassifier.load(card.parent).card.int8 is not None
    assert ActionClassifier.load(project.root / "artifacts/model").card.int8 is None
    assert "<h2>Precision</h2>" in card.read_text(encoding="utf-8")
    # The same seed, and a patience that is never reached: the metrics are equal to the last digit.
    assert metrics_but_time(project) == before


def packaged_version(project: Project) -> str:
    """The registered version in the Bento."""
    bento = yaml.safe_load((project.root / "artifacts/bento/bento.yaml").read_text(encoding="utf-8"))
    return str(bento["labels"]["version"])


def test_a_champion_by_hand_is_packaged_by_the_next_run_and_its_reason_is_told(trained: tuple[Project, str]) -> None:
    project, _ = trained
    champion = json.loads((project.root / "reports/champion.json").read_text(encoding="utf-8"))
    assert champion["version"] == "1"
    said = project.run("actreel", "models", "promote", "2", "--reason", "it sees <more> at night")
    assert "Version 2 of actreel-fading is champion now, in place of version 1.\nIt is packaged and served by" in said
    status = json.loads(project.run("actreel", "status", "--json", fails=True))
    assert (status["state"], status["next"], status["exit_code"]) == ("champion_moved", "make repro", 3)
    assert status["champion"]["version"] == "2"
    assert status["bento"]["version"] == "1"
    output = project.run("python", "-m", "pipelines.repro")
    assert stages_run(output) == ["source", "champion", "package"]
    assert "actreel-fading version 2, made champion by hand on 20" in output.splitlines()[-1]
    assert ": it sees <more> at night. Next: make serve" in output.splitlines()[-1]
    assert packaged_version(project) == "2"
    (card,) = (project.root / "artifacts/bento/models").rglob("model_card.html")
    assert ": it sees &lt;more&gt; at night</strong>" in card.read_text(encoding="utf-8")
    status = json.loads(project.run("actreel", "status", "--json"))
    assert (status["state"], status["next"], status["exit_code"]) == ("not_served", "make serve", 0)


def test_another_experiment_applied_brings_its_bento_back(trained: tuple[Project, str]) -> None:
    project, _ = trained
    (name,) = project.run("dvc", "exp", "list", "--name-only").split()
    project.run("dvc", "exp", "apply", name)
    assert json.loads((project.root / "reports/champion.json").read_text(encoding="utf-8"))["version"] == "1"
    assert packaged_version(project) == "1"


def test_a_registered_version_is_packaged_by_name_in_a_folder_of_its_own(trained: tuple[Project, str]) -> None:
    project, _ = trained
    before = packaged_version(project)
    command = ("python", "-m", "pipelines.package", "--into", ".bentoml/asked", "--model")
    output = project.run(*command, "actreel-fading@2")
    assert "actreel-fading version 2, 2 actions" in output
    bento = yaml.safe_load((project.root / ".bentoml/asked/bento.yaml").read_text(encoding="utf-8"))
    assert bento["labels"]["version"] == "2"
    assert packaged_version(project) == before
    assert "holds no model 'fading'. It holds: actreel-fading" in project.run(*command, "fading", fails=True)
