"""train: artifacts/clips ▸ artifacts/model, chosen between the network and its order-blind baseline; one MLflow run."""

import logging
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

import pandas as pd

from actreel.base.console import exit_cleanly
from actreel.base.kept import kept_folder, publish, share
from actreel.base.kept_warnings import keeping_warnings
from actreel.base.places import (
    CANDIDATES,
    CHOSEN,
    CLIPS,
    DATASET,
    ENCODE_WARNINGS,
    FEATURES,
    GROUP_CURVE,
    INDEX,
    MODEL,
    RUNNER_UP,
    SAMPLES,
    TRAINING,
    TRAINING_WARNINGS,
    VALIDATION,
    VARIANTS,
)
from actreel.config import ModelParams, Params, load_params
from actreel.dataset.layout import TRAIN, VAL
from actreel.dataset.records import clips_of, data_version, labels_of, read_index, usable
from actreel.inference.classifier import Provenance
from actreel.inference.model_folder import ModelFolder
from actreel.quiet_keras import keras
from actreel.tracking import runs
from actreel.training.choice import Choice, choose
from actreel.training.data import TrainingData
from actreel.training.export import calibrate, export_model, write_manifest
from actreel.training.features import open_inputs
from actreel.training.held_out import curve_over_groups, hold_out
from actreel.training.rejection import fit_rejection
from actreel.training.resume import resume_folder
from actreel.training.strategies import is_chief
from actreel.training.train import complete, curve_folder, train
from actreel.training.variants import EncodedVariants

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fitted:
    """A trained network.

    Attributes:
        network: Its parameters.
        model: As returned by `train`.
        curve: As returned by `train`.
    """

    network: ModelParams
    model: keras.Model
    curve: pd.DataFrame


def main() -> None:
    """Trains the network and its order-blind baseline; the better one on the validation clips becomes the model."""
    params = load_params()
    choice, data = choose_network(params, load_data())
    params, network, scored = choice.variant.applied_to(params), choice.network, choice.scored
    baseline = network.order_blind if network.sees_order else None
    if not is_chief(params.train.strategy):  # only the first of several workers writes files
        for each in filter(None, (network, baseline)):
            train(each, params.train, data.store, data.rows, data.labels)
        return
    for store in (CLIPS, FEATURES):
        share(store)
    kept = kept_folder(TRAINING)  # a killed training resumes from it
    state = resume_folder(kept, network, params.train, data.store, data.index)
    version = data_version(data.index)

    def fit(each: ModelParams, prefix: str) -> Fitted:
        records = curve_folder(kept, each)
        model, curve = train(
            each, params.train, data.store, data.rows, data.labels,
            epoch_weights=records / "epochs", resume=state / (prefix or "model"),
            on_epoch=partial(runs.log_epoch, prefix=prefix), scored=scored,
        )  # fmt: skip
        curve.to_csv(records / "curve.csv", index=False)
        return Fitted(each, model, curve)

    with (
        keeping_warnings("train", kept / TRAINING_WARNINGS.name, earlier=ENCODE_WARNINGS),
        runs.training_run(params, params.split, data.index, version, state / "run") as run_id,
    ):
        runs.log_folder(DATASET, "dataset")
        runs.log_file(SAMPLES, "dataset")
        runs.log_folder(VALIDATION, "validation")
        choice.table.to_csv(kept / CANDIDATES.name, index=False)
        runs.log_file(kept / CANDIDATES.name, "reports")
        log.info(f"training {network.title} on {len(data.rows[TRAIN])} clips, MLflow run {run_id}")
        fitted, runner_up = fit(network, prefix=""), None
        if baseline is not None:
            log.info("training the order-blind baseline the same way")
            fitted, runner_up = better(fitted, fit(baseline, prefix="baseline_"))

        epochs = curve_folder(kept, fitted.network) / "epochs"
        statistics, held_out = hold_out(fitted.model, fitted.curve, fitted.network, params.train, data, epochs, scored)
        temperature = calibrate(fitted.model, held_out)
        groups = curve_over_groups(fitted.model, fitted.curve, fitted.network, params.train, data)
        groups.to_csv(kept / GROUP_CURVE.name, index=False)
        runs.log_file(kept / GROUP_CURVE.name, "reports")
        rejection = fit_rejection(statistics, held_out, params.train.true_accept_rate)
        folder = ModelFolder(MODEL)
        model, encoder = export_model(fitted.model, fitted.network, rejection, data, folder)
        provenance = Provenance(
            dataset=params.dataset.label,
            data_version=version,
            run_id=run_id,
            git_commit=runs.git_commit(),
            trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        write_manifest(data, rejection, temperature, fitted.network, provenance, folder, encoder)
        keep_runner_up(runner_up, data)
        runs.log_keras_model(model)
        runs.log_network(fitted.network)
    shutil.rmtree(state)
    publish(TRAINING, keep=False)
    if choice.encoded:
        publish(CHOSEN, keep=True)


def choose_network(params: Params, data: TrainingData) -> tuple[Choice, TrainingData]:
    """Chooses head and clip on held-out groups of the training clips.

    Returns:
        The choice, and the data with the chosen clip. If that is not the one of params.yaml, the features of all clips
        are kept for the folder CHOSEN.
    """
    variants = None
    if params.train.variants:
        every = pd.concat(data.rows.values(), ignore_index=True)
        variants = EncodedVariants(every, data.store, params.model, VARIANTS)
    choice = choose(params.model, params.train, data.store, data.rows, data.labels, variants)
    if variants is not None and choice.encoded:
        data = replace(data, store=variants.encode(choice.variant, usable(data.index), kept_folder(CHOSEN)))
    return choice, data


def better(network: Fitted, baseline: Fitted) -> tuple[Fitted, Fitted]:
    """The one that is right on more held-out clips, then the other; a tie goes to the baseline, which is cheaper.

    Held out are the validation clips or, for a probe, the clips of each inner fold.

    Test clips take no part, so the winner's accuracy on them is not that of the better of two.
    """
    right = [validation_accuracy(each.curve) for each in (network, baseline)]
    # Less than one clip in a million is a difference of rounding.
    first, second = (network, baseline) if right[0] > right[1] + 1e-6 else (baseline, network)
    log.info(
        f"on held-out clips, {network.network.title} is right on {right[0]:.1%}, and the order-blind "
        f"{baseline.network.title} on {right[1]:.1%}: the model is {first.network.title}"
    )
    return first, second


def validation_accuracy(curve: pd.DataFrame) -> float:
    """The accuracy on held-out clips after the epoch that `train` keeps: the one with the lowest loss on them."""
    return float(curve["val_accuracy"].to_numpy()[curve["val_loss"].argmin()])


def keep_runner_up(runner_up: Fitted | None, data: TrainingData) -> None:
    """Saves the network that did not become the model, so that both can be compared on the test clips."""
    RUNNER_UP.mkdir(parents=True, exist_ok=True)
    if runner_up is not None:
        complete(runner_up.network, data.store.spec, runner_up.model).save(ModelFolder(RUNNER_UP).keras)


def load_data() -> TrainingData:
    """The index, and the frames or features of its training and validation clips."""
    index = read_index(INDEX)
    rows = {split: clips_of(index, split) for split in (TRAIN, VAL)}
    return TrainingData(index, rows, labels_of(index), open_inputs(CLIPS, FEATURES))


if __name__ == "__main__":
    exit_cleanly(main, __doc__)
