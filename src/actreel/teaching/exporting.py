"""The model folder of a draft: the parts of the version before, with a new last layer."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from actreel.errors import ModelError
from actreel.inference.classifier import ActionClassifier
from actreel.inference.manifest import Provenance
from actreel.inference.model_folder import ModelFolder
from actreel.models import ENCODER, HEAD, export_onnx, join, with_distance
from actreel.quiet_keras import keras
from actreel.teaching.learning import Learned
from actreel.teaching.network import Network, probabilities_of
from actreel.teaching.taught import Taught
from actreel.training.onnx_files import Wrapped, join_parts

TOLERANCE = 1e-3


def export_draft(
    network: Network, learned: Learned, lessons: Taught, provenance: Provenance, target: ModelFolder
) -> None:
    """Writes a model folder; where the encoder is a file of its own, it stays the same to the byte.

    Args:
        network: The version before.
        learned: The new last layer.
        lessons: Everything that the draft was taught.
        provenance: Of the draft.
        target: The folder.
    """
    target.path.mkdir(parents=True, exist_ok=True)
    card, statistics = network.classifier.card, learned.rejection.statistics
    whole = learned.head
    if network.whole.name != HEAD:
        whole = join(network.params, card.clip, network.whole.get_layer(ENCODER), learned.head)
    whole.save(target.keras)
    measured = (statistics.whitening, statistics.offset, statistics.centres)
    if network.has_encoder:
        shutil.copyfile(network.files.encoder, target.encoder)
        export_onnx(with_distance(learned.head, *measured), target.head)
        target.onnx.write_bytes(_joined(network, target).SerializeToString(deterministic=True))
    else:
        export_onnx(with_distance(whole, *measured), target.onnx)
    changes = {
        "labels": learned.labels,
        "max_distance": learned.rejection.max_distance,
        "temperature": learned.temperature,
        "provenance": provenance,
    }
    card.model_copy(update=changes).save(target.path)
    seen = {*network.files.seen_clips.read_text(encoding="utf-8").split(), *lessons.rows["sha256"]}
    target.seen_clips.write_text("\n".join(sorted(seen)) + "\n", encoding="utf-8")
    lessons.save(target.taught)


def check_export(target: ModelFolder, encoded: NDArray[Any], states: NDArray[np.float32], head: keras.Model) -> None:
    """Checks that what will be served answers as what was learned.

    Args:
        target: From `export_draft`.
        encoded: Some clips, encoded.
        states: float32 (N, S), what the last layer sees of them.
        head: The head that was learned.

    Raises:
        ModelError: It does not.
    """
    served = ActionClassifier.load(target.path).score_encoded(encoded).probabilities
    apart = float(np.abs(served - probabilities_of(head, states)).max())
    if not apart <= TOLERANCE:
        raise ModelError(
            f"The draft's ONNX network differs from what was learned by {apart:.2g}; {TOLERANCE:g} is allowed. Please "
            "report this. Nothing was registered."
        )


def _joined(network: Network, target: ModelFolder) -> onnx.ModelProto:
    """The whole network out of its two files."""
    card, encoder = network.classifier.card, onnx.load(target.encoder)
    windows = card.encoder.windows(card.clip) if card.encoder else None
    size = int(network.head.input.shape[-1])
    indices = None if windows is None else windows.indices
    return join_parts(Wrapped(encoder, size), onnx.load(target.head), card.clip.shape, indices)
