"""The service's settings, read once from environment variables: `ACTREEL_` and the name in capitals."""

from __future__ import annotations

import difflib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from actreel.console import LEVEL_VARIABLE
from actreel.errors import ConfigError
from actreel.feedback import default_folder
from actreel.video.info import VideoLimits

PREFIX = "ACTREEL_"


def _state_folder() -> Path:
    return Path(tempfile.gettempdir()) / f"actreel-{os.getuid()}"


class Settings(BaseModel):
    """What an operator may change.

    Attributes:
        workers: Processes that answer. Many small videos are answered fastest by one a core.
        threads: Threads of a worker's model. Few videos are answered fastest with as many as there are cores.
        api_key: If set, every call that changes something must carry it as `X-API-Key`. Printable ASCII.
        state_dir: Scratch space that the workers share; its videos are deleted, see `result_ttl_s`.
        feedback_dir: Where feedback is kept for good.
        max_upload_bytes: The largest video file.
        max_pixels: Width times height of a video.
        max_frames: Frames of a video.
        max_duration_s: Seconds of a video.
        slow_sender_s: Seconds that any sender has, however slow.
        min_bytes_per_s: How fast a body must come in once those are over, on average.
        fetch_timeout_s: Deadline of a download.
        decode_timeout_s: Deadline of decoding one video while the client waits.
        job_timeout_s: Deadline of decoding one video as a job.
        decoder_memory_bytes: Address space of a decoder process; it starts with about 0.3 GB.
        decoders: Decoder processes a worker for calls; jobs have one of their own.
        max_requests: Videos in progress a worker, uploads included; one more is answered 429.
        max_jobs: Jobs queued or running, over all workers; one more is answered 429.
        max_streams: Clients a worker that follow a job's events.
        result_ttl_s: How long a job's result, frames and video are kept.
        rate_per_minute: Calls a client and worker; one that brings a video counts as 10.
        rate_exempt: Client addresses without a rate limit: by default this machine, which a local proxy hides behind
            unless it sends X-Forwarded-For.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: int = Field(default=1, ge=1, le=64)
    threads: int = Field(default=1, ge=1, le=64)
    api_key: SecretStr | None = None
    state_dir: Path = Field(default_factory=_state_folder)
    feedback_dir: Path = Field(default_factory=default_folder)
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
            raise ValueError("a key must be printable ASCII, with no space at its ends, and not empty")
        return key

    @property
    def limits(self) -> VideoLimits:
        """What a decoder refuses."""
        return VideoLimits(self.max_pixels, self.max_frames, self.max_duration_s)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Reads the variables that are set; `ACTREEL_RATE_EXEMPT` is a list with commas.

        Raises:
            ConfigError: A value is out of range, or a variable is unknown: a limit that is spelt wrong is no limit.
        """
        known = [PREFIX + name.upper() for name in cls.model_fields]
        for name in environment:
            if name.startswith(PREFIX) and name not in {*known, LEVEL_VARIABLE}:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"Did you mean {near[0]}?" if near else f"Known are {', '.join(known)}."
                raise ConfigError(f"every variable {PREFIX}... must be one of the service's. Received: {name}. {hint}")
        values: dict[str, object] = {
            name: environment[PREFIX + name.upper()]
            for name in cls.model_fields
            if PREFIX + name.upper() in environment
        }
        if isinstance(exempt := values.get("rate_exempt"), str):
            values["rate_exempt"] = frozenset(filter(None, (part.strip() for part in exempt.split(","))))
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            problems = "; ".join(f"{PREFIX}{str(p['loc'][0]).upper()}: {p['msg']}" for p in error.errors())
            raise ConfigError(f"the service's environment variables must be in range. Received: {problems}") from error
