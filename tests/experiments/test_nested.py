"""Nested cross-validation: selection never sees test clips."""

from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from actreel.base.places import CROSSVAL
from actreel.config import Params, load_params, override
from actreel.dataset.records import clips_of
from actreel.dataset.splits import assign_folds, hold_out_fold
from actreel.dataset.store import Store
from actreel.errors import ActreelError, ConfigError, DatasetError
from actreel.experiments import crossval, nested
from actreel.experiments.crossval import cross_validate
from actreel.experiments.heldout import Inputs, Score, fit_and_score, prepare
from actreel.experiments.nested import choose, inner_splits, pooled, read_candidates
from actreel.models import PRETRAINED
from actreel.training.logistic import Solutions
from tests.conftest import ROOT, write_fading_dataset
from tests.models.networks import tiny_encoder

# Probes of a tiny encoder: what is selected matters here, not how long it trains.
SMALL = [
    "clip.num_frames=4", "clip.height=16", "clip.width=16", "dataset.name=folder",
    "model.encoder=efficientnet_lite0", "model.weights=imagenet", "model.head=mean_probe",
]  # fmt: skip
CANDIDATES = [{"model.head": "mean_probe"}, {"model.head": "statistics_probe", "model.motion": "difference"}]


@pytest.fixture(scope="module")
def params(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Params]:
    folder = tmp_path_factory.mktemp("selection")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRETRAINED, "efficientnet_lite0", tiny_encoder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.chdir(folder)
        (folder / "dvc.yaml").touch()
        clips = write_fading_dataset(folder / "clips", groups=8, clips=1)
        yield override(load_params(ROOT / "params.yaml"), [*SMALL, f"dataset.path={clips}"])


def test_each_fold_selects_its_own_settings_and_an_interrupted_one_continues(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(Exception):
        pass

    trained = []
    fit_and_score = nested.fit_and_score

    def dies_in_the_second_candidate(*arguments: object, **named: object) -> Score:
        trained.append(arguments[0])
        if len(trained) == 3:
            raise KilledError
        return fit_and_score(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(nested, "fit_and_score", dies_in_the_second_candidate)
    with pytest.raises(KilledError):
        cross_validate(params, 2, candidates=CANDIDATES, inner_folds=2)
    result = cross_validate(params, 2, candidates=CANDIDATES, inner_folds=2)
    assert len(trained) == 3 + 2 + 4  # a finished candidate is not trained again
    assert result["protocol"] == "group_2fold"
    for fold in result["folds"]:
        scores = [(score["balanced_accuracy"], -score["log_loss"]) for score in fold["choice"]["candidates"]]
        assert fold["choice"]["settings"] == CANDIDATES[scores.index(max(scores))]
        assert fold["epochs"] == len(Solutions.PATH)
    runs = mlflow.search_runs(experiment_names=["actreel"])
    assert len(runs) == 1 + 2 + 4  # none twice
    assert set(runs["status"]) == {"FINISHED"}
    folds = set(runs.loc[runs["tags.mlflow.parentRunId"] == result["run_id"], "run_id"])
    assert (runs["tags.mlflow.parentRunId"].isin(folds)).sum() == 4
    assert cross_validate(params, 2, candidates=CANDIDATES, inner_folds=2) == result


def test_clips_are_sampled_with_the_selected_settings(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: dict[str, list[tuple[int, int]]] = {"inner": [], "outer": []}
    for where, module in (("inner", nested), ("outer", crossval)):

        def watched(params: Params, rows: pd.DataFrame, store: Store, where: str = where, **named: object) -> Score:
            fitted[where].append((params.clip.num_frames, store.input_shape[0]))
            return fit_and_score(params, rows, store, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(module, "fit_and_score", watched)
    result = cross_validate(params, 2, candidates=[{"clip.num_frames": 2}, {"clip.num_frames": 6}], inner_folds=2)
    assert fitted["inner"] == [(2, 2), (2, 2), (6, 6), (6, 6)] * 2
    chosen = [fold["choice"]["settings"]["clip.num_frames"] for fold in result["folds"]]
    assert fitted["outer"] == [(frames, frames) for frames in chosen]


def poisoned(params: Params, clips: list[str]) -> Inputs:
    """A store that gives noise for some clips, whatever the clip settings."""
    _, inputs = prepare(params, CROSSVAL)
    store = inputs(params.clip)
    take = store.take
    rng = np.random.default_rng(0)

    def take_poison(names: list[str], mirrored: list[bool] | None = None) -> np.ndarray:
        frames = take(names, mirrored)
        for row, name in enumerate(names):
            if name in clips:
                frames[row] = rng.integers(0, 256, frames[row].shape)
        return frames

    store.take = take_poison  # type: ignore[method-assign, assignment]
    return lambda clip: store


def test_test_clips_have_no_influence_on_the_selection(params: Params, tmp_path: Path) -> None:
    index, inputs = prepare(params, CROSSVAL)
    store = inputs(params.clip)
    folds = assign_folds(index, 2, 0)
    index["split"] = hold_out_fold(index, folds, 0, params.split)
    inside = index[index["split"] != "test"]
    tested = clips_of(index, "test")["clip"].tolist()

    _, clean = choose(params, CANDIDATES[1:], inside, inputs, 2, tmp_path / "clean")
    relabelled = index.assign(action=index["action"].where(index["split"] != "test", "Nonsense"))
    _, untouched = choose(
        params, CANDIDATES[1:], relabelled[index["split"] != "test"], poisoned(params, tested), 2, tmp_path / "poisoned"
    )
    assert untouched == clean
    _, touched = choose(
        params, CANDIDATES[1:], inside, poisoned(params, inside["clip"].tolist()), 2, tmp_path / "poisoned inside"
    )
    assert touched != clean  # poison that is read changes the scores

    with pytest.raises(KeyError):
        store.only(inside["clip"]).take(tested)
    with pytest.raises(ConfigError, match=r"training and validation clips only\. Received clips of: test"):
        choose(params, CANDIDATES[1:], index, inputs, 2, tmp_path / "refused")


def test_inner_folds_test_every_training_clip_once_and_share_no_group() -> None:
    split_of = {0: "val"}
    rows = pd.DataFrame(
        [
            (f"{action}{group}", action, f"g{group}", split_of.get(group, "train"))
            for action in "ab"
            for group in range(6)
        ],
        columns=["clip", "action", "group", "split"],
    )
    params = load_params(ROOT / "params.yaml").split
    with pytest.raises(DatasetError, match="Inner fold 1 of 2 has no clips to validate on"):
        inner_splits(rows[rows["group"] < "g2"], 2, params)
    splits = inner_splits(rows, 3, params)
    assert sorted(clip for split in splits for clip in clips_of(split, "test")["clip"]) == sorted(rows["clip"])
    for split in splits:
        assert set(split["split"]) == {"train", "val", "test"}
        assert (split.groupby("group")["split"].nunique() == 1).all()
    (split,) = inner_splits(rows, None, params)
    assert clips_of(split, "test")["clip"].tolist() == clips_of(rows, "val")["clip"].tolist()


def test_actions_have_equal_weight_in_a_score() -> None:
    answers = [("1", "a", "a", 0.5), ("2", "a", "a", 0.5), ("3", "a", "b", 0.25), ("4", "b", "b", 1.0)]
    score = Score(groups=[], num_test_clips=4, accuracy=0, balanced_accuracy=0, epochs=1, parameters=1, answers=answers)
    inner = pooled([score])
    assert inner.balanced_accuracy == pytest.approx((2 / 3 + 1) / 2)
    assert inner.log_loss == pytest.approx(np.log([2, 2, 4]).mean() / 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model.head: gru", "must be a list of candidates. Received: dict"),
        ("- {model.encoder: pixels}", "'model.encoder' cannot be selected"),
        ("- {train.seed: 3}", "'train.seed' cannot be selected"),
        ("- {split.test: 0.1}", "'split.test' cannot be selected"),
        ("- {model.units: 0}", "'model.units'"),
        ("- {", "cannot be read as YAML"),
    ],
)
def test_an_invalid_file_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "candidates.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ActreelError, match=message):
        read_candidates(tmp_path / "candidates.yaml", load_params(ROOT / "params.yaml"))
