from pathlib import Path

import pytest

from actreel.models import embedding_of
from actreel.training.data import TrainingData
from actreel.training.features import StoredFeatures
from actreel.training.held_out import hold_out
from actreel.training.train import predict, train
from tests.conftest import train_params
from tests.training import test_probes, test_train
from tests.training.test_probes import INDEX, LABELS, MODEL, ROWS

store = test_probes.store
frames = test_train.store


def test_a_probe_s_clips_are_scored_by_solutions_that_do_not_know_their_group(store: StoredFeatures) -> None:
    model, curve = train(MODEL, train_params(), store, ROWS, LABELS)
    data = TrainingData(INDEX, ROWS, LABELS, store)
    statistics, held_out = hold_out(model, curve, MODEL, train_params(), data, Path("none"))
    assert held_out.probabilities.shape == (len(INDEX), len(LABELS))
    best = curve["val_loss"].argmin()
    right = held_out.probabilities.argmax(axis=1) == held_out.targets
    assert right.mean() == pytest.approx(curve["val_accuracy"][best])
    assert right.mean() < curve["accuracy"][best]
    learned = statistics.distances(predict(embedding_of(model), store, INDEX, 8))
    assert held_out.distances.mean() > learned.mean()
