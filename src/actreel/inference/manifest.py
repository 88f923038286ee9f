"""A model folder's manifest, `classifier.json`: labels, clip settings and provenance, stored with the weights."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from actreel.base.faults import TRAIN_AGAIN, reading
from actreel.config import SIGNALS, ClipSpec, ModelParams, TrackSpec
from actreel.errors import ModelError
from actreel.inference.clip_encoding import FrameWindows
from actreel.inference.model_folder import ModelFolder


class Provenance(BaseModel):
    """Where a model comes from.

    Attributes:
        dataset: Short name of the dataset.
        data_version: Digest of the clips and their splits.
        run_id: The MLflow run that trained it.
        git_commit: Commit of the code that trained it.
        trained_at: When training ended, UTC, ISO 8601.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    data_version: str
    run_id: str
    git_commit: str
    trained_at: str


class OnnxEncoder(BaseModel):
    """An encoder that is an ONNX graph of its own: one that came as a file, BlazePose, or several joined with others.

    Attributes:
        file: The file's name; of BlazePose, where its networks come from. Of several, all with " + " between them.
        file_sha256: Of the file as it came, with the files of weights beside it; of BlazePose's landmark network. Of
            several, all with " + " between them.
        sha256: Of `encoder.onnx` in the model folder, which is the file behind the arithmetic on pixels.
        parameters: Numbers in its weights.
        frames: Of a video encoder: frames that become one vector.
        stride: Of a video encoder: from one of these frames to the next, in frames of the clip.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    file_sha256: str
    sha256: str
    parameters: int
    frames: int | None = Field(default=None, ge=1)
    stride: int | None = Field(default=None, ge=1)

    def windows(self, clip: ClipSpec) -> FrameWindows | None:
        """The windows over a clip; None if the encoder sees one frame."""
        if self.frames is None or self.stride is None:
            return None
        return FrameWindows(self.frames, self.stride, clip.num_frames)

    def check(self, file: Path) -> None:
        """Checks that a model folder holds this encoder.

        Raises:
            FileError: The file cannot be read.
            ModelError: It is another one.
        """
        with reading(file, TRAIN_AGAIN), file.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
        if found != self.sha256:
            raise ModelError(
                f"'{file}' must be the encoder that the model was trained with, from '{self.file}'. Received: another "
                f"file (sha256 {found[:12]}…, not {self.sha256[:12]}…). {TRAIN_AGAIN}"
            )


class Int8(BaseModel):
    """How a network was rounded to int8 after training.

    Attributes:
        calibration_clips: Training clips that the ranges of its activations were measured on.
        calibration_sha256: Digest of these clips' sha256.
        onnxruntime: The version of ONNX Runtime that rounded it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    calibration_clips: int = Field(ge=1)
    calibration_sha256: str
    onnxruntime: str


class ClassifierCard(BaseModel):
    """The manifest, `classifier.json`: what is needed to use the weights.

    Attributes:
        labels: Actions in the order of the model's outputs.
        clip: How a video becomes the model's input.
        clip_duration_s: About the length of the training clips, in seconds: a much longer video is cut into windows of
            that length (None: one clip, whatever its length).
        max_distance: Largest distance from the training clips at which a clip still counts as known, in the units of
            the model's second output (None: every clip counts as known).
        temperature: What the logits are divided by for calibrated confidences; already part of the weights.
        network: The network; None for models of versions that did not say.
        encoder: The network's encoder, if it is an ONNX graph of its own.
        int8: How the network was rounded to int8; None if it is as it was trained, in float32.
        track: What the model takes beside the pictures, such as the sound; None for nothing.
        provenance: Where the model comes from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: tuple[str, ...] = Field(min_length=2)
    clip: ClipSpec
    clip_duration_s: float | None = Field(default=None, gt=0)
    max_distance: float | None = Field(default=None, gt=0)
    temperature: float = Field(default=1.0, gt=0)
    network: ModelParams | None = None
    encoder: OnnxEncoder | None = None
    int8: Int8 | None = None
    track: TrackSpec | None = None
    provenance: Provenance

    @property
    def takes_signals_alone(self) -> bool:
        """Whether a clip may be signals without a video: the model neither sees nor hears."""
        return self.network is not None and self.network.encoder == SIGNALS

    def save(self, folder: Path) -> None:
        """Writes `classifier.json`."""
        text = json.dumps(self.model_dump(), indent=2, ensure_ascii=False)
        ModelFolder(folder).manifest.write_text(text + "\n", encoding="utf-8")
