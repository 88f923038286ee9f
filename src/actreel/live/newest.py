"""A thread reads a stream and holds its newest samples: what comes too fast for the model is dropped, not queued."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from threading import Condition, Event, Thread

from actreel.config import ClipSpec
from actreel.errors import VideoError
from actreel.live.grid import Grid
from actreel.live.sampling import OnPicture, Rate, Sample, Sampler, WallClock, ignore_picture
from actreel.video.streams import LiveVideo, Source, receiving

log = logging.getLogger(__name__)

FIRST_WAIT_S = 0.25
"""Seconds after which a broken stream is opened again; twice as many after each try that fails."""

LONGEST_WAIT_S = 10.0


class NewestSamples:
    """The newest samples of a source, read in a thread of its own; opens the source again when it breaks.

        with NewestSamples(source, plan, spec) as newest:
            for sample in newest:
                ...

    Attributes:
        num_dropped: Samples that were there and were not taken, and packets that were not decoded.
        num_breaks: How often the stream broke.
    """

    def __init__(
        self,
        source: Source,
        plan: Callable[[LiveVideo], Grid],
        spec: ClipSpec,
        on_picture: OnPicture = ignore_picture,
    ) -> None:
        """Prepares to read.

        Args:
            source: What to watch.
            plan: Makes the grid, once the source is open for the first time.
            spec: How frames become the model's input.
            on_picture: As `OnPicture`; called in the thread that reads.
        """
        self._grid: Grid | None = None
        self.num_dropped = 0
        self.num_breaks = 0
        self._rate = Rate()
        self._source = source
        self._plan = plan
        self._spec = spec
        self._on_picture = on_picture
        self._stopped = Event()
        self._changed = Condition()
        self._waiting: deque[Sample] = deque()
        self._ended = False
        self._failure: Exception | None = None
        self._thread = Thread(target=self._read, name="reader", daemon=True)

    def __enter__(self) -> NewestSamples:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        # FFmpeg may wait for a silent sender; the thread ends with the program then.
        self._thread.join(timeout=1)

    @property
    def grid(self) -> Grid:
        """Where the samples are, once one was there."""
        if self._grid is None:
            raise RuntimeError("The source must be open before its grid is asked for.")
        return self._grid

    @property
    def fps(self) -> float:
        """Frames a second that come in."""
        return self._rate.fps

    def __iter__(self) -> Iterator[Sample]:
        """Waits for each sample.

        Raises:
            VideoError: The source could not be opened the first time, or the file broke.
        """
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ended)
                if not self._waiting:
                    if self._failure is not None:
                        raise self._failure
                    return
                sample = self._waiting.popleft()
            yield sample

    def _read(self) -> None:
        try:
            self._read_until_stopped()
        except Exception as error:
            self._failure = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify()

    def _read_until_stopped(self) -> None:
        run, wait_s = 0, FIRST_WAIT_S
        while not self._stopped.is_set():
            reason = f"The stream '{self._source.name}' ended."
            before = run
            try:
                for sample in self._samples(run):
                    self._put(sample)
                    run = sample.run + 1
                    if self._stopped.is_set():
                        return
            except VideoError as error:
                if self._source.kind == "file" or self._grid is None:
                    raise
                reason = str(error)
            if self._source.kind == "file":
                return
            self.num_breaks += 1
            wait_s = FIRST_WAIT_S if run > before else min(LONGEST_WAIT_S, 2 * wait_s)
            log.warning(f"{reason} It is opened again in {wait_s:g} s.")
            self._stopped.wait(wait_s)

    def _samples(self, run: int) -> Iterator[Sample]:
        with receiving(self._source) as video:
            if self._grid is None:
                self._grid = self._plan(video)
            clock = WallClock(self._stopped)
            is_file = self._source.kind == "file"
            sampler = Sampler(
                video, self._grid, self._spec, clock, is_file=is_file, run=run, on_picture=self._on_picture
            )
            self._rate = sampler.rate
            skipped = 0
            for sample in sampler.samples():
                self.num_dropped += video.num_skipped - skipped
                skipped = video.num_skipped
                yield sample

    def _put(self, sample: Sample) -> None:
        with self._changed:
            self._waiting.append(sample)
            # A quarter of a window: the answer stays less than half a window behind.
            while len(self._waiting) > self._most_waiting:
                self._waiting.popleft()
                self.num_dropped += 1
            self._changed.notify()

    @property
    def _most_waiting(self) -> int:
        return max(1, self.grid.clip_frames * self.grid.phases // 4)
