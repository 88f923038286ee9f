"""From a fitted network to a model folder: calibration, rejection limit, Keras and ONNX files, classifier.json."""

from __future__ import annotations

from collections.abc import Iterable

from actreel.config import ClipSpec, ModelParams, is_graph, picture_encoders, takes_track
from actreel.dataset.records import usable
from actreel.inference.manifest import ClassifierCard, OnnxEncoder, Provenance
from actreel.inference.model_folder import ModelFolder
from actreel.inference.windows import window_length
from actreel.models import build_encoder, export_onnx, export_parts, join, with_distance
from actreel.quiet_keras import keras
from actreel.training.calibration import fit_temperature
from actreel.training.data import TrainingData
from actreel.training.graph_encoder import GraphEncoder
from actreel.training.onnx_encoder import encoder_of
from actreel.training.rejection import HeldOut, Rejection
from actreel.training.train import apply_temperature, complete


def calibrate(fitted: keras.Model, held_out: HeldOut) -> float:
    """Fits a temperature on held-out clips and divides the model's logits by it.

    Returns:
        The temperature.
    """
    temperature = fit_temperature(held_out.probabilities, held_out.targets)
    apply_temperature(fitted, temperature)
    return temperature


def export_model(
    fitted: keras.Model, model_params: ModelParams, rejection: Rejection, data: TrainingData, folder: ModelFolder
) -> tuple[keras.Model, OnnxEncoder | None]:
    """Writes the network, for Keras and as ONNX, and the clips that it was trained or tuned on.

    Returns:
        The whole network, from frames to probabilities, and what the manifest says of its encoder. If that is an ONNX
        graph of its own, or takes a track, Keras holds the head only, from features to probabilities.

    Raises:
        ModelError: The encoder's file has changed since the clips were encoded.
    """
    encoder = encoder_of(data.store, model_params.weights) if is_graph(model_params.encoder) else None
    seen = {digest for rows in data.rows.values() for digest in rows["sha256"]}
    return export_network(fitted, model_params, data.store.spec, rejection, seen, folder, encoder)


def export_network(
    fitted: keras.Model,
    model_params: ModelParams,
    spec: ClipSpec,
    rejection: Rejection,
    seen: Iterable[str],
    folder: ModelFolder,
    encoder: GraphEncoder | None = None,
) -> tuple[keras.Model, OnnxEncoder | None]:
    """As `export_model`, given the sha256 of the clips, and the encoder if it is or has an ONNX graph of its own."""
    folder.path.mkdir(parents=True, exist_ok=True)
    model = complete(model_params, spec, fitted)
    model.save(folder.keras)
    statistics = rejection.statistics
    with_distances = with_distance(model, statistics.whitening, statistics.offset, statistics.from_centres)
    described = None
    if encoder is not None:
        export_onnx(with_distances, folder.head)
        described = encoder.export(folder)
    elif takes_track(model_params.encoder) and picture_encoders(model_params.encoder):
        sees = build_encoder(model_params, spec)
        export_onnx(sees, folder.encoder)
        export_onnx(with_distances, folder.head)
        export_onnx(join(model_params, spec, sees, with_distances), folder.onnx)
    else:
        export_onnx(with_distances, folder.onnx)
        export_parts(with_distances, folder.encoder, folder.head)
    # A later candidate is compared with this model on clips that neither was trained on.
    folder.seen_clips.write_text("\n".join(sorted(seen)) + "\n", encoding="utf-8")
    return model, described


def write_manifest(
    data: TrainingData,
    rejection: Rejection,
    temperature: float,
    network: ModelParams,
    provenance: Provenance,
    folder: ModelFolder,
    encoder: OnnxEncoder | None = None,
) -> None:
    """Writes classifier.json, with all that a prediction needs apart from the weights; `encoder` as exported."""
    ClassifierCard(
        labels=tuple(data.labels),
        clip=data.store.spec,
        max_distance=rejection.max_distance,
        temperature=temperature,
        network=network,
        encoder=encoder,
        track=data.store.track,
        clip_duration_s=window_length(usable(data.index)["duration_s"].tolist()),
        provenance=provenance,
    ).save(folder.path)
