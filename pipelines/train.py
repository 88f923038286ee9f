"""train: artifacts/clips ▸ artifacts/model, its order-blind baseline, and one MLflow run."""

import shutil
from datetime import UTC, datetime

from actreel import tracking
from actreel.config import load_params
from actreel.console import exit_cleanly
from actreel.dataset.records import SPLITS, TEST, TRAIN, VAL, clips_of, data_version, labels_of, read_index, usable
from actreel.dataset.store import StoredClips
from actreel.evaluation.metrics import fit_temperature
from actreel.evaluation.rejection import fit_familiar, threshold, unknown_halves
from actreel.inference.classifier import ClassifierCard, Provenance
from actreel.inference.model_folder import ModelFolder
from actreel.inference.windows import window_length
from actreel.models import embedding_of, export_onnx, export_parts, with_distance
from actreel.places import BASELINE, CLIPS, DATASET, FEATURES, INDEX, MODEL, TRAINING, VALIDATION
from actreel.training.features import open_inputs
from actreel.training.resume import resume_folder
from actreel.training.strategies import is_chief
from actreel.training.train import complete, cool, predict, targets_of, train


def main() -> None:
    """Trains the model, then the same network with the mean over time in place of its head.

    Of several workers, the first writes what comes of it.
    """
    params = load_params()
    index = read_index(INDEX)
    clips = StoredClips(CLIPS)
    inputs = open_inputs(CLIPS, FEATURES)
    labels = labels_of(index)
    version = data_version(index)
    rows = {split: clips_of(index, split) for split in SPLITS if split != TEST}
    if not is_chief(params.train.strategy):
        for network in (params.model, params.model.order_blind):
            train(network, params.train, inputs, rows, labels)
        return
    for folder in (MODEL, BASELINE):
        folder.mkdir(parents=True, exist_ok=True)
    # DVC keeps this output between runs, so a killed training leaves in it what the next goes on with.
    state = resume_folder(TRAINING, params.model, params.train, inputs, index)

    with tracking.training_run(params, params.split, index, version, state / "run") as run_id:
        tracking.log_folder(DATASET, "dataset")
        tracking.log_folder(VALIDATION, "validation")

        print(f"training {params.model.encoder}+{params.model.head} on {len(rows['train'])} clips, MLflow run {run_id}")
        fitted, curve = train(
            params.model, params.train, inputs, rows, labels,
            epoch_weights=TRAINING / "epochs", resume=state / "model", on_epoch=tracking.log_epoch,
        )  # fmt: skip
        curve.to_csv(TRAINING / "curve.csv", index=False)
        temperature = 1.0
        if not params.train.refit:  # a refitted model has learned from the clips that could calibrate it
            unsure = predict(fitted, inputs, rows[VAL], params.train.batch_size)
            temperature = fit_temperature(unsure, targets_of(rows[VAL], labels))
            cool(fitted, temperature)

        print("training the order-blind baseline the same way")
        order_blind = params.model.order_blind
        blind, _ = train(
            order_blind, params.train, inputs, rows, labels, resume=state / "baseline",
            on_epoch=lambda epoch, metrics: tracking.log_epoch(epoch, metrics, prefix="baseline_"),
        )  # fmt: skip
        complete(order_blind, clips.spec, blind).save(ModelFolder(BASELINE).keras)

        model = complete(params.model, clips.spec, fitted)
        files = ModelFolder(MODEL)
        model.save(files.keras)
        embedding = embedding_of(fitted)
        familiar = fit_familiar(
            predict(embedding, inputs, rows[TRAIN], params.train.batch_size), targets_of(rows[TRAIN], labels)
        )
        measuring = with_distance(model, familiar.whitening, familiar.offset, familiar.centres)
        export_onnx(measuring, files.onnx)
        export_parts(measuring, files.encoder, files.head)
        max_distance = None
        unknown, _ = unknown_halves(index)
        if len(unknown):
            distances = familiar.distances(predict(embedding, inputs, unknown, params.train.batch_size))
            max_distance = threshold(distances, params.train.false_accept_rate)
            if not params.train.refit:
                known = familiar.distances(predict(embedding, inputs, rows[VAL], params.train.batch_size))
                print(
                    f"{(known <= max_distance).mean():.0%} of the validation clips count as known, with the limit that "
                    f"{len(unknown)} unknown clips set. If that is too few, add unknown clips, or raise "
                    "train.false_accept_rate."
                )
        else:
            print(
                "No clip shows none of the actions, so the model cannot learn to say that it knows none. "
                "Add a folder _unknown of other videos, or name actions to leave out in split.unknown."
            )
        provenance = Provenance(
            dataset=params.dataset.label,
            data_version=version,
            run_id=run_id,
            git_commit=tracking.git_commit(),
            trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        card = ClassifierCard(
            labels=tuple(labels),
            clip=clips.spec,
            max_distance=max_distance,
            temperature=temperature,
            clip_duration_s=window_length(usable(index)["duration_s"].tolist()),
            provenance=provenance,
        )
        card.save(MODEL)
        # A later model is compared with this one on clips that neither has learned from.
        seen = sorted({digest for split in rows.values() for digest in split["sha256"]})
        files.seen_clips.write_text("\n".join(seen) + "\n", encoding="utf-8")
        tracking.log_keras_model(model, clips.spec, len(labels))
    shutil.rmtree(state)


if __name__ == "__main__":
    exit_cleanly(main)
