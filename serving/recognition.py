"""From a video file to an answer: a decoder process decodes frames, the model in this process scores the windows."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actreel.inference.answers import Answer as Recognised
from actreel.inference.classifier import ActionClassifier
from actreel.inference.recognition import Recognition, WindowScorer
from actreel.inference.skeletons import as_jpeg, draw
from actreel.statistics import Asked, hour_of
from actreel.video.clips import middle_frames
from actreel.video.decode import NO_PIXELS
from actreel.video.looks import Brightness
from actreel.video.opencv import cv2
from serving.answers import Answer, Pose, Prediction, RefusalError, Segment, Served, Timings, as_segments, as_video
from serving.metrics import STAGE_SECONDS
from serving.sandbox.processes import (
    Decoder,
    DecoderDiedError,
    DecoderPool,
    Done,
    Frames,
    Plan,
    Thumbnail,
    UndecodableError,
)
from serving.settings import Settings
from serving.workers.scratch import Scratch

log = logging.getLogger(__name__)

NUM_THUMBNAILS = 8
LONGEST_CODEC = 16
LONGEST_REASON = 1000

OnProgress = Callable[[float, list[Segment]], None]
"""Called with the share of the video that is done, in [0, 1], and the segments so far."""


@dataclass
class Watched:
    """The outcome of one video.

    Attributes:
        recognition: The model's answer.
        brightness: Mean of the sampled frames, in [0, 1].
        decode_s: Seconds spent waiting for frames.
        model_s: Seconds spent in the model.
    """

    recognition: Recognition
    brightness: float
    decode_s: float
    model_s: float


@dataclass(frozen=True)
class Answered:
    """A video that was answered.

    Attributes:
        prediction: For the visitor.
        asked: For the statistics.
    """

    prediction: Prediction
    asked: Asked


class Recogniser:
    """The model and its decoders."""

    def __init__(self, served: Served, settings: Settings) -> None:
        self.classifier = served.classifier
        self._model = served.model
        self._settings = settings
        self._decoders = DecoderPool(served.classifier.card, settings)

    @asynccontextmanager
    async def running(self, scratch: Scratch) -> AsyncIterator[None]:
        """Starts the decoder; ready after one complete prediction."""
        await self._decoders.start()
        try:
            async with scratch.private() as folder:
                await self.predict(_warm_up_video(folder, self.classifier), "", self._settings.decode_timeout_s)
            yield
        finally:
            await self._decoders.close()

    async def predict(
        self,
        path: Path,
        title: str,
        timeout_s: float,
        *,
        download_s: float = 0.0,
        started: float | None = None,
        on_progress: OnProgress | None = None,
        thumbnails: Path | None = None,
    ) -> Answered:
        """Predicts the action in one video file.

        Args:
            path: The video.
            title: The title to show.
            timeout_s: Seconds that decoding may take.
            download_s: Seconds that its download took.
            started: When the request began, by `time.perf_counter`; now if None.
            on_progress: Called as windows are scored.
            thumbnails: A job's folder for `0.jpg` to `7.jpg`; None for a direct call.

        Raises:
            RefusalError: The file is not a video, or is beyond the limits.
        """
        started = time.perf_counter() if started is None else started
        for attempt in (1, 2):
            try:
                async with self._decoders.lease(is_job=thumbnails is not None) as decoder, asyncio.timeout(timeout_s):
                    watched = await self._watch(decoder, path, timeout_s, on_progress, thumbnails)
                break
            except DecoderDiedError as error:
                # The first time may be chance (killed from outside); the second time it is the video.
                log.warning("a decoder died: %s", error)
                if attempt == 2:
                    raise _damaged() from error
            except UndecodableError as error:
                raise _refusal(error) from error
            except TimeoutError as error:
                raise RefusalError(
                    422,
                    "too_slow",
                    f"Decoding this video takes longer than {timeout_s:g} s.",
                    "Cut or shrink the video, or send it as a job: POST /jobs.",
                ) from error
        seen = watched.recognition
        answer = self.classifier.answer(seen)
        if thumbnails is not None and self.classifier.pixels_free:
            await asyncio.to_thread(_draw_thumbnails, seen, thumbnails)
        total = time.perf_counter() - started
        STAGE_SECONDS.labels("decode").observe(watched.decode_s)
        STAGE_SECONDS.labels("model").observe(watched.model_s)
        STAGE_SECONDS.labels("total").observe(total)
        prediction = Prediction(
            label=answer.label,
            confidence=answer.confidence,
            prediction_id=secrets.token_urlsafe(16),
            known=answer.known,
            top=[Answer.model_validate(scored) for scored in answer.top],
            segments=as_segments(answer.segments),
            people=answer.people,
            poses=None if answer.poses is None else [Pose.model_validate(pose) for pose in answer.poses],
            video=as_video(title, seen.info),
            timings_ms=Timings(
                download=download_s * 1000,
                decode=watched.decode_s * 1000,
                model=watched.model_s * 1000,
                total=total * 1000,
            ),
            model=self._model,
        )
        return Answered(prediction, self._asked(watched, answer))

    def _asked(self, watched: Watched, answer: Recognised) -> Asked:
        seen, best = watched.recognition, answer.top
        return Asked(
            hour=hour_of(datetime.now(UTC)),
            duration_s=seen.info.duration_s,
            fps=seen.info.fps,
            width=seen.info.width,
            height=seen.info.height,
            num_frames=seen.info.num_frames,
            brightness=watched.brightness,
            label=best[0].label,
            confidence=best[0].confidence,
            known=answer.known,
            distance=float(np.median(seen.distances)),
            margin=best[0].confidence - best[1].confidence,
            model=f"{self._model.name}@{self._model.version}",
            run_id=self._model.run_id,
        )

    async def _watch(
        self, decoder: Decoder, path: Path, timeout_s: float, on_progress: OnProgress | None, thumbnails: Path | None
    ) -> Watched:
        scorer: WindowScorer | None = None
        duration_s = 0.0
        # Of a model that sees landmarks only, no frame is kept: skeletons are drawn in their place.
        wanted = 0 if thumbnails is None or self.classifier.pixels_free else NUM_THUMBNAILS
        brightness = Brightness()
        since = time.perf_counter()
        decode_s = model_s = 0.0
        async with aclosing(decoder.decode(path, timeout_s, wanted)) as messages:
            async for message in messages:
                match message:
                    case Plan(plan, info):
                        scorer, duration_s = self.classifier.window_scorer(plan), info.duration_s
                    case Thumbnail(number, jpeg) if thumbnails is not None:
                        (thumbnails / f"{number}.jpg").write_bytes(jpeg)
                    case Frames(pixels, track) if scorer is not None:
                        arrived = time.perf_counter()
                        decode_s += arrived - since
                        frames, beside = self._unpacked(pixels, track)
                        if beside is not None and not np.isfinite(beside).all():
                            raise DecoderDiedError("a track that is not finite")
                        completed = await asyncio.to_thread(_push, scorer, brightness, frames, beside)
                        if completed and on_progress is not None:
                            on_progress(*self._so_far(scorer, duration_s))
                        since = time.perf_counter()
                        model_s += since - arrived
                    case Done(info) if scorer is not None and scorer.num_scored == scorer.plan.num_windows:
                        decode_s += time.perf_counter() - since
                        return Watched(scorer.recognition(info), brightness.mean, decode_s, model_s)
                    case _:
                        raise DecoderDiedError("unexpected message")
        raise DecoderDiedError("messages ended early")

    def _unpacked(self, pixels: bytes, track: bytes) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None]:
        """Frames, without pixels where there is a track alone, and their track, if the model takes one."""
        card = self.classifier.card
        beside = None if card.track is None else np.frombuffer(track, dtype=np.float32).reshape(-1, card.track.size)
        if beside is not None and not pixels:
            return np.empty((len(beside), *NO_PIXELS.shape), dtype=np.uint8), beside
        return np.frombuffer(pixels, dtype=np.uint8).reshape(-1, *card.clip.shape[1:]), beside

    def _so_far(self, scorer: WindowScorer, duration_s: float) -> tuple[float, list[Segment]]:
        share = scorer.num_scored / scorer.plan.num_windows
        return share, as_segments(self.classifier.labelled(scorer.segments(duration_s)))


def _push(
    scorer: WindowScorer, brightness: Brightness, frames: NDArray[np.uint8], track: NDArray[np.float32] | None
) -> int:
    brightness.add(frames)
    return scorer.push(frames, track)


def _draw_thumbnails(seen: Recognition, folder: Path) -> None:
    """Writes `0.jpg` to `7.jpg`: the largest person as a skeleton, at the same moments as frames would be."""
    poses = seen.poses or ()
    for number, place in enumerate(middle_frames(len(poses), NUM_THUMBNAILS)) if poses else ():
        landmarks = np.array(poses[place].landmarks) if poses[place].landmarks else None
        (folder / f"{number}.jpg").write_bytes(as_jpeg(draw(landmarks, seen.info.height, seen.info.width)))


def _warm_up_video(folder: Path, classifier: ActionClassifier) -> Path:
    """A short grey video: one prediction warms up the model and the decoder before the first visitor."""
    path = folder / "warm-up.avi"
    clip = classifier.card.clip
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (clip.width, clip.height))
    for _ in range(clip.num_frames):
        writer.write(np.full((clip.height, clip.width, 3), 127, dtype=np.uint8))
    writer.release()
    track = classifier.card.track
    if track is not None and track.signals is not None:
        channels = track.signals.columns
        np.savez(path.with_suffix(".npz"), time=[0, 1], values=np.zeros((2, len(channels))), columns=channels)
    return path


def _refusal(error: UndecodableError) -> RefusalError:
    match error.reason:
        case "limit":
            return RefusalError(422, "beyond_limits", str(error), "Cut or shrink the video.")
        case "signal":
            return RefusalError(
                422, "bad_signal", str(error)[:LONGEST_REASON],
                "Send them with the video: curl -F video=@clip.mp4 -F signal=@clip.csv ...",
            )  # fmt: skip
        case "codec":
            return RefusalError(
                422,
                "unknown_codec",
                f"The codec {str(error)[:LONGEST_CODEC]!r} of this video cannot be decoded here.",
                "Convert the video: ffmpeg -i IN -c:v libx264 -pix_fmt yuv420p OUT.mp4",
            )
        case _:
            return _damaged()


def _damaged() -> RefusalError:
    return RefusalError(
        422,
        "not_a_video",
        "This file cannot be decoded: it is damaged, empty or not a video.",
        "Send an .mp4, .avi, .mov, .mkv or .webm file that plays on your machine.",
    )
