"""A trained model below its last layer, which teaching leaves as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from actreel.base.cores import num_cores
from actreel.base.progress import tracked
from actreel.config import ClipSpec, ModelParams
from actreel.dataset.store import Store
from actreel.errors import ModelError
from actreel.evaluation.served import COMPARED_CLIPS, encodes_as
from actreel.inference.classifier import ActionClassifier
from actreel.inference.model_folder import KERAS_FILE, ModelFolder
from actreel.teaching.tail import Tail

_BATCH = 64


@dataclass(frozen=True)
class Seen:
    """What a network makes of clips.

    Attributes:
        states: float32 (N, S), what the last layer sees.
        embeddings: float32 (N, D), by which a clip counts as known or not.
    """

    states: NDArray[np.float32]
    embeddings: NDArray[np.float32]

    @classmethod
    def of(cls, parts: Sequence[Seen]) -> Self:
        """Several, one after the other."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("states", "embeddings")))

    def where(self, chosen: NDArray[Any]) -> Seen:
        """Some of the clips."""
        return Seen(self.states[chosen], self.embeddings[chosen])


@dataclass(frozen=True)
class Network:
    """A model folder, opened for teaching.

    Attributes:
        files: The folder.
        classifier: As it is served.
        params: What the network is.
        tail: The end of the part that sees the whole clip, or of the whole network if that is not in parts.
        has_encoder: Whether the folder holds the encoder as a part of its own, so that clips are encoded by it.
    """

    files: ModelFolder
    classifier: ActionClassifier
    params: ModelParams
    tail: Tail
    has_encoder: bool

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Opens a model folder.

        Raises:
            ModelError: An early version trained it, it lacks a file, or it has several encoders or takes a track.
            FileError: A file is damaged.
        """
        # One thread for each clip on another core takes a third less time than several threads for one clip.
        files, classifier = ModelFolder(folder), ActionClassifier.load(folder, threads=1)
        if classifier.card.network is None or not files.keras.is_file():
            raise ModelError(
                f"Teaching needs the model's settings and its {KERAS_FILE}. Received: a model that an early version "
                "trained, without them. Train it again: make repro"
            )
        if len(classifier.card.network.encoders) > 1 or classifier.card.track is not None:
            raise ModelError(
                "Teaching takes a model with one encoder, which sees pictures. Received: "
                f"'{classifier.card.network.encoder}'. Add the clips to the dataset, and train again: make repro"
            )
        *encoder, seeing = files.network_files()
        return cls(files, classifier, classifier.card.network, Tail(seeing), bool(encoder))

    @property
    def labels(self) -> tuple[str, ...]:
        """The actions, in the order of the outputs."""
        return self.classifier.card.labels

    def see(self, encoded: Iterable[NDArray[Any]]) -> Seen:
        """What the network makes of clips that are encoded as `encode` does, in batches (B, ...)."""
        return Seen.of([Seen(*self.tail.see(batch)) for batch in encoded])

    def encode(self, load: Callable[[str], NDArray[np.uint8]], clips: Iterable[str]) -> Iterator[NDArray[Any]]:
        """Encodes clips on all cores, and gives them in batches (B, ...).

        Args:
            load: Gives the frames of a clip, uint8 (T, H, W, 3); called in several threads.
            clips: Their names.
        """
        waiting, pool = iter(clips), ThreadPoolExecutor(num_cores())
        try:
            while part := list(islice(waiting, _BATCH)):
                yield np.stack(list(pool.map(lambda clip: self.classifier.encode_clip(load(clip)), part)))
        finally:
            pool.shutdown(cancel_futures=True)

    def see_stored(self, inputs: Store, rows: pd.DataFrame) -> Seen:
        """What the network makes of clips of the pipeline.

        Their features are read from the store if they are those of this encoder; otherwise their frames are encoded.

        Args:
            inputs: Features or frames.
            rows: Index rows.

        Raises:
            ModelError: The stored clips have other settings than the model's.
        """
        clips = rows["clip"].tolist()
        if encodes_as(self.classifier, inputs, clips[:COMPARED_CLIPS]):
            return self.see(inputs.batches(clips, _BATCH))
        frames = inputs.frames
        if frames is None or frames.spec != self.classifier.card.clip:
            raise ModelError(
                "The clips in the workspace must be sampled as the model's are: "
                f"{_settings(self.classifier.card.clip)}. Received: {_settings(inputs.spec)}. Bring its settings in "
                "params.yaml back (git checkout, or dvc exp apply), then: dvc repro encode"
            )
        return self.see(self.encode(lambda clip: frames.take([clip])[0], tracked(clips, "encode", len(clips))))


def _settings(spec: ClipSpec) -> str:
    return f"{spec.num_frames} frames of {spec.width}x{spec.height} px, {spec.fit}, {spec.colour}"
