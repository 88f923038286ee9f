"""The files of a model folder, by name: the only place that names them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from actreel.base.places import BENTO, MODEL

KERAS_FILE = "model.keras"
ONNX_FILE = "model.onnx"
ENCODER_FILE = "encoder.onnx"
HEAD_FILE = "head.onnx"
MANIFEST_FILE = "classifier.json"
SEEN_FILE = "seen_clips.txt"
TAUGHT_FILE = "taught.npz"
MODEL_CARD_FILE = "model_card.html"

PUBLISHED_METRICS = (
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "chance",
    "mean_pool_accuracy",
    "order_gain",
    "order_gain_low",
    "order_gain_high",
    "num_test_clips",
    "num_test_groups",
)
"""Metrics that the service shows its visitors: labels of a packaged model, from the tags of its registered version."""


def default_model() -> Path:
    """The model folder that the service uses: the packaged one; the one trained last where nothing is packaged."""
    packaged = sorted(BENTO.glob(f"models/*/*/{MANIFEST_FILE}"))
    return packaged[0].parent if packaged else MODEL


@dataclass(frozen=True)
class ModelFolder:
    """Where a model's files are; not all of them need exist.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def keras(self) -> Path:
        """The whole network for Keras: what further training and saliency need."""
        return self.path / KERAS_FILE

    @property
    def onnx(self) -> Path:
        """The whole network for ONNX Runtime."""
        return self.path / ONNX_FILE

    @property
    def encoder(self) -> Path:
        """The part of the network that sees one frame."""
        return self.path / ENCODER_FILE

    @property
    def head(self) -> Path:
        """The part of the network that sees the encoded frames of a clip."""
        return self.path / HEAD_FILE

    @property
    def manifest(self) -> Path:
        """Labels, clip settings and provenance."""
        return self.path / MANIFEST_FILE

    @property
    def seen_clips(self) -> Path:
        """The sha256 of each clip that the model was trained or tuned on, one a line."""
        return self.path / SEEN_FILE

    @property
    def taught(self) -> Path:
        """What the model was taught after its training, see `actreel.teaching`; most models have no such file."""
        return self.path / TAUGHT_FILE

    @property
    def model_card(self) -> Path:
        """The model card; registered models have one, a model just trained has none."""
        return self.path / MODEL_CARD_FILE

    def network_files(self, *, whole: bool = False) -> tuple[Path, ...]:
        """What the network is run from: encoder and head if both exist and `whole` is false, else the whole."""
        parts = (self.encoder, self.head)
        return parts if not whole and all(part.is_file() for part in parts) else (self.onnx,)
