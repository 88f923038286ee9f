"""A model trained in this process, with its stores and its model folder."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from actreel.config import ClipSpec, ModelParams, TrainParams
from actreel.dataset.layout import TRAIN, VAL
from actreel.dataset.records import clips_of, labels_of
from actreel.dataset.store import Store, StoredClips, extract_clips
from actreel.inference.manifest import Provenance
from actreel.inference.model_folder import ModelFolder
from actreel.training.data import TrainingData
from actreel.training.export import calibrate, export_model, write_manifest
from actreel.training.features import encode_clips, open_inputs
from actreel.training.folds import Scored
from actreel.training.held_out import hold_out
from actreel.training.rejection import fit_rejection
from actreel.training.train import train


def train_folder(
    path: Path,
    index: pd.DataFrame,
    videos: Path,
    spec: ClipSpec,
    network: ModelParams,
    training: TrainParams,
    provenance: Provenance,
) -> tuple[Store, ModelFolder]:
    """Writes `clips`, `features` and `model` into a folder, as the stages do.

    Args:
        path: The folder.
        index: With splits.
        videos: The folder of the index's videos.
        spec: Clip settings.
        network: The network.
        training: Its training.
        provenance: What the model says of itself.
    """
    extract_clips(index, videos, path / "clips", spec, keep=not network.frozen)
    frames = StoredClips(path / "clips", videos)
    encode_clips(
        index, frames, path / "features", encoder=network.encoder, weights=network.weights, mirror=training.mirror
    )
    inputs = open_inputs(path / "clips", path / "features", videos)
    data = TrainingData(index, {split: clips_of(index, split) for split in (TRAIN, VAL)}, labels_of(index), inputs)
    scored: Scored = {}
    epochs = path / "epochs"
    fitted, curve = train(network, training, inputs, data.rows, data.labels, epoch_weights=epochs, scored=scored)
    statistics, held_out = hold_out(fitted, curve, network, training, data, epochs, scored)
    temperature = calibrate(fitted, held_out)
    rejection = fit_rejection(statistics, held_out, training.true_accept_rate)
    folder = ModelFolder(path / "model")
    _, encoder = export_model(fitted, network, rejection, data, folder)
    write_manifest(data, rejection, temperature, network, provenance, folder, encoder)
    return inputs, folder
