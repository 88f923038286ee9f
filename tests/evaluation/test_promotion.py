from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from actreel.config import Params, load_params, override
from actreel.dataset.store import StoredClips, write_store
from actreel.evaluation.promotion import contest, decide
from actreel.evaluation.report import Evaluation
from actreel.evaluation.served import score
from actreel.inference.classifier import ActionClassifier
from actreel.inference.model_folder import ModelFolder
from actreel.quiet_keras import keras
from actreel.tracking import registry, runs
from actreel.video.clips import load_clip
from tests.conftest import ROOT, grey_frames, write_model_folder, write_video_file

SCORES = {"accuracy": 0.9, "chance": 0.5, "mean_pool_accuracy": 0.6}


def test_a_first_model_that_beats_chance_and_baseline_is_champion() -> None:
    decision = decide(SCORES, has_champion=False, champion_accuracy=None, candidate_accuracy=None)
    assert decision.promoted


@pytest.mark.parametrize(
    ("changed", "champion", "rule"),
    [
        ({"accuracy": 0.5}, {}, "beat chance. Received: 0.5000 against 0.5000"),
        ({"mean_pool_accuracy": 0.9}, {}, "beat the order-blind mean-pool baseline"),
        ({}, {"champion_accuracy": 0.9, "candidate_accuracy": 0.9}, "same test clips. Received: 0.9000 against 0.9000"),
        ({}, {"champion_accuracy": None, "candidate_accuracy": None}, "neither was trained on"),
    ],
)
def test_the_reason_names_the_rule_that_failed(
    changed: dict[str, float], champion: dict[str, float | None], rule: str
) -> None:
    accuracies: dict[str, float | None] = {"champion_accuracy": 0.1, "candidate_accuracy": 0.2, **champion}
    decision = decide(SCORES | changed, has_champion=True, **accuracies)
    assert not decision.promoted
    assert rule in decision.reason


def test_a_tie_with_the_baseline_is_enough_only_if_the_user_allows_it() -> None:
    tied = SCORES | {"mean_pool_accuracy": SCORES["accuracy"]}
    refused = decide(tied, has_champion=False, champion_accuracy=None, candidate_accuracy=None)
    assert not refused.promoted
    assert "evaluate.may_tie_baseline=true" in refused.reason
    admitted = decide(tied, has_champion=False, champion_accuracy=None, candidate_accuracy=None, may_tie_baseline=True)
    assert admitted.promoted
    assert "ties with mean-pool (0.9000)" in admitted.reason
    behind = SCORES | {"mean_pool_accuracy": SCORES["accuracy"] + 0.01}
    worse = decide(behind, has_champion=False, champion_accuracy=None, candidate_accuracy=None, may_tie_baseline=True)
    assert not worse.promoted
    assert "may_tie" not in worse.reason


def test_a_better_model_replaces_the_champion() -> None:
    decision = decide(SCORES, has_champion=True, champion_accuracy=0.8, candidate_accuracy=0.85)
    assert decision.promoted
    assert "0.8500 to 0.8000" in decision.reason


def test_a_leaky_model_is_never_champion() -> None:
    decision = decide(SCORES, has_champion=False, champion_accuracy=None, candidate_accuracy=None, leaky=True)
    assert not decision.promoted
    assert "must not cross splits" in decision.reason


LABELS = ("dark", "bright")
TEST = pd.DataFrame(
    {
        "clip": ["a.avi", "b.avi", "c.avi", "d.avi"],
        "action": ["dark", "bright", "dark", "bright"],
        "group": ["g1", "g1", "g2", "g2"],
        "sha256": ["a", "b", "c", "d"],
        "split": "test",
    }
)
LEVELS = {"dark": 20, "bright": 230}
INTERVAL = {"accuracy_low": 0.6, "accuracy_high": 1.0}
METRICS = SCORES | INTERVAL | {"protocol": "group_holdout", "num_test_clips": 4, "num_test_groups": 2}


@pytest.fixture
def params() -> Params:
    return override(load_params(ROOT / "params.yaml"), ["clip.num_frames=4", "clip.height=16", "clip.width=16"])


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an MLflow store of its own, the test clips' videos and a model card."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").touch()
    for row in TEST.itertuples():
        write_video_file(tmp_path / "videos" / str(row.clip), grey_frames([LEVELS[str(row.action)]] * 6))
    (tmp_path / "model_card.html").write_text("a page", encoding="utf-8")
    return tmp_path


def compete(project: Path, params: Params, name: str, labels: tuple[str, str], seen: str) -> tuple[dict[str, Any], str]:
    """Lets a model of its own MLflow run, trained on the clips `seen`, compete; the decision and the run's id."""
    folder = write_model_folder(project / name, params.clip, labels)
    ModelFolder(folder).seen_clips.write_text("\n".join(seen), encoding="utf-8")
    store_folder = project / f"{name} clips"

    def make_frames(clips: Sequence[str]) -> Iterator[NDArray[np.uint8]]:
        return (load_clip(project / "videos" / clip, params.clip) for clip in clips)

    write_store(TEST, store_folder, {"clip": params.clip.model_dump()}, make_frames)
    store = StoredClips(store_folder)
    with runs.training_run(params, params.split, TEST, "abc") as run_id:
        classifier = ActionClassifier.load(folder)
        card = classifier.card
        card = card.model_copy(update={"provenance": card.provenance.model_copy(update={"run_id": run_id})})
        card.save(folder)
        classifier = ActionClassifier.load(folder)
        served = score(classifier, store, TEST, project / "videos")
        evaluation = Evaluation(
            test=TEST,
            targets=np.array([labels.index(action) for action in TEST["action"]]),
            store=store,
            inputs=store,
            videos=project / "videos",
            folder=folder,
            classifier=classifier,
            network=keras.Sequential(),
            model=keras.Sequential(),
            predict=lambda model, rows: served.probabilities,
            probabilities=served.probabilities,
            baseline=served.probabilities,
            served=served,
            parity=0.0,
        )
        decision = contest(evaluation, METRICS, params, project / "model_card.html")
        again = contest(evaluation, METRICS, params, project / "model_card.html")
    if decision["promoted"]:
        assert again == {"promoted": True, "reason": "it is the champion already.", "champion": decision["version"]}
    return decision, run_id


def test_the_champion_is_beaten_on_clips_that_it_was_not_trained_on(project: Path, params: Params) -> None:
    first, _ = compete(project, params, "wrong everywhere", ("bright", "dark"), seen="a")
    assert first["promoted"]
    assert first["champion"] == first["version"] == "1"

    better, run_id = compete(project, params, "right everywhere", ("dark", "bright"), seen="abcd")
    assert better["promoted"]
    assert "the previous champion (1.0000 to 0.0000)" in better["reason"]
    champion = registry.find_champion("actreel-grey")
    assert champion is not None
    assert (champion.version, champion.run_id) == (better["version"], run_id)
    published = {"accuracy": "0.9", "accuracy_low": "0.6", "accuracy_high": "1", "num_test_groups": "2"}
    assert champion.tags.items() >= (published | {"protocol": "group_holdout"}).items()

    refused, _ = compete(project, params, "too late", ("dark", "bright"), seen="")
    assert not refused["promoted"]
    assert "trained on all of these test clips" in refused["reason"]
    assert refused["champion"] == champion.version
    assert registry.find_champion("actreel-grey") == champion


def test_a_tie_with_the_champion_is_not_enough(project: Path, params: Params) -> None:
    compete(project, params, "first", LABELS, seen="ab")
    second, _ = compete(project, params, "second", LABELS, seen="")
    assert not second["promoted"]
    assert "same test clips. Received: 1.0000 against 1.0000" in second["reason"]
    assert second["champion"] == "1"
