from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from actreel.config import Params, load_params, override
from actreel.dataset.store import StoredClips, write_store
from actreel.evaluation.paired import compare_pair
from actreel.evaluation.promotion import Decision, Rival, contest, decide, models_judged
from actreel.evaluation.report import Evaluation
from actreel.evaluation.served import score
from actreel.inference.classifier import ActionClassifier
from actreel.inference.model_folder import ModelFolder
from actreel.quiet_keras import keras
from actreel.tracking import registry, runs
from actreel.video.clips import load_clip
from tests.conftest import ROOT, grey_frames, write_model_folder, write_video_file

SCORES = {
    "accuracy": 0.9,
    "accuracy_low": 0.6,
    "accuracy_high": 1.0,
    "balanced_accuracy": 0.85,
    "balanced_accuracy_low": 0.55,
    "balanced_accuracy_high": 0.95,
    "balanced_chance": 0.5,
    "chance": 0.95,
    "mean_pool_accuracy": 1.0,
    "num_test_clips": 4,
    "num_test_groups": 2,
}


def decided(rival: Rival | None = None, *, leaky: bool = False, **changed: float) -> Decision:
    return decide(SCORES | changed, rival, name="actreel-grey", version="7", leaky=leaky, advice="Try more clips.")


def rival(new_right: str, old_right: str, **about: Any) -> Rival:
    """A champion that was compared on one clip for each character, a group each: + is right."""
    old, new = (np.array([sign == "+" for sign in signs]) for signs in (old_right, new_right))
    return Rival("3", compare_pair(old, new, [f"g{number}" for number in range(len(old))]), **about)


def test_neither_a_better_baseline_nor_a_common_action_refuses_a_model() -> None:
    decision = decided()
    assert decision.promoted
    assert decision.reason == (
        "90.0 % of 4 test clips of 2 groups are right; the balanced accuracy, which decides, is 85.0 % (95 %: "
        "55.0 % to 95.0 %), where guessing gets 50.0 %, and there was no champion before."
    )


def test_only_chance_and_a_leaky_split_refuse_a_model() -> None:
    guess = decided(balanced_accuracy_low=0.5)
    assert not guess.promoted
    assert guess.reason == (
        "a champion must be better than chance. Received: a balanced accuracy of 85.0 % (95 %: 50.0 % to 95.0 %), "
        "where guessing gets 50.0 %; make serve MODEL=actreel-grey@7 serves this one all the same. Try more clips."
    )
    leaky = decided(leaky=True)
    assert not leaky.promoted
    assert "must not cross splits" in leaky.reason


def test_a_better_model_replaces_the_champion_and_a_worse_one_does_not() -> None:
    better = decided(rival("+" * 20, "-" * 12 + "+" * 8))
    assert better.promoted
    assert "on 100.0 % and version 3 on 40.0 % of 20 clips of 20 groups that neither has learned" in better.reason
    assert "(difference +60 points, 95 %: 29 to 74" in better.reason
    assert "only one is right on 12 and 0 clips, McNemar's p = 0.00049)" in better.reason
    worse = decided(rival("-" * 12 + "+" * 8, "+" * 20, new_actions=("Jump",), more_clips=100))
    assert not worse.promoted
    assert "so version 3 is better and stays" in worse.reason
    assert "make serve MODEL=actreel-grey@7" in worse.reason


def test_where_the_test_is_undecided_something_else_must_speak_for_the_new_model() -> None:
    one_more = ("+" * 20, "-" + "+" * 19)  # one clip's difference is no evidence
    stays = decided(rival(*one_more))
    assert not stays.promoted
    assert (
        "which is undecided, so version 3 stays; make serve MODEL=actreel-grey@7 serves this one all the same, and"
        in stays.reason
    )
    assert not decided(rival(*one_more, more_clips=-5)).promoted
    grown = decided(rival(*one_more, more_clips=5))
    assert grown.promoted
    assert "it was trained on 5 clips more, so it takes over" in grown.reason
    other = decided(rival(*one_more, new_actions=("Jump",), lost_actions=("Run",)))
    assert other.promoted
    assert "; on the actions that both know, it is right on" in other.reason
    assert "it knows other actions (+Jump, -Run), so it takes over" in other.reason
    unmet = decided(Rival("3", None))
    assert unmet.promoted
    assert "cannot be compared with version 3" in unmet.reason


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
METRICS = SCORES | {"protocol": "group_holdout"}


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


def compete(
    project: Path, params: Params, name: str, labels: tuple[str, ...], seen: str, judged: int
) -> tuple[dict[str, Any], str]:
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
            runner_up=None,
            served=served,
            parity=0.0,
        )
        assert models_judged(evaluation) == judged
        decision = contest(evaluation, METRICS, params, project / "model_card.html")
        assert models_judged(evaluation) == judged, "a model that was registered is counted once"
        again = contest(evaluation, METRICS, params, project / "model_card.html")
    if decision["promoted"]:
        already = (
            "90.0 % of 4 test clips of 2 groups are right; the balanced accuracy, which decides, is 85.0 % (95 %: "
            "55.0 % to 95.0 %), where guessing gets 50.0 %, and it is the champion already."
        )
        assert again == {"promoted": True, "reason": already, "champion": decision["version"]}
    return decision, run_id


def test_the_champion_is_met_on_clips_that_it_has_not_learned(project: Path, params: Params) -> None:
    first, _ = compete(project, params, "wrong everywhere", ("bright", "dark"), seen="ab", judged=1)
    assert first["promoted"]
    assert first["champion"] == first["version"] == "1"

    # Right on both clips that are left, which is no evidence.
    equal, _ = compete(project, params, "right everywhere", ("dark", "bright"), seen="cd", judged=2)
    assert not equal["promoted"]
    assert "it is right on 100.0 % and version 1 on 0.0 % of 2 clips of 1 groups" in equal["reason"]
    assert "make serve MODEL=actreel-grey@2" in equal["reason"]
    assert equal["champion"] == "1"

    larger, run_id = compete(project, params, "larger", ("dark", "bright"), seen="abcd", judged=3)
    assert larger["promoted"]
    assert "it was trained on 2 clips more" in larger["reason"]
    champion = registry.find_champion("actreel-grey")
    assert champion is not None
    assert (champion.version, champion.run_id) == (larger["version"], run_id)
    published = {"accuracy": "0.9", "accuracy_low": "0.6", "accuracy_high": "1", "num_test_groups": "2"}
    assert champion.tags.items() >= (published | {"protocol": "group_holdout"}).items()

    # The champion has learned all of the test clips: there is nothing to compare on.
    later, _ = compete(project, params, "later", ("dark", "bright"), seen="", judged=4)
    assert later["promoted"]
    assert f"cannot be compared with version {champion.version}" in later["reason"]


def test_models_of_other_actions_are_compared_on_the_common_ones(project: Path, params: Params) -> None:
    compete(project, params, "with another", ("dark", "middle", "bright"), seen="", judged=1)
    other, _ = compete(project, params, "without it", ("dark", "bright"), seen="", judged=2)
    assert other["promoted"]
    assert (
        "on the actions that both know, it is right on 100.0 % and version 1 on 100.0 % of 4 clips" in other["reason"]
    )
    assert "it knows other actions (-middle)" in other["reason"]
