"""train: artifacts/clips ▸ artifacts/model, its order-blind baseline, and one MLflow run."""

from datetime import UTC, datetime

from actreel import figures, tracking
from actreel.classifier import ONNX_FILE, ClassifierCard, Provenance
from actreel.config import load_params
from actreel.dataset.records import SPLITS, TEST, clips_of, data_version, labels_of, read_index
from actreel.dataset.store import StoredClips
from actreel.errors import exit_cleanly
from actreel.training import export_onnx, train
from pipelines.places import BASELINE, CLIPS, INDEX, MODEL, TRAINING


def main() -> None:
    """Trains the model, then the same network with the mean over time in place of its head."""
    params = load_params()
    index = read_index(INDEX)
    store = StoredClips(CLIPS)
    labels = labels_of(index)
    version = data_version(index)
    rows = {split: clips_of(index, split) for split in SPLITS if split != TEST}
    for folder in (MODEL, BASELINE, TRAINING):
        folder.mkdir(parents=True, exist_ok=True)

    with tracking.training_run(params, params.split, index, version) as run_id:
        firsts = rows["train"].groupby("action")["clip"].first()
        sheet = {str(action): store.take([clip])[0] for action, clip in firsts.items()}
        tracking.log_figure(figures.contact_sheet(sheet), "training_clips.png")

        print(f"training {params.model.encoder}+{params.model.head} on {len(rows['train'])} clips, MLflow run {run_id}")
        model, curve = train(
            params.model, params.train, store, rows, labels,
            epoch_weights=TRAINING / "epochs", on_epoch=tracking.log_epoch,
        )  # fmt: skip
        curve.to_csv(TRAINING / "curve.csv", index=False)

        print("training the order-blind baseline the same way")
        blind, _ = train(
            params.model.model_copy(update={"head": "mean"}), params.train, store, rows, labels,
            on_epoch=lambda epoch, metrics: tracking.log_epoch(epoch, metrics, prefix="mean_pool_"),
        )  # fmt: skip
        blind.save(BASELINE / "model.keras")

        model.save(MODEL / "model.keras")
        export_onnx(model, store.spec, MODEL / ONNX_FILE)
        provenance = Provenance(
            dataset=params.dataset.label,
            data_version=version,
            run_id=run_id,
            git_commit=tracking.git_commit(),
            trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        card = ClassifierCard(
            labels=tuple(labels),
            clip=store.spec,
            clip_duration_s=float(rows["train"]["duration_s"].median()),
            provenance=provenance,
        )
        card.save(MODEL)
        # A later model is compared with this one on clips that neither has learned from.
        seen = sorted({digest for split in rows.values() for digest in split["sha256"]})
        (MODEL / tracking.SEEN_FILE).write_text("\n".join(seen) + "\n", encoding="utf-8")
        tracking.log_keras_model(model, store.spec, len(labels))


if __name__ == "__main__":
    exit_cleanly(main)
