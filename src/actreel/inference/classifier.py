"""The trained classifier, run by ONNX Runtime without TensorFlow.

A model folder holds `model.onnx` and `classifier.json`, the manifest. Labels and clip settings are stored with the
weights, so prediction never reads params.yaml. Where the network encodes each frame by itself before it sees the clip,
the folder also holds these two parts, `encoder.onnx` and `head.onnx`: overlapping windows of a long video then share
frames that are encoded once. An encoder that came as an ONNX file may see several frames at once; see
`actreel.inference.clip_encoding`.

A model may take a track beside the pictures, such as the sound (`actreel.video.tracks`): each frame's features are then
those of its picture, if the model sees pictures, followed by its row of the track. Beside an encoder that sees several
frames at once, they are those of a window, followed by the mean of these rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from pydantic import ValidationError

from actreel.base.places import MODEL, check_project
from actreel.config import PRETRAINED_ENCODERS
from actreel.errors import ModelError, SignalError
from actreel.inference.answers import Answer, LabelledSegment, Scored
from actreel.inference.clip_encoding import EncodeFrames, FrameWindows, SharedWindows
from actreel.inference.manifest import ClassifierCard as ClassifierCard  # re-exported with what reads it
from actreel.inference.manifest import Provenance as Provenance
from actreel.inference.model_folder import ENCODER_FILE, HEAD_FILE, MANIFEST_FILE, ONNX_FILE, ModelFolder
from actreel.inference.poses import SeenPoses
from actreel.inference.recognition import Recognition, ScoreWindow, WindowScorer, recognise
from actreel.inference.segments import Segment
from actreel.inference.timed_window import STREAM_WINDOW_S, TimedWindow
from actreel.inference.windows import Frames, OnFrame, Track, WindowPlan, ignore_frame
from actreel.video.endings import is_signal
from actreel.video.tracks import load_track

TOP_K = 5


@dataclass(frozen=True)
class Scores:
    """The model's outputs for clips.

    Attributes:
        probabilities: float32 (N, K), rows that sum to 1, columns in the order of the manifest's labels.
        distances: float32 (N,), to the nearest action's training clips; 0 if the model does not measure it.
    """

    probabilities: NDArray[np.float32]
    distances: NDArray[np.float32]


class ActionClassifier:
    """Recognises the action in a clip or a video.

    Attributes:
        card: The manifest: labels, clip settings and provenance.
    """

    def __init__(
        self,
        card: ClassifierCard,
        network: onnxruntime.InferenceSession,
        encoder: onnxruntime.InferenceSession | None = None,
    ) -> None:
        """Joins what `load` has opened.

        Args:
            card: The manifest of these weights.
            network: From uint8 (N, T, H, W, 3), or from float32 (N, M, F) if there is an encoder: M is T, or the number
                of a video encoder's windows. With a track, F includes it. Without an encoder, a network that takes a
                track takes it as its last input, float32 (N, T, F), and clips as its first if it sees pictures.
            encoder: From uint8 (n, H, W, 3), or for a video encoder uint8 (n, K, H, W, 3), to float32 (n, F).

        Raises:
            ModelError: The manifest and the networks do not match.
        """
        self.card = card
        self._network = network
        self._encoder = encoder
        self._windows = card.encoder.windows(card.clip) if card.encoder and encoder else None
        self._track_size = card.track.size if card.track else 0
        self._sees = encoder is not None or len(network.get_inputs()) > 1 or card.track is None
        self._window_shape = clip = _shape(network.get_inputs()[0])
        files = ONNX_FILE if encoder is None else f"{ENCODER_FILE}, {HEAD_FILE}"
        if encoder is not None:
            features = _shape(encoder.get_outputs()[0])
            if (*features[:-1], features[-1] + self._track_size) != self._window_shape[1:]:
                raise ModelError(
                    f"{ENCODER_FILE} and {HEAD_FILE} must belong together. Received: features of {features} for a head "
                    f"of {self._window_shape[1:]}. Make both again with: dvc repro"
                )
            clip = self._clip_of_parts(_shape(encoder.get_inputs()[0]))
        elif card.track is not None:
            taken = _shape(network.get_inputs()[-1])
            if taken != (card.clip.num_frames, self._track_size):
                clip = taken  # they do not belong together
            elif not self._sees:
                clip = card.clip.shape
        answers = _shape(network.get_outputs()[0])
        if (clip, answers) != (card.clip.shape, (len(card.labels),)):
            raise ModelError(
                f"{files} and {MANIFEST_FILE} must belong together. Received: {clip} to {answers}, "
                f"for clips of {card.clip.shape} and {len(card.labels)} labels."
            )
        if card.max_distance is not None and len(network.get_outputs()) < 2:
            raise ModelError(
                f"With max_distance in {MANIFEST_FILE}, the network must have a second output, the distance. "
                f"Received: one output, from {files}. Make them again with: dvc repro"
            )

    @property
    def sees_pictures(self) -> bool:
        """Whether the answer depends on the pictures, and not on the track alone."""
        return self._sees

    @property
    def encodes_frame_by_frame(self) -> bool:
        """Whether `encode_clip` gives a frame the same features, whatever frames are beside it.

        Not with `pose`, which follows a person from frame to frame. Of a user's own encoder, nobody knows.
        """
        return self.card.network is not None and self.card.network.encoder in PRETRAINED_ENCODERS

    @property
    def pixels_free(self) -> bool:
        """Whether the model sees people's landmarks and nothing else."""
        return self.card.network is not None and self.card.network.pixels_free

    def _clip_of_parts(self, frames: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of a clip that the parts take: `frames` is the encoder's input."""
        if self._windows is None:
            return (self._window_shape[0], *frames)
        if (self._window_shape[0], frames[0]) != self._windows.indices.shape:
            return (0, *frames)  # they do not belong together
        return (self._windows.clip_frames, *frames[1:])

    @classmethod
    def load(cls, folder: Path, threads: int = 0, *, whole: bool = False) -> ActionClassifier:
        """Opens a model folder.

        Args:
            folder: Holds `classifier.json`, and `model.onnx` or its parts `encoder.onnx` and `head.onnx`; the parts are
                used if both exist.
            threads: Threads for one prediction; 0 for all cores.
            whole: Uses `model.onnx` even if the parts exist.

        Raises:
            ModelError: A file is missing or damaged, or the files do not match; an encoder that came as an ONNX file
                is not the one that the model was trained with.
        """
        files = ModelFolder(folder)
        network_files = files.network_files(whole=whole)
        for file in (files.manifest, *network_files):
            if not file.is_file():
                if folder == MODEL:
                    check_project(Path())
                raise ModelError(
                    f"A model folder must hold {ONNX_FILE} and {MANIFEST_FILE}. "
                    f"Received: '{folder}' without {file.name}. Make one with: dvc repro"
                )
        try:
            card = ClassifierCard.model_validate_json(files.manifest.read_text(encoding="utf-8"))
        except (ValidationError, UnicodeDecodeError) as error:
            raise ModelError(f"'{files.manifest}' must be a manifest that Actreel wrote. {error}") from error
        if card.encoder and files.encoder in network_files:
            card.encoder.check(files.encoder)
        *encoder, network = (_open(file, threads) for file in network_files)
        return cls(card, network, *encoder)

    def encode(self, frames: Frames, track: Track | None = None) -> NDArray[Any]:
        """Encodes frames, each by itself.

        Args:
            frames: uint8 (n, H, W, 3), RGB, as `fit_frame` gives them; only their number counts if the model does not
                see pictures.
            track: float32 (n, M), what the video has beside them; not looked at unless the model takes one.

        Returns:
            float32 (n, F), or the frames unchanged if the model has no encoder, or one that sees several at once.

        Raises:
            ModelError: The frames have another shape or dtype.
        """
        if self._sees:
            self._check_frames(frames)
        if self.card.track is None:
            return frames if self._encoder is None or self._windows is not None else self._run_encoder(frames)
        if track is None or track.shape != (len(frames), self._track_size):
            raise ModelError(
                f"This model takes frames with their track, float32 {(len(frames), self._track_size)}. Received: "
                f"{'frames alone' if track is None else track.shape}. Give it the video's file: actreel predict FILE"
            )
        if not self._sees:
            return track
        # Where frames are not encoded one by one, pixels are carried as numbers, so that frame and track stay together.
        one_by_one = self._encoder is not None and self._windows is None
        seen = self._run_encoder(frames) if one_by_one else frames.reshape(len(frames), -1)
        return np.concatenate([seen, track], axis=1, dtype=np.float32)

    def encode_people(self, frames: Frames) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Encodes frames as `encode` does, with the encoder `pose`.

        Returns:
            float32 (n, F), and float32 (n,), how many people were counted in each frame, 0 where nobody was looked for;
            None if the encoder is of a version that did not count.

        Raises:
            ModelError: As for `encode`.
        """
        self._check_frames(frames)
        if self._encoder is None:
            raise ModelError(f"This model has no {ENCODER_FILE}.")
        features, *people = _run(self._encoder, frames)
        return features, people[0] if people else None

    def _check_frames(self, frames: Frames) -> None:
        if frames.dtype != np.uint8 or frames.shape[1:] != self.card.clip.shape[1:]:
            raise ModelError(
                f"Frames must be uint8 (n, {', '.join(map(str, self.card.clip.shape[1:]))}). "
                f"Received: {frames.dtype} {frames.shape}"
            )

    def encode_clip(self, clip: Frames, track: Track | None = None) -> NDArray[Any]:
        """Encodes a clip, uint8 (T, H, W, 3), as `encode` does; a video encoder gives float32 (M, F)."""
        encoded, windows = self.encode(clip, track), self._windows
        if windows is None:
            return encoded
        return self._in_windows(windows, encoded, lambda frames: windows.encode(frames, self._run_encoder))

    def _in_windows(self, windows: FrameWindows, encoded: NDArray[Any], encode: EncodeFrames) -> NDArray[np.float32]:
        """What a video encoder's windows show of a clip, and the means of its track in them, if there is one."""
        if self.card.track is None:
            return encode(encoded)
        frames, track = self._apart(encoded)
        return np.concatenate([encode(frames), windows.means(track)], axis=1)

    def _apart(self, encoded: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Frames, uint8 (..., H, W, 3), and track, float32 (..., M), that `encode` has put together as numbers."""
        pixels = encoded[..., : -self._track_size].astype(np.uint8)
        return pixels.reshape(*encoded.shape[:-1], *self.card.clip.shape[1:]), encoded[..., -self._track_size :]

    def _run_encoder(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self._encoder is None:
            raise ModelError(f"This model has no {ENCODER_FILE}.")
        return _run(self._encoder, frames)[0]

    def score_encoded(self, encoded: NDArray[Any]) -> Scores:
        """Scores clips of encoded frames.

        Args:
            encoded: What `encode_clip` gave for N clips, in any shape that keeps the order.
        """
        if len(self._network.get_inputs()) > 1:  # frames and track, as `encode` joined them
            size = math.prod(self._window_shape[1:]) + self._track_size
            both = self._apart(encoded.reshape(-1, self._window_shape[0], size))
            probabilities, *distances = _run(self._network, *both)
        else:
            probabilities, *distances = _run(self._network, encoded.reshape(-1, *self._window_shape))
        return Scores(probabilities, distances[0] if distances else np.zeros(len(probabilities), dtype=np.float32))

    def score(self, clips: NDArray[np.uint8], tracks: NDArray[np.float32] | None = None) -> Scores:
        """Scores clips.

        Args:
            clips: uint8 (N, T, H, W, 3), RGB, as `load_clip` gives them; only N and T count if the model does not see
                pictures.
            tracks: float32 (N, T, M), as `track_of` gives them, for a model that takes them.

        Raises:
            ModelError: The clips have another shape or dtype.
        """
        shape = self.card.clip.shape if self._sees else (self.card.clip.num_frames, *clips.shape[2:])
        if clips.dtype != np.uint8 or clips.shape[1:] != shape:
            raise ModelError(
                f"Clips must be uint8 (N, {', '.join(map(str, self.card.clip.shape))}). "
                f"Received: {clips.dtype} {clips.shape}"
            )
        # One by one: as fast, and 32 clips at once would take 16 GB with EfficientNet-Lite0.
        beside: Iterable[Track | None] = [None] * len(clips) if tracks is None else tracks
        scores = [self.score_encoded(self.encode_clip(clip, track)) for clip, track in zip(clips, beside, strict=True)]
        return Scores(
            np.concatenate([each.probabilities for each in scores]), np.concatenate([each.distances for each in scores])
        )

    def track_of(self, video: Path, num_clips: int = 1) -> NDArray[np.float32] | None:
        """What a video has beside its pictures, for so many clips of it: float32 (num_clips, T, M).

        None if the model takes nothing but pictures.

        Raises:
            VideoError: The file cannot be decoded.
        """
        if self.card.track is None:
            return None
        track = load_track(video, self.card.track, self.card.clip.num_frames)
        return np.repeat(track[np.newaxis], num_clips, axis=0)

    def knows(self, distances: NDArray[np.float32]) -> bool:
        """Whether a video shows any of the actions: the median of its windows' distances is within the limit."""
        return self.card.max_distance is None or float(np.median(distances)) <= self.card.max_distance

    def answer(self, seen: Recognition) -> Answer:
        """The answer for a video that was recognised."""
        answer = self.answer_for(seen.probabilities, seen.distances, seen.segments)
        return replace(answer, people=seen.people, poses=seen.poses)

    def answer_for(
        self,
        probabilities: NDArray[np.float32],
        distances: NDArray[np.float32],
        segments: Iterable[Segment] = (),
    ) -> Answer:
        """The answer for windows' mean probabilities, float32 (K,), and their distances, float32 (W,)."""
        top, known = self.ranked(probabilities), self.knows(distances)
        return Answer(top[0].label, top[0].confidence if known else 0.0, known, top, self.labelled(segments))

    def labelled(self, segments: Iterable[Segment]) -> tuple[LabelledSegment, ...]:
        """Segments with the actions' names."""
        return tuple(
            LabelledSegment(seen.start_s, seen.end_s, self.card.labels[seen.action], seen.confidence, seen.known)
            for seen in segments
        )

    def recognise(self, path: Path, on_frame: OnFrame = ignore_frame) -> Recognition:
        """Recognises the actions in a video file from start to end.

        Args:
            path: The video; its signals alone, if the model takes nothing else.
            on_frame: As for `recognise`.

        Raises:
            VideoError: The file cannot be decoded, or is no video and the model needs one.
        """
        card = self.card
        if is_signal(path) and not card.takes_signals_alone:
            raise SignalError(
                f"This model needs a video. Received: '{path.name}', which holds signals. Give the video"
                + (", with its signals beside it." if card.track and card.track.signals else ".")
            )
        return recognise(path, card.clip, card.clip_duration_s, self.window_scorer, on_frame, card.track)

    def window_scorer(self, plan: WindowPlan) -> WindowScorer:
        """Scores the windows of a video whose frames are decoded elsewhere."""
        poses = None
        if self.pixels_free and self._encoder is not None:
            poses = SeenPoses(self.encode_people, self.card.clip, plan)
        encode = self.encode if poses is None else poses.encode
        return WindowScorer(plan, encode, self.start_scoring(), self.card.max_distance, poses)

    @property
    def stream_window_s(self) -> float:
        """Seconds of the window that `timed_window` looks at."""
        return self.card.clip_duration_s or STREAM_WINDOW_S

    def timed_window(self) -> TimedWindow:
        """Scores the last seconds of a stream as its frames come."""
        return TimedWindow(self.card.clip.num_frames, self.stream_window_s, self.encode, self.start_scoring())

    def start_scoring(self) -> ScoreWindow:
        """Scores windows of one video: what `encode` gave for T frames, to probabilities, float32 (K,), and distance.

        Where a video encoder has seen the same frames in the window before, it does not run again.
        """
        windows = self._windows
        shared = None if windows is None else SharedWindows(windows, self._run_encoder)

        def score(window: NDArray[Any]) -> tuple[NDArray[np.float32], float]:
            if windows is not None and shared is not None:
                window = self._in_windows(windows, window, shared.encode)
            scores = self.score_encoded(window)
            return scores.probabilities[0], float(scores.distances[0])

        return score

    def predict(self, path: Path) -> tuple[Scored, ...]:
        """Recognises the action in a video file.

        Returns:
            At most 5 actions, the most likely first.

        Raises:
            VideoError: The file cannot be decoded.
        """
        return self.ranked(self.recognise(path).probabilities)

    def ranked(self, probabilities: NDArray[np.float32]) -> tuple[Scored, ...]:
        """The most likely actions of one clip's probabilities, float32 (K,); at most 5."""
        order = np.argsort(-probabilities, kind="stable")[:TOP_K]
        return tuple(Scored(self.card.labels[index], float(probabilities[index])) for index in order)


def _open(file: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Memory planning needs 150 MB more for EfficientNet-Lite0, and is no faster.
    options.enable_mem_pattern = False
    # Spinning threads take the processor from the decoder.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no common base class
        raise ModelError(f"'{file}' must be an ONNX model. {error}") from error


def _shape(tensor: onnxruntime.NodeArg) -> tuple[int, ...]:
    """Shape of one element of the batch."""
    return tuple(tensor.shape[1:])


def _run(session: onnxruntime.InferenceSession, *batches: NDArray[Any]) -> list[NDArray[np.float32]]:
    names = (taken.name for taken in session.get_inputs())
    outputs: list[NDArray[np.float32]] = session.run(None, dict(zip(names, batches, strict=True)))
    return outputs
