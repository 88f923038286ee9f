"""Decoder processes from the service's side: kept warm, given one video at a time, killed when they misbehave."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from actreel.inference.classifier import ClassifierCard
from actreel.inference.windows import WindowPlan
from actreel.video.endings import is_signal
from actreel.video.info import VideoInfo
from serving.settings import Settings

log = logging.getLogger(__name__)

VIDEOS_PER_PROCESS = 500
"""A decoder is replaced after this many videos, in case FFmpeg leaks."""


class DecoderDiedError(Exception):
    """A decoder ended or broke the protocol in the middle of a video."""


class UndecodableError(Exception):
    """A decoder refused a video.

    Attributes:
        reason: `limit` and `signal` (the message says which and why), `codec` (the message names it) or `damaged`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Message(BaseModel):
    """A line from a decoder, which hostile input may have taken over: nothing in it is believed unchecked."""

    say: str
    plan: dict[str, int] | None = None
    info: dict[str, Any] | None = None
    number: int = 0
    reason: str = "damaged"
    message: str = ""
    bytes: int = 0


@dataclass(frozen=True)
class Plan:
    """A pass over the video begins; it replaces an earlier pass (see `decode_passes`)."""

    windows: WindowPlan
    info: VideoInfo


@dataclass(frozen=True)
class Frames:
    """The next sampled frames: raw RGB, each as large as the clip settings say, and after all of them their track."""

    pixels: bytes
    track: bytes


@dataclass(frozen=True)
class Thumbnail:
    """A frame to look at, as JPEG."""

    number: int
    jpeg: bytes


@dataclass(frozen=True)
class Done:
    """The video's end, and what it really held."""

    info: VideoInfo


_INFO: TypeAdapter[VideoInfo] = TypeAdapter(VideoInfo)
_PLAN: TypeAdapter[WindowPlan] = TypeAdapter(WindowPlan)
_LONGEST_JPEG = 2**20


class Decoder:
    """One decoder process."""

    def __init__(self, process: asyncio.subprocess.Process, card: ClassifierCard) -> None:
        self._process = process
        self._frame_bytes = math.prod(card.clip.shape[1:])
        self._track_bytes = 0 if card.track is None else 4 * card.track.size
        self._signals_alone = card.takes_signals_alone
        step = self._frame_bytes + self._track_bytes
        self._longest = max(card.clip.num_frames * step, _LONGEST_JPEG * step // self._frame_bytes)
        self._at_rest = True
        self._videos = 0

    @classmethod
    async def start(cls, card: ClassifierCard, settings: Settings) -> Decoder:
        """Starts a process and waits until it is ready."""
        orders = {
            "spec": card.clip.model_dump(),
            "clip_duration_s": card.clip_duration_s,
            "track": card.track and card.track.model_dump(),
            "limits": vars(settings.limits),
            "memory_bytes": settings.decoder_memory_bytes,
        }
        # The service's own environment, such as its key, is not passed on.
        environment = {
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "OPENBLAS_NUM_THREADS": "1",
            # glibc then overwrites all memory that it hands out: what was not filled never holds another video's frame.
            "MALLOC_PERTURB_": "85",
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "serving.sandbox.decoder", json.dumps(orders),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            env=environment, limit=2**20,
        )  # fmt: skip
        decoder = cls(process, card)
        try:
            async with asyncio.timeout(30):
                await decoder._read()
        except BaseException:
            await decoder.kill()
            raise
        return decoder

    @property
    def reusable(self) -> bool:
        """Whether it can be given another video."""
        return self._at_rest and self._process.returncode is None and self._videos < VIDEOS_PER_PROCESS

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    async def decode(
        self, path: Path, timeout_s: float, thumbnails: int
    ) -> AsyncGenerator[Plan | Frames | Thumbnail | Done, None]:
        """Decodes a video; `Done` is the last message.

        Raises:
            UndecodableError: The decoder refused the video.
            DecoderDiedError: The process has ended or broken the protocol.
        """
        self._at_rest = False
        self._videos += 1
        request = {"path": str(path), "timeout_s": timeout_s, "thumbnails": thumbnails}
        # What is sent says whether there are pictures, and not what the decoder says of it.
        frame_bytes = 0 if self._signals_alone and is_signal(path) else self._frame_bytes
        stdin = self._process.stdin
        if stdin is None:
            raise DecoderDiedError("no pipe to the decoder")
        try:
            stdin.write(json.dumps(request).encode() + b"\n")
            await stdin.drain()
        except OSError as error:
            raise DecoderDiedError(str(error)) from error
        while True:
            message, payload = await self._read()
            match message.say:
                case "plan":
                    try:
                        plan = Plan(_PLAN.validate_python(message.plan), _INFO.validate_python(message.info))
                    except ValidationError as error:
                        raise DecoderDiedError("invalid plan") from error
                    yield plan
                case "frames" if payload and len(payload) % (frame_bytes + self._track_bytes) == 0:
                    pixels = len(payload) // (frame_bytes + self._track_bytes) * frame_bytes
                    yield Frames(payload[:pixels], payload[pixels:])
                case "thumbnail" if 0 <= message.number < thumbnails:
                    yield Thumbnail(message.number, payload)
                case "done":
                    try:
                        done = Done(_INFO.validate_python(message.info))
                    except ValidationError as error:
                        raise DecoderDiedError("invalid result") from error
                    self._at_rest = True
                    yield done
                    return
                case "refused":
                    self._at_rest = True
                    raise UndecodableError(message.reason, message.message)
                case _:
                    raise DecoderDiedError("unexpected message")

    async def _read(self) -> tuple[Message, bytes]:
        stdout = self._process.stdout
        if stdout is None:
            raise DecoderDiedError("no pipe from the decoder")
        try:
            message = Message.model_validate_json(await stdout.readuntil(b"\n"))
            if not 0 <= message.bytes <= self._longest:
                raise DecoderDiedError("message too long")
            return message, await stdout.readexactly(message.bytes)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, ValidationError) as error:
            raise DecoderDiedError(str(error)) from error

    async def ended(self) -> None:
        """Waits until the process has ended."""
        await self._process.wait()

    async def kill(self) -> None:
        """Ends the process at once."""
        with suppress(ProcessLookupError):
            self._process.kill()
        # asyncio stops reading when its buffer is full, and would then never see the process end.
        while self._process.stdout is not None and await self._process.stdout.read(2**16):
            pass
        await self._process.wait()


class DecoderPool:
    """A worker's decoders: `settings.decoders` for calls and one for jobs, so jobs never hold up a call.

    At most `settings.decoders` are kept warm, whoever used them last; one more is started when both need them. When a
    decoder ends and no other is idle, the next is started, unless all that can be used at once are in use.
    """

    def __init__(self, card: ClassifierCard, settings: Settings) -> None:
        self._card = card
        self._settings = settings
        self._calls = asyncio.Semaphore(settings.decoders)
        self._jobs = asyncio.Semaphore(1)
        self._idle: list[Decoder] = []
        self._leased = 0
        self._starting: asyncio.Task[None] | None = None
        self._watching: set[asyncio.Task[None]] = set()
        self._closed = False

    async def start(self) -> None:
        """Starts the warm decoder."""
        self._idle.append(await self._new())

    async def close(self) -> None:
        """Ends all decoders."""
        self._closed = True
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait([self._starting])
        await asyncio.gather(*(decoder.kill() for decoder in self._idle))
        self._idle.clear()
        await asyncio.gather(*self._watching)

    @asynccontextmanager
    async def lease(self, is_job: bool) -> AsyncIterator[Decoder]:
        """A decoder for one video; it is killed if the video was not finished."""
        async with self._jobs if is_job else self._calls:
            self._leased += 1
            try:
                decoder = await self._take()
                try:
                    yield decoder
                finally:
                    if decoder.reusable and not self._closed and len(self._idle) < self._settings.decoders:
                        self._idle.append(decoder)
                    else:
                        # Shielded, as a cancelled request must still not leave a process behind.
                        await asyncio.shield(decoder.kill())
            finally:
                self._leased -= 1
                self._keep_one_warm()

    async def _take(self) -> Decoder:
        if not self._idle and self._starting is not None:
            await asyncio.wait([self._starting])
        while self._idle:
            decoder = self._idle.pop()
            if decoder.reusable:
                return decoder
            await decoder.kill()
        return await self._new()

    async def _new(self) -> Decoder:
        decoder = await Decoder.start(self._card, self._settings)
        watching = asyncio.create_task(self._replace(decoder))
        self._watching.add(watching)
        watching.add_done_callback(self._watching.discard)
        return decoder

    async def _replace(self, decoder: Decoder) -> None:
        await decoder.ended()
        if decoder in self._idle:
            self._idle.remove(decoder)
        self._keep_one_warm()

    def _keep_one_warm(self) -> None:
        # Whoever has a lease but no decoder yet starts one; counting the leases, not the decoders, sees it in time.
        all_leased = self._leased > self._settings.decoders
        if not self._idle and not all_leased and not self._closed and self._starting is None:
            self._starting = asyncio.create_task(self._warm_up())

    async def _warm_up(self) -> None:
        try:
            decoder = await self._new()
            if len(self._idle) < self._settings.decoders:
                self._idle.append(decoder)
            else:
                await decoder.kill()
        except (OSError, DecoderDiedError, TimeoutError) as error:
            log.warning("No decoder could be started: %s", error)
        finally:
            self._starting = None
