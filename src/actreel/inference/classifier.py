"""The trained recogniser as everyone uses it: ONNX Runtime, no TensorFlow.

A model folder holds `model.onnx` and `classifier.json`. The labels and the clip settings travel with the weights, so
nothing that predicts reads params.yaml. Where the network sees each frame by itself before it sees the clip, the folder
also holds these two parts of it, `encoder.onnx` and `head.onnx`: over a long video, overlapping windows then share
frames that are encoded once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from actreel.config import ClipSpec
from actreel.errors import ModelError
from actreel.inference.model_folder import ENCODER_FILE, HEAD_FILE, MANIFEST_FILE, ONNX_FILE, ModelFolder
from actreel.inference.recognition import Recognition, WindowScorer, recognise
from actreel.inference.windows import WindowPlan

TOP_K = 5


class Provenance(BaseModel):
    """Where a model comes from.

    Attributes:
        dataset: Short name of the dataset.
        data_version: Digest of the clips and their splits.
        run_id: The MLflow run that trained it.
        git_commit: The code that trained it.
        trained_at: UTC, ISO 8601.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    data_version: str
    run_id: str
    git_commit: str
    trained_at: str


class ClassifierCard(BaseModel):
    """What must be known to use the weights: `classifier.json`.

    Attributes:
        labels: Actions in the order of the model's outputs.
        clip: How a video becomes the model's input.
        clip_duration_s: About the length of the training clips, in seconds: a much longer video is seen through windows
            of that length (None: as one clip, whatever its length).
        max_distance: How far from all that was learned a clip may be and still count as known, in the units of the
            model's second output (None: every clip counts as known).
        temperature: What the logits were divided by to make confidence mean what it says; the weights hold it already.
        provenance: Where the model comes from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: tuple[str, ...] = Field(min_length=2)
    clip: ClipSpec
    clip_duration_s: float | None = Field(default=None, gt=0)
    max_distance: float | None = Field(default=None, gt=0)
    temperature: float = Field(default=1.0, gt=0)
    provenance: Provenance

    def save(self, folder: Path) -> None:
        """Writes `classifier.json`."""
        text = json.dumps(self.model_dump(), indent=2, ensure_ascii=False)
        ModelFolder(folder).manifest.write_text(text + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Scored:
    """One action and how sure the model is of it.

    Attributes:
        label: The action.
        confidence: Its probability, in [0, 1].
    """

    label: str
    confidence: float


@dataclass(frozen=True)
class Scores:
    """What the model makes of clips.

    Attributes:
        probabilities: float32 (N, K), rows that sum to 1, columns in the order of the card's labels.
        distances: float32 (N,), from the nearest action as it was learned; 0 from a model that does not measure it.
    """

    probabilities: NDArray[np.float32]
    distances: NDArray[np.float32]


class ActionClassifier:
    """Names the action in a clip.

    Attributes:
        card: Labels, clip settings and provenance.
    """

    def __init__(
        self,
        card: ClassifierCard,
        network: onnxruntime.InferenceSession,
        encoder: onnxruntime.InferenceSession | None = None,
    ) -> None:
        """Joins what `load` has opened.

        Args:
            card: What belongs to the weights.
            network: From uint8 (N, T, H, W, 3), or from float32 (N, T, F) if there is an encoder.
            encoder: From uint8 (n, H, W, 3) to float32 (n, F).

        Raises:
            ModelError: They do not belong together.
        """
        self.card = card
        self._network = network
        self._encoder = encoder
        self._window_shape = clip = _shape(network.get_inputs()[0])
        files = ONNX_FILE if encoder is None else f"{ENCODER_FILE}, {HEAD_FILE}"
        if encoder is not None:
            features = _shape(encoder.get_outputs()[0])
            if features != self._window_shape[1:]:
                raise ModelError(
                    f"{ENCODER_FILE} and {HEAD_FILE} must belong together. Received: features of {features} for a head "
                    f"of {self._window_shape[1:]}. Make both anew with: dvc repro"
                )
            clip = (self._window_shape[0], *_shape(encoder.get_inputs()[0]))
        answers = _shape(network.get_outputs()[0])
        if (clip, answers) != (card.clip.shape, (len(card.labels),)):
            raise ModelError(
                f"{files} and {MANIFEST_FILE} must belong together. Received: {clip} to {answers}, "
                f"for clips of {card.clip.shape} and {len(card.labels)} labels."
            )
        if card.max_distance is not None and len(network.get_outputs()) < 2:
            raise ModelError(
                f"with max_distance in {MANIFEST_FILE}, the network must have a second output, the distance. "
                f"Received: one output, from {files}. Make them anew with: dvc repro"
            )

    @classmethod
    def load(cls, folder: Path, threads: int = 0, *, whole: bool = False) -> ActionClassifier:
        """Opens a model folder.

        Args:
            folder: Holds `classifier.json`, and `model.onnx` or its parts `encoder.onnx` and `head.onnx`; the parts are
                taken where there are both.
            threads: Threads for one prediction; 0 takes all cores.
            whole: Takes `model.onnx` even so.

        Raises:
            ModelError: A file is missing or damaged, or they do not belong together.
        """
        files = ModelFolder(folder)
        network_files = files.network_files(whole=whole)
        for file in (files.manifest, *network_files):
            if not file.is_file():
                raise ModelError(
                    f"A model folder must hold {ONNX_FILE} and {MANIFEST_FILE}. "
                    f"Received: '{folder}' without {file.name}. Make one with: dvc repro"
                )
        try:
            card = ClassifierCard.model_validate_json(files.manifest.read_text(encoding="utf-8"))
        except (ValidationError, UnicodeDecodeError) as error:
            raise ModelError(f"'{files.manifest}' must be a manifest that Actreel wrote. {error}") from error
        *encoder, network = (_open(file, threads) for file in network_files)
        return cls(card, network, *encoder)

    def encode(self, frames: NDArray[np.uint8]) -> NDArray[Any]:
        """What windows are made of, for frames one by one.

        Args:
            frames: uint8 (n, H, W, 3), RGB, as `fit_frame` gives them.

        Returns:
            float32 (n, F), or the frames as they are, if the network has no part that sees one frame.

        Raises:
            ModelError: The frames have another shape or dtype.
        """
        if frames.dtype != np.uint8 or frames.shape[1:] != self.card.clip.shape[1:]:
            raise ModelError(
                f"frames must be uint8 (n, {', '.join(map(str, self.card.clip.shape[1:]))}). "
                f"Received: {frames.dtype} {frames.shape}"
            )
        return frames if self._encoder is None else _run(self._encoder, frames)[0]

    def score_encoded(self, encoded: NDArray[Any]) -> Scores:
        """Scores clips of encoded frames.

        Args:
            encoded: What `encode` gave for the N x T frames of N clips, in any shape that keeps their order.
        """
        probabilities, *distances = _run(self._network, encoded.reshape(-1, *self._window_shape))
        return Scores(probabilities, distances[0] if distances else np.zeros(len(probabilities), dtype=np.float32))

    def score(self, clips: NDArray[np.uint8]) -> Scores:
        """Scores clips.

        Args:
            clips: uint8 (N, T, H, W, 3), RGB, as `load_clip` gives them.

        Raises:
            ModelError: The clips have another shape or dtype.
        """
        if clips.dtype != np.uint8 or clips.shape[1:] != self.card.clip.shape:
            raise ModelError(
                f"clips must be uint8 (N, {', '.join(map(str, self.card.clip.shape))}). "
                f"Received: {clips.dtype} {clips.shape}"
            )
        # One by one: no slower, and 32 clips at once would take EfficientNet-Lite0 16 GB.
        scores = [self.score_encoded(self.encode(clip)) for clip in clips]
        return Scores(
            np.concatenate([each.probabilities for each in scores]), np.concatenate([each.distances for each in scores])
        )

    def knows(self, distances: NDArray[np.float32]) -> bool:
        """Whether a video shows one of the actions at all, by the middle one of its windows' distances."""
        return self.card.max_distance is None or float(np.median(distances)) <= self.card.max_distance

    def recognise(self, path: Path) -> Recognition:
        """Watches a video file from start to end.

        Raises:
            VideoError: The file cannot be decoded.
        """
        return recognise(path, self.card.clip, self.card.clip_duration_s, self.encode, self._score_window)

    def window_scorer(self, plan: WindowPlan) -> WindowScorer:
        """What scores the windows of a video whose frames are decoded elsewhere."""
        return WindowScorer(plan, self.encode, self._score_window)

    def _score_window(self, window: NDArray[Any]) -> tuple[NDArray[np.float32], float]:
        scores = self.score_encoded(window)
        return scores.probabilities[0], float(scores.distances[0])

    def predict(self, path: Path) -> tuple[Scored, ...]:
        """Names the action in a video file.

        Returns:
            At most 5 actions, the surest first.

        Raises:
            VideoError: The file cannot be decoded.
        """
        return self.ranked(self.recognise(path).probabilities)

    def ranked(self, probabilities: NDArray[np.float32]) -> tuple[Scored, ...]:
        """The surest actions of one clip's probabilities, float32 (K,); at most 5."""
        order = np.argsort(-probabilities, kind="stable")[:TOP_K]
        return tuple(Scored(self.card.labels[place], float(probabilities[place])) for place in order)


def _open(file: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Planned memory comes on top of what the first run took: 150 MB for EfficientNet-Lite0, and no faster.
    options.enable_mem_pattern = False
    # Threads that wait for work without sleeping take the processor from the decoder.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own errors share no other base
        raise ModelError(f"'{file}' must be an ONNX model. {error}") from error


def _shape(tensor: onnxruntime.NodeArg) -> tuple[int, ...]:
    """Of one element of the batch."""
    return tuple(tensor.shape[1:])


def _run(session: onnxruntime.InferenceSession, batch: NDArray[Any]) -> list[NDArray[np.float32]]:
    outputs: list[NDArray[np.float32]] = session.run(None, {session.get_inputs()[0].name: batch})
    return outputs
