"""A trained model for Python and for the command line: what `actreel.load` gives."""

from __future__ import annotations

import os
import tempfile
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any, TypeAlias

from actreel.base.cores import num_cores
from actreel.errors import FetchError, VideoError
from actreel.inference.answers import Answer
from actreel.inference.classifier import ActionClassifier, ClassifierCard, Provenance
from actreel.inference.model_folder import default_model
from actreel.inference.windows import OnFrame, ignore_frame
from actreel.video.info import VideoInfo
from actreel.youtube.links import is_link

Source: TypeAlias = "str | os.PathLike[str]"
"""A video file, or a YouTube link; a text is a link where no file has that name and it looks like one."""

OnDownload = Callable[[float], None]
"""Called now and then with the share of a link's video that is downloaded, in [0, 1]."""

IN_FLIGHT = 2
"""Videos in flight for each worker."""


def ignore_share(share: float) -> None:
    """The default `OnDownload`."""


@dataclass(frozen=True)
class Prediction(Answer):
    """A model's answer for a video, with the video and the model that it is about.

    Attributes:
        source: The file or link, as it was given.
        video: What the file holds: frame rate, frames, size, duration, codec.
        model: Where the model comes from: dataset, version of the data, MLflow run, commit, time.
    """

    source: str
    video: VideoInfo
    model: Provenance

    def as_fields(self) -> dict[str, Any]:
        """The answer as JSON's types, as `actreel predict --json` prints it."""
        return {"source": self.source, **asdict(self), "model": self.model.model_dump()}


class Recogniser:
    """A trained model that recognises the actions in videos. Several threads may use one at once.

    Attributes:
        folder: The model folder.
    """

    def __init__(self, classifier: ActionClassifier, folder: Path) -> None:
        """Joins a classifier and the folder that it was loaded from; `load` does both."""
        self.folder = folder
        self._classifier = classifier

    @classmethod
    def load(cls, folder: Source | None = None) -> Recogniser:
        """Opens a model folder.

        Args:
            folder: Holds `classifier.json` and `model.onnx`. By default the packaged model of the project in the
                current folder, as `actreel predict` and the service use it; where nothing is packaged, the one trained
                last.

        Raises:
            ConfigError: No folder is given, and the current folder is no project's.
            ModelError: A file is missing or damaged, or the files do not match.
        """
        path = default_model() if folder is None else Path(folder)
        return cls(ActionClassifier.load(path), path)

    @property
    def card(self) -> ClassifierCard:
        """The model's manifest: labels, clip settings and provenance."""
        return self._classifier.card

    def predict(self, source: Source, on_download: OnDownload = ignore_share) -> Prediction:
        """Recognises the actions in a video from start to end, in constant memory.

        Args:
            source: The file or link.
            on_download: As `OnDownload`.

        Raises:
            VideoError: The file is missing, is not a video, or no frame of it decodes.
            FetchError: The link is refused, or its video cannot be downloaded.
        """
        return self._predict(source, on_download, cancelled=lambda: False)

    def predict_many(
        self, sources: Iterable[Source], *, workers: int | None = None, on_download: OnDownload = ignore_share
    ) -> Generator[Prediction | VideoError | FetchError, None, None]:
        """Recognises the actions in many videos, on all cores.

        Sources are taken as answers leave, so neither need fit in memory. Ending the iteration early, or Ctrl+C,
        stops the videos in flight.

        Args:
            sources: Files and links.
            workers: Videos that are worked on at once; one per core if None.
            on_download: As `OnDownload`; called by the threads that work.

        Yields:
            For each source, in their order, its answer, or the error that `predict` raises for it.
        """
        stopped = Event()
        waiting = iter(sources)
        workers = workers or num_cores()
        # Threads do: FFmpeg, OpenCV and ONNX Runtime work outside of Python's lock.
        pool = ThreadPoolExecutor(workers, thread_name_prefix="actreel-predict")

        def start(count: int) -> Iterator[Future[Prediction]]:
            return (
                pool.submit(self._unless_stopped, source, on_download, stopped) for source in islice(waiting, count)
            )

        try:
            flying = deque(start(IN_FLIGHT * workers))
            while flying:
                try:
                    outcome: Prediction | VideoError | FetchError = flying.popleft().result()
                except (VideoError, FetchError) as error:
                    outcome = error
                flying.extend(start(1))
                yield outcome
        finally:
            stopped.set()
            pool.shutdown(cancel_futures=True)

    def _unless_stopped(self, source: Source, on_download: OnDownload, stopped: Event) -> Prediction:
        def check(count: int, frame: object) -> None:
            if stopped.is_set():
                raise CancelledError

        return self._predict(source, on_download, cancelled=stopped.is_set, on_frame=check)

    def _predict(
        self, source: Source, on_download: OnDownload, cancelled: Callable[[], bool], on_frame: OnFrame = ignore_frame
    ) -> Prediction:
        name = os.fspath(source)
        if not (isinstance(source, str) and is_link(source)):
            return self._recognise(name, Path(source), on_frame)
        # Here: they need what `import actreel` alone does not.
        from actreel.youtube.access import YouTubeAccess
        from actreel.youtube.fetch import FetchLimits, fetch

        with tempfile.TemporaryDirectory(prefix="actreel-") as folder:
            fetched = fetch(
                source, Path(folder), limits=FetchLimits(), min_side=max(self.card.clip.height, self.card.clip.width),
                on_progress=on_download, cancelled=cancelled, access=YouTubeAccess.from_environment(),
            )  # fmt: skip
            return self._recognise(name, fetched.path, on_frame)

    def _recognise(self, name: str, path: Path, on_frame: OnFrame) -> Prediction:
        seen = self._classifier.recognise(path, on_frame)
        answer = self._classifier.answer(seen)
        return Prediction(**vars(answer), source=name, video=seen.info, model=self.card.provenance)
