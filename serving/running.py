"""What the routes share: the parts that live as long as the application, handed to them as a dependency."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from actreel.statistics import StatisticsLog
from actreel.youtube.cache import VideoCache
from serving.answers import Prediction, Served, busy
from serving.jobs.news import News
from serving.jobs.runner import JobRunner
from serving.jobs.store import JobStore
from serving.on_device import DeviceFiles
from serving.recognition import Answered, Recogniser
from serving.settings import Settings
from serving.teaching.project import Project
from serving.tickets import Tickets
from serving.workers.scratch import Scratch


class Admission:
    """Limits how many requests of a kind are in progress at once."""

    def __init__(self, what: str, limit: int, retry_after_s: int) -> None:
        self._what = what
        self._limit = limit
        self._retry_after_s = retry_after_s
        self._inside = 0

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Counts one request as in progress while the context is open.

        Raises:
            RefusalError: 429, when full.
        """
        if self._inside >= self._limit:
            raise busy(self._what, self._limit, self._retry_after_s)
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1


@dataclass
class Running:
    """The parts of a running application.

    Attributes:
        settings: The operator's settings.
        served: The served model.
        recogniser: The model and its decoders.
        scratch: The worker's scratch folder.
        store: All jobs and recent predictions.
        news: News of jobs between workers.
        runner: This worker's jobs.
        cache: Downloaded videos.
        statistics: What was asked; None if the operator wants none kept.
        videos: Limits the videos in progress.
        streams: Limits the event streams.
        cameras: Limits the cameras.
        camera_turn: Held by the camera whose frame is looked at.
        tickets: Tickets for WebSockets.
        device_files: What visitors' browsers are handed to run the model themselves.
        project: The project in which actions are taught from the page; None where they are not.
    """

    settings: Settings
    served: Served
    recogniser: Recogniser
    scratch: Scratch
    store: JobStore
    news: News
    runner: JobRunner
    cache: VideoCache
    statistics: StatisticsLog | None
    videos: Admission
    streams: Admission
    cameras: Admission
    camera_turn: asyncio.Lock
    tickets: Tickets
    device_files: DeviceFiles
    project: Project | None

    @property
    def takes_signals_alone(self) -> bool:
        """Whether the model takes signals without a video."""
        return self.served.classifier.card.takes_signals_alone

    async def count(self, answered: Answered) -> Prediction:
        """Adds a video that was answered to the statistics; returns its prediction."""
        if self.statistics is not None:
            await asyncio.to_thread(self.statistics.add, answered.asked)
        return answered.prediction


async def _running(request: Request) -> Running:
    running: Running = request.app.state.running
    return running


Parts = Annotated[Running, Depends(_running)]
"""A route's parameter that receives the running application's parts."""
