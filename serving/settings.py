"""The service's settings, read once from environment variables named `ACTREEL_` and the setting in capitals."""

from __future__ import annotations

import difflib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, SecretStr, field_validator

from actreel.base.console import LEVEL_VARIABLE
from actreel.base.cores import SCHEDULER_VARIABLE
from actreel.base.places import PIPELINE
from actreel.errors import ConfigError
from actreel.feedback import default_folder
from actreel.statistics import default_statistics_folder
from actreel.video.info import VideoLimits
from actreel.youtube.access import PREFIX, YouTubeAccess


def _state_folder() -> Path:
    return Path(tempfile.gettempdir()) / f"actreel-{os.getuid()}"


class Settings(YouTubeAccess):
    """The operator's settings, those for YouTube included.

    Attributes:
        workers: Worker processes. For many small videos, one per core is fastest.
        threads: Threads of each worker's model. For few videos at a time, one per core is fastest.
        api_key: If set, every call that changes something must send it as `X-API-Key`. Printable ASCII.
        state_dir: Scratch space that the workers share; its videos are deleted, see `result_ttl_s`.
        feedback_dir: Where feedback is kept, for good.
        project_dir: The project in which the operator teaches actions from the page, with the key; None: nowhere.
        statistics: Whether a few numbers of each video that was answered are kept, for `actreel drift`.
        statistics_dir: Where they are kept.
        statistics_days: Days for which they are kept.
        statistics_max_bytes: Bytes that they may take; the oldest are deleted.
        max_upload_bytes: The largest video file.
        max_pixels: Width times height of a video.
        max_frames: Frames of a video.
        max_duration_s: Seconds of a video.
        slow_sender_s: Grace period in which a body may arrive at any rate.
        min_bytes_per_s: Minimum average rate of a body after the grace period.
        fetch_timeout_s: Deadline of a download.
        decode_timeout_s: Deadline of decoding a video while the client waits.
        job_timeout_s: Deadline of decoding a video as a job.
        decoder_memory_bytes: Address space of a decoder process; it starts with about 0.3 GB.
        decoders: Decoder processes for calls, per worker; jobs have one of their own.
        max_requests: Videos in progress per worker, uploads included; one more is answered with 429.
        max_jobs: Jobs queued or running, over all workers; one more is answered with 429.
        max_streams: Event streams per worker; one more is answered with 429.
        max_cameras: Visitors' cameras per worker; one more is refused. 0 switches the camera off.
        camera_session_s: Seconds after which a camera is stopped.
        camera_frames_per_s: Frames a second of a camera; a client that sends more is refused.
        camera_frame_bytes: Pixels of a camera's frame, in bytes: width times height times 3.
        result_ttl_s: Seconds for which a job's result, frames and video are kept.
        rate_per_minute: Calls per client and worker; one with a video counts as 10.
        rate_exempt: Client addresses without a rate limit: by default this machine, which is also the address of a
            local proxy that does not send X-Forwarded-For.
    """

    workers: int = Field(default=1, ge=1, le=64)
    threads: int = Field(default=1, ge=1, le=64)
    api_key: SecretStr | None = None
    state_dir: Path = Field(default_factory=_state_folder)
    feedback_dir: Path = Field(default_factory=default_folder)
    project_dir: Path | None = None
    statistics: bool = True
    statistics_dir: Path = Field(default_factory=default_statistics_folder)
    statistics_days: int = Field(default=90, ge=1)
    statistics_max_bytes: int = Field(default=50 * 2**20, ge=1)
    max_upload_bytes: int = Field(default=200 * 2**20, ge=1)
    max_pixels: int = Field(default=4096 * 2304, ge=1)
    max_frames: int = Field(default=60_000, ge=1)
    max_duration_s: float = Field(default=900, gt=0)
    slow_sender_s: float = Field(default=10, gt=0)
    min_bytes_per_s: float = Field(default=32_768, gt=0)
    fetch_timeout_s: float = Field(default=120, gt=0)
    decode_timeout_s: float = Field(default=30, gt=0)
    job_timeout_s: float = Field(default=600, gt=0)
    decoder_memory_bytes: int = Field(default=2**30, ge=2**29)
    decoders: int = Field(default=1, ge=1)
    max_requests: int = Field(default=24, ge=1)
    max_jobs: int = Field(default=16, ge=1)
    max_streams: int = Field(default=64, ge=1)
    max_cameras: int = Field(default=8, ge=0)
    camera_session_s: float = Field(default=600, gt=0)
    camera_frames_per_s: float = Field(default=30, ge=1, le=120)
    camera_frame_bytes: int = Field(default=2**20, ge=3 * 8 * 8, le=2**24)
    result_ttl_s: float = Field(default=900, gt=0)
    rate_per_minute: float = Field(default=600, gt=0)
    rate_exempt: frozenset[str] = frozenset({"127.0.0.1", "::1"})

    @field_validator("api_key")
    @classmethod
    def _fits_a_header(cls, key: SecretStr | None) -> SecretStr | None:
        value = key.get_secret_value() if key is not None else None
        if value is not None and (
            not value.isascii() or not value.isprintable() or not value or value != value.strip()
        ):
            raise ValueError("a key must be printable ASCII, not empty, and without spaces at its ends")
        return key

    @field_validator("project_dir")
    @classmethod
    def _is_a_project(cls, folder: Path | None) -> Path | None:
        # A worker's current folder is the Bento's.
        if folder is not None and not (folder.is_absolute() and (folder / PIPELINE).is_file()):
            raise ValueError(f"must be the absolute path of a project's folder, which holds {PIPELINE}")
        return folder

    @field_validator("rate_exempt", mode="before")
    @classmethod
    def _split(cls, given: object) -> object:
        return frozenset(filter(None, map(str.strip, given.split(",")))) if isinstance(given, str) else given

    @property
    def limits(self) -> VideoLimits:
        """The limits of a decoder."""
        return VideoLimits(self.max_pixels, self.max_frames, self.max_duration_s)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Reads the variables that are set; `ACTREEL_RATE_EXEMPT` is separated by commas.

        Raises:
            ConfigError: A value is out of range, or a variable is unknown; a misspelt limit must not be ignored.
        """
        known = [PREFIX + name.upper() for name in cls.model_fields]
        for name in environment:
            if name.startswith(PREFIX) and name not in {*known, LEVEL_VARIABLE, SCHEDULER_VARIABLE}:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"Did you mean {near[0]}?" if near else f"The known variables are {', '.join(known)}."
                raise ConfigError(f"Unknown environment variable: {name}. {hint}")
        return super().from_environment(environment)
