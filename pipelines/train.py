"""train: artifacts/clips ▸ artifacts/model, its order-blind baseline, and one MLflow run."""

import logging
import shutil
from datetime import UTC, datetime

from actreel.base.console import exit_cleanly
from actreel.base.kept import kept_folder, publish, share
from actreel.base.places import BASELINE, CLIPS, DATASET, FEATURES, INDEX, MODEL, TRAINING, VALIDATION
from actreel.config import load_params
from actreel.dataset.layout import TRAIN, VAL
from actreel.dataset.records import clips_of, data_version, labels_of, read_index
from actreel.inference.classifier import Provenance
from actreel.inference.model_folder import ModelFolder
from actreel.tracking import runs
from actreel.training.export import TrainingData, calibrate, export_model, fit_rejection, write_manifest
from actreel.training.features import open_inputs
from actreel.training.resume import resume_folder
from actreel.training.strategies import is_chief
from actreel.training.train import complete, train

log = logging.getLogger(__name__)


def main() -> None:
    """Trains the model, then its baseline: the same network with the mean over time in place of its head."""
    params = load_params()
    network, order_blind = params.model, params.model.order_blind
    data = load_data()
    if not is_chief(params.train.strategy):  # only the first of several workers writes files
        for each in (network, order_blind):
            train(each, params.train, data.store, data.rows, data.labels)
        return
    for store in (CLIPS, FEATURES):
        share(store)
    kept = kept_folder(TRAINING)  # a killed training resumes from it
    state = resume_folder(kept, network, params.train, data.store, data.index)
    version = data_version(data.index)

    with runs.training_run(params, params.split, data.index, version, state / "run") as run_id:
        runs.log_folder(DATASET, "dataset")
        runs.log_folder(VALIDATION, "validation")

        log.info(f"training {network.encoder}+{network.head} on {len(data.rows[TRAIN])} clips, MLflow run {run_id}")
        fitted, curve = train(
            network, params.train, data.store, data.rows, data.labels,
            epoch_weights=kept / "epochs", resume=state / "model", on_epoch=runs.log_epoch,
        )  # fmt: skip
        curve.to_csv(kept / "curve.csv", index=False)
        temperature = calibrate(fitted, params.train, data)

        log.info("training the order-blind baseline the same way")
        baseline, _ = train(
            order_blind, params.train, data.store, data.rows, data.labels, resume=state / "baseline",
            on_epoch=lambda epoch, metrics: runs.log_epoch(epoch, metrics, prefix="baseline_"),
        )  # fmt: skip
        BASELINE.mkdir(parents=True, exist_ok=True)
        complete(order_blind, data.store.spec, baseline).save(ModelFolder(BASELINE).keras)

        folder = ModelFolder(MODEL)
        rejection = fit_rejection(fitted, params.train, data)
        model = export_model(fitted, network, rejection, data, folder)
        provenance = Provenance(
            dataset=params.dataset.label,
            data_version=version,
            run_id=run_id,
            git_commit=runs.git_commit(),
            trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        write_manifest(data, rejection, temperature, provenance, folder)
        runs.log_keras_model(model, data.store.spec, len(data.labels))
    shutil.rmtree(state)
    publish(TRAINING, keep=False)


def load_data() -> TrainingData:
    """The index, and the frames or features of its training and validation clips."""
    index = read_index(INDEX)
    rows = {split: clips_of(index, split) for split in (TRAIN, VAL)}
    return TrainingData(index, rows, labels_of(index), open_inputs(CLIPS, FEATURES))


if __name__ == "__main__":
    exit_cleanly(main, __doc__)
