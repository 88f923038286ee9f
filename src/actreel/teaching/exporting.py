"""The model folder of a draft: the parts of the version before, with a new last layer."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actreel.config import PROBABILITIES
from actreel.errors import ModelError
from actreel.inference.classifier import ActionClassifier
from actreel.inference.manifest import Provenance
from actreel.inference.model_folder import ModelFolder
from actreel.teaching.keras_file import write_with_last_layer
from actreel.teaching.learning import Learned
from actreel.teaching.network import Network
from actreel.teaching.tail import Linear, Tail
from actreel.teaching.taught import Taught

TOLERANCE = 1e-3


def export_draft(
    network: Network, learned: Learned, lessons: Taught, provenance: Provenance, target: ModelFolder
) -> None:
    """Writes a model folder, in which everything below the last layers is as it was.

    Args:
        network: The version before.
        learned: The new last layer.
        lessons: Everything that the draft was taught.
        provenance: Of the draft.
        target: The folder.
    """
    target.path.mkdir(parents=True, exist_ok=True)
    card, statistics = network.classifier.card, learned.rejection.statistics
    write_with_last_layer(network.files.keras, PROBABILITIES, learned.last, target.keras)
    layers = (learned.last, Linear(statistics.whitening, statistics.offset), Linear(*statistics.from_centres))
    if network.has_encoder:
        shutil.copyfile(network.files.encoder, target.encoder)
        target.head.write_bytes(network.tail.replaced(*layers))
        target.onnx.write_bytes(Tail(network.files.onnx).replaced(*layers))
    else:
        target.onnx.write_bytes(network.tail.replaced(*layers))
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


def check_export(target: ModelFolder, encoded: NDArray[Any], states: NDArray[np.float32], last: Linear) -> None:
    """Checks that what will be served answers as what was learned.

    Args:
        target: From `export_draft`.
        encoded: Some clips, encoded.
        states: float32 (N, S), what the last layer sees of them.
        last: The last layer that was learned.

    Raises:
        ModelError: It does not.
    """
    served = ActionClassifier.load(target.path).score_encoded(encoded).probabilities
    apart = float(np.abs(served - last.probabilities(states)).max())
    if not apart <= TOLERANCE:
        raise ModelError(
            f"The draft's ONNX network differs from what was learned by {apart:.2g}; {TOLERANCE:g} is allowed. Please "
            "report this. Nothing was registered."
        )
