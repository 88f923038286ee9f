from pathlib import Path

import pytest

from actreel.models import embedding_of
from actreel.training.data import TrainingData
from actreel.training.features import StoredFeatures
from actreel.training.folds import Scored
from actreel.training.held_out import hold_out
from actreel.training.targets import targets_of
from actreel.training.train import predict, train
from tests.conftest import train_params
from tests.training import test_probes
from tests.training.test_probes import INDEX, LABELS, MODEL, ROWS

store = test_probes.store


def test_a_probe_s_clips_are_scored_by_solutions_that_do_not_know_their_group(store: StoredFeatures) -> None:
    scored: Scored = {}
    model, curve = train(MODEL, train_params(), store, ROWS, LABELS, scored=scored)
    data = TrainingData(INDEX, ROWS, LABELS, store)
    statistics, held_out = hold_out(model, curve, MODEL, train_params(), data, Path("none"), scored)
    assert held_out.probabilities.shape == (len(INDEX), len(LABELS))
    best = curve["val_loss"].argmin()
    right = held_out.probabilities.argmax(axis=1) == held_out.targets
    assert right.mean() == pytest.approx(curve["val_accuracy"][best])
    assert right.mean() < curve["accuracy"][best]
    learned = statistics.distances(predict(embedding_of(model), store, INDEX, 8))
    assert held_out.distances.mean() > learned.mean()


def test_after_a_refit_the_validation_clips_are_scored_as_they_were_before(
    store: StoredFeatures, tmp_path: Path
) -> None:
    network = MODEL.model_copy(update={"head": "lstm"})
    params = train_params(epochs=2, batch_size=4, refit=True)
    model, curve = train(network, params, store, ROWS, LABELS, epoch_weights=tmp_path)
    _, held_out = hold_out(model, curve, network, params, TrainingData(INDEX, ROWS, LABELS, store), tmp_path, {})
    best = int(curve["val_loss"].argmin())
    assert held_out.targets.tolist() == targets_of(ROWS["val"], LABELS).tolist()
    right = held_out.probabilities.argmax(axis=1) == held_out.targets
    assert right.mean() == pytest.approx(curve["val_accuracy"][best])
    refitted = predict(model, store, ROWS["val"], 4)
    assert abs(held_out.probabilities - refitted).max() > 1e-3
