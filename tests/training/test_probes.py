from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_info

from actreel.config import PROBES, ClipSpec, ModelParams
from actreel.dataset.splits import assign_folds
from actreel.dataset.store import StoredClips, write_store
from actreel.errors import ConfigError, ModelError
from actreel.models import CLIP_NORMALISE, PROBABILITIES, embedding_of, export_onnx
from actreel.quiet_keras import keras
from actreel.training.features import StoredFeatures
from actreel.training.folds import FEW_VIEWS, FOLDS, Pooled, score_folds
from actreel.training.lda import LdaSolutions
from actreel.training.logistic import Solutions
from actreel.training.probes import solver_of
from actreel.training.ridge import RidgeSolutions
from actreel.training.targets import targets_of
from actreel.training.train import epoch_models, predict, train
from tests.conftest import train_params

SPEC = ClipSpec(num_frames=6, height=8, width=8)
MODEL = ModelParams(
    encoder="efficientnet_lite0", weights="imagenet", head="statistics_probe", motion="none", units=8, dropout=0.5
)
LABELS = ["Down", "Still", "Up"]
PER_ACTION = 12
NUM_FEATURES = 5
INDEX = pd.DataFrame(
    [(f"{label}{place:02d}", label) for place in range(PER_ACTION) for label in LABELS], columns=["clip", "action"]
)
INDEX["sha256"] = INDEX["clip"]
INDEX["group"] = INDEX["clip"].str[-2:]  # each group shows every action once
HELD_OUT = INDEX[24:].reset_index(drop=True)
# Some labels are wrong, so that the weakest penalty, which is the surest, is not the best one.
WRONG = {"Up11": "Down", "Down11": "Up", "Up10": "Still", "Still09": "Up"}
ROWS = {
    "train": INDEX[:24],
    "val": HELD_OUT.assign(
        action=[WRONG.get(clip, action) for clip, action in HELD_OUT[["clip", "action"]].to_numpy()]
    ),
}


def features_of(action: str, rng: np.random.Generator) -> NDArray[np.float32]:
    """float32 (T, F): the first feature rises, falls or does neither, around a level that tells nothing."""
    features = rng.normal(0, 1, (SPEC.num_frames, NUM_FEATURES))
    features[:, 0] += 3 * rng.normal() + np.linspace(-4, 4, SPEC.num_frames) * (LABELS.index(action) - 1)
    return features.astype(np.float32)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> StoredFeatures:
    """Features of each clip as it is, and in a mirror, where the first one has the other sign."""
    folder = tmp_path_factory.mktemp("features")
    rng = np.random.default_rng(0)
    values = {clip: features_of(action, rng) for clip, action in zip(INDEX["clip"], INDEX["action"], strict=True)}
    mirror = np.array([-1, 1, 1, 1, 1], dtype=np.float32)
    made_with = {"clip": SPEC.model_dump(), "encoder": "none"}
    write_store(INDEX, folder, made_with, lambda names: (np.stack([values[n], values[n] * mirror]) for n in names))
    return StoredFeatures(folder)


def solved(known: NDArray[np.float32], targets: NDArray[np.int64], strength: float, **options: Any) -> Any:
    return LogisticRegression(C=strength, max_iter=5000, **options).fit(known, targets)


def standardised(model: Any, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the last layer sees."""
    return np.asarray(keras.Model(model.input, model.get_layer(PROBABILITIES).input)(features))


def accuracy(model: Any, store: StoredFeatures, rows: pd.DataFrame, labels: list[str]) -> float:
    return float((predict(model, store, rows, 8).argmax(axis=1) == targets_of(rows, labels)).mean())


def test_a_probe_of_statistics_sees_a_trend_and_one_of_the_mean_does_not(store: StoredFeatures) -> None:
    rows, seen = {"train": INDEX[:15], "val": INDEX[15:24].reset_index(drop=True)}, {}
    for head in ("statistics_probe", "mean_probe"):
        model, _ = train(MODEL.model_copy(update={"head": head}), train_params(), store, rows, LABELS)
        seen[head] = accuracy(model, store, HELD_OUT, LABELS)
    assert seen["statistics_probe"] > 0.7
    assert seen["mean_probe"] < 0.6


@pytest.mark.parametrize("labels", [LABELS, ["Down", "Up"]])
def test_the_answers_are_those_of_logistic_regression_on_all_standardised_clips(
    store: StoredFeatures, labels: list[str]
) -> None:
    rows = {split: part[part["action"].isin(labels)].reset_index(drop=True) for split, part in ROWS.items()}
    model, curve = train(MODEL, train_params(), store, rows, labels)
    both = pd.concat(list(rows.values()))
    known = standardised(model, store.take(both["clip"].tolist()))
    np.testing.assert_allclose(known.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(known.std(axis=0), 1, atol=0.06 if len(labels) == 3 else 0.1)
    strength = Solutions.PATH[int(curve["val_loss"].argmin())]
    expected = solved(known, targets_of(both, labels), strength).predict_proba(known)
    np.testing.assert_allclose(predict(model, store, both, 8), expected, atol=0.01)


def test_the_penalty_is_the_one_that_is_best_on_held_out_groups(store: StoredFeatures, tmp_path: Path) -> None:
    told: list[tuple[int, float]] = []
    model, curve = train(
        MODEL, train_params(), store, ROWS, LABELS, epoch_weights=tmp_path,
        on_epoch=lambda epoch, metrics: told.append((epoch, metrics["val_loss"])),
    )  # fmt: skip
    assert told == list(zip(curve["epoch"], curve["val_loss"], strict=True))
    best = curve["val_loss"].argmin()
    assert 0 < best < len(curve) - 1
    assert len(curve) == min(len(Solutions.PATH), best + 4), "weaker penalties are tried as long as they may help"
    kept = predict(model, store, INDEX, 8)
    np.testing.assert_array_equal(
        kept, [predict(then, store, INDEX, 8) for then in epoch_models(model, tmp_path)][best]
    )

    # The folds by hand, with a new probe for each.
    rows = pd.concat(list(ROWS.values()), ignore_index=True)
    fold_of, losses = assign_folds(rows, FOLDS, train_params().seed), []
    for fold in range(FOLDS):
        others, held_out = rows[fold_of != fold], rows[fold_of == fold]
        pooled, given = (pooled_of(model, store, part) for part in (others, held_out))
        mean, scale = pooled.mean(axis=0), np.sqrt(pooled.var(axis=0) + 1e-3)
        solver = solved((pooled - mean) / scale, targets_of(others, LABELS), Solutions.PATH[best])
        answers = solver.predict_proba((given - mean) / scale)
        losses += (-np.log(answers[np.arange(len(held_out)), targets_of(held_out, LABELS)])).tolist()
    assert curve["val_loss"][best] == pytest.approx(np.mean(losses), rel=0.01)


def pooled_of(model: Any, store: StoredFeatures, rows: pd.DataFrame) -> NDArray[np.float32]:
    """What the layer that standardises sees."""
    pooling = keras.Model(model.input, model.get_layer(CLIP_NORMALISE).input)
    return np.asarray(pooling(store.take(rows["clip"].tolist())))


def test_a_clip_is_learned_in_a_mirror_too_as_what_it_shows_there(store: StoredFeatures) -> None:
    mirror_as = {"Up": "Down", "Down": "Up", "Still": None}
    model, curve = train(MODEL, train_params(mirror=True, mirror_as=mirror_as), store, ROWS, LABELS)
    both = pd.concat(list(ROWS.values()))
    names, targets = both["clip"].to_numpy(), targets_of(both, LABELS)
    moving = targets != 1
    views = [store.take(names.tolist()), store.take(names[moving].tolist(), [True] * int(moving.sum()))]
    known = standardised(model, np.concatenate(views))
    np.testing.assert_allclose(known.mean(axis=0), 0, atol=1e-5)
    strength = Solutions.PATH[int(curve["val_loss"].argmin())]
    expected = solved(known, np.r_[targets, 2 - targets[moving]], strength).predict_proba(known)
    np.testing.assert_allclose(np.asarray(model(np.concatenate(views))), expected, atol=0.01)


def test_a_probe_learns_mirrored_clips_of_a_side_as_the_other_one(store: StoredFeatures) -> None:
    names = {"Up": "WaveLeft", "Down": "WaveRight", "Still": "Still"}
    rows = {split: part.assign(action=part["action"].map(names)) for split, part in ROWS.items()}
    labels = [names[label] for label in LABELS]
    by_name, _ = train(MODEL, train_params(mirror=True), store, rows, labels)
    by_hand, _ = train(MODEL, train_params(mirror=True, mirror_as={"Up": "Down", "Down": "Up"}), store, ROWS, LABELS)
    for ours, theirs in zip(by_name.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_balance_gives_every_action_the_same_weight(store: StoredFeatures) -> None:
    rows = {"train": ROWS["train"].drop(index=[0, 3, 6, 9, 12, 15]).reset_index(drop=True), "val": ROWS["val"]}
    model, curve = train(MODEL, train_params(balance=True), store, rows, LABELS)
    both = pd.concat(list(rows.values()))
    known = standardised(model, store.take(both["clip"].tolist()))
    strength = Solutions.PATH[int(curve["val_loss"].argmin())]
    targets = targets_of(both, LABELS)
    expected = solved(known, targets, strength, class_weight="balanced").predict_proba(known)
    np.testing.assert_allclose(predict(model, store, both, 8), expected, atol=0.01)
    assert np.abs(expected - solved(known, targets, strength).predict_proba(known)).max() > 0.02


def test_an_action_without_a_clip_is_never_the_answer(store: StoredFeatures) -> None:
    rows = {split: part[part["action"] != "Still"].reset_index(drop=True) for split, part in ROWS.items()}
    model, curve = train(MODEL, train_params(balance=True), store, rows, LABELS)
    assert np.isfinite(curve.to_numpy()).all()
    assert predict(model, store, INDEX, 8)[:, LABELS.index("Still")].max() < 1e-6


def test_onnx_gives_what_keras_gives(store: StoredFeatures, tmp_path: Path) -> None:
    for head, motion in (("statistics_probe", "none"), ("statistics_probe", "difference"), ("moments_probe", "none")):
        network = MODEL.model_copy(update={"head": head, "motion": motion})
        model, _ = train(network, train_params(), store, ROWS, LABELS)
        export_onnx(model, tmp_path / "head.onnx")
        features = store.take(INDEX["clip"].tolist())
        (answers,) = onnxruntime.InferenceSession(tmp_path / "head.onnx").run(None, {"features": features})
        np.testing.assert_allclose(answers, np.asarray(model(features)), atol=1e-5)


def test_the_embedding_is_the_features_mean(store: StoredFeatures) -> None:
    model, _ = train(MODEL, train_params(), store, ROWS, LABELS)
    assert model.get_layer(CLIP_NORMALISE).input.shape[1] == 3 * NUM_FEATURES
    embeddings = predict(embedding_of(model), store, INDEX, 8)
    features = store.take(INDEX["clip"].tolist())
    scale = [np.asarray(weights) for weights in model.get_layer("normalise").get_weights()]
    expected = (features.mean(axis=1) - scale[0]) / np.sqrt(scale[1] + 1e-3)
    assert embeddings.shape == (len(INDEX), NUM_FEATURES)
    assert np.abs(np.corrcoef(embeddings.T, expected.T)[:NUM_FEATURES, NUM_FEATURES:].diagonal() - 1).max() < 1e-4


def test_one_action_alone_cannot_be_told_apart(store: StoredFeatures) -> None:
    rows = {split: part[part["action"] == "Up"].reset_index(drop=True) for split, part in ROWS.items()}
    with pytest.raises(ModelError, match=r"at least 2 actions and 2 groups\. Received: Up in 11 groups"):
        train(MODEL, train_params(), store, rows, LABELS)


def test_frames_are_refused(tmp_path: Path) -> None:
    write_store(INDEX[:1], tmp_path, {"clip": SPEC.model_dump()}, lambda names: iter([np.zeros(SPEC.shape, np.uint8)]))
    with pytest.raises(ModelError, match="features of a frozen encoder"):
        train(MODEL.model_copy(update={"weights": "none"}), train_params(), StoredClips(tmp_path), ROWS, LABELS)


def test_a_mirror_of_an_unknown_action_is_a_message(store: StoredFeatures) -> None:
    with pytest.raises(ConfigError, match=r"train\.mirror_as must name actions"):
        train(MODEL, train_params(mirror=True, mirror_as={"Jump": "Up"}), store, ROWS, LABELS)


def test_each_probe_has_its_solver() -> None:
    others = {"ridge_probe": RidgeSolutions, "lda_probe": LdaSolutions}
    assert {head: solver_of(head) for head in PROBES} == {head: others.get(head, Solutions) for head in PROBES}


@pytest.mark.parametrize(("views", "alone"), [(FEW_VIEWS, True), (FEW_VIEWS + 1, False)])
def test_only_few_clips_are_solved_on_one_thread(views: int, alone: bool) -> None:
    seen = set()

    def threads() -> list[int]:
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    class Recorded(Solutions):
        PATH = (1.0,)

        def __init__(self, *args: Any) -> None:
            seen.add(tuple(threads()))
            super().__init__(*args)

    class Clips(Pooled):
        def solutions(self, views: Any = slice(None)) -> Solutions:
            return Recorded(self.features[views], self.targets[views], np.ones(views.sum(), np.float32), 2)

    rng, targets = np.random.default_rng(0), np.arange(views) % 2
    names, weights = np.array(["person"] * views), np.ones(2, np.float32)
    outside = threads()
    features = rng.normal(targets[:, None], 1, (views, 2)).astype(np.float32)
    score_folds(Clips(features, targets, targets // 2 + np.arange(views) // 2 % 2, names, views, weights, Recorded))
    assert seen == {tuple(1 if alone else number for number in outside)}
    assert threads() == outside
