"""A video's sound as numbers for the frames of a clip: a log-mel spectrogram over the same parts of its time.

A clip without sound is no error: it is silent.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import av.container
import av.error
import numpy as np
from numpy.typing import NDArray

from actreel.config import SoundSpec
from actreel.video.container import MOST_ERRORS, open_file

log = logging.getLogger(__name__)

OFFSET = 0.01
"""Added to a band before the logarithm, as in VGGish: what is softer counts as silence."""

GAP_S = 0.1
"""Seconds by which sound may come late before the time between is filled with silence."""

_BLOCK = 25
"""Windows that are transformed at once."""


def sound_parts(path: Path, spec: SoundSpec, duration_s: float, num_parts: int) -> Iterator[NDArray[np.float32]]:
    """The sound of each of `num_parts` equal parts of a video, in constant memory.

    Args:
        path: The video.
        spec: How sound becomes numbers.
        duration_s: Seconds of the pictures; sound before and after them is left out.
        num_parts: Parts.

    Yields:
        float32 (2 * bands,), mean and maximum over the part of each band's logarithm.

    Raises:
        VideoError: The file is missing, damaged or not a video.
    """
    num_rows = max(1, round(duration_s * spec.rate / spec.hop))
    blocks = _log_mel(_samples(path, spec.rate), spec)
    rows, first = np.empty((0, spec.bands), dtype=np.float32), 0
    for part in range(num_parts):
        start = part * num_rows // num_parts
        stop = max(start + 1, (part + 1) * num_rows // num_parts)
        while first + len(rows) < stop:
            block = next(blocks, None)
            if block is None:
                block = np.full((_BLOCK, spec.bands), np.log(OFFSET), dtype=np.float32)
            rows = np.concatenate([rows, block])
        heard = rows[start - first : stop - first]
        yield np.concatenate([heard.mean(axis=0), heard.max(axis=0)])
        rows, first = rows[start - first :], start


def _log_mel(samples: Iterator[NDArray[np.float32]], spec: SoundSpec) -> Iterator[NDArray[np.float32]]:
    """float32 (n, bands) from one hop to the next."""
    size = 1 << (spec.window - 1).bit_length()
    filters, fade = _mel_filters(spec, size), np.hanning(spec.window).astype(np.float32)

    def transformed(held: NDArray[np.float32]) -> NDArray[np.float32]:
        windows = np.lib.stride_tricks.sliding_window_view(held, spec.window)[:: spec.hop]
        strength = np.abs(np.fft.rfft(windows * fade, size)).astype(np.float32)
        return np.asarray(np.log(strength @ filters + OFFSET), dtype=np.float32)

    held = np.empty(0, dtype=np.float32)
    for more in samples:
        held = np.concatenate([held, more])
        count = (len(held) - spec.window) // spec.hop + 1
        if count >= _BLOCK:
            yield transformed(held[: (count - 1) * spec.hop + spec.window])
            held = held[count * spec.hop :]
    if len(held):
        yield transformed(np.pad(held, (0, spec.window)))


@cache
def _mel_filters(spec: SoundSpec, size: int) -> NDArray[np.float32]:
    """float32 (size / 2 + 1, bands): triangles that are equally wide on the mel scale of HTK."""

    def to_mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
        return 1127 * np.log1p(hertz / 700)

    lowest, highest = to_mel(np.array([spec.lowest_hz, spec.highest_hz]))
    edges = np.linspace(lowest, highest, spec.bands + 2)
    mel = to_mel(np.fft.rfftfreq(size, 1 / spec.rate))[:, np.newaxis]
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rises, falls = (mel - left) / (centre - left), (right - mel) / (right - centre)
    return np.asarray(np.maximum(0, np.minimum(rises, falls)), dtype=np.float32)


def _samples(path: Path, rate: int) -> Iterator[NDArray[np.float32]]:
    """The first sound as one channel in [-1, 1], float32 (n,) each, from the moment on at which the pictures start."""
    with open_file(path) as container:
        streams = [stream for stream in container.streams.audio if stream.codec_context]
        if not streams:
            _say_silent(path)
            return
        start_s = _start_of_pictures(container)
        given = 0
        for at_s, heard in _mono(_decoded(container, streams[0]), rate):
            ahead = 0 if at_s is None else round((at_s - start_s) * rate) - given
            # In pieces, as a damaged file may claim a gap of years; whoever asks stops at the pictures' end.
            while ahead > (GAP_S * rate if given else 0):
                piece = min(ahead, rate)
                yield np.zeros(piece, dtype=np.float32)
                given, ahead = given + piece, ahead - piece
            if not given and ahead < 0:  # before the pictures
                heard = heard[-ahead:]
            given += len(heard)
            yield heard


def _mono(frames: Iterator[av.AudioFrame], rate: int) -> Iterator[tuple[float | None, NDArray[np.float32]]]:
    """For each frame its time in seconds, if it has one, and its samples; a few come with the next frame."""
    kind, resampler = None, None
    for frame in frames:
        if resampler is None or kind != (frame.format.name, frame.layout.name, frame.sample_rate):
            kind = frame.format.name, frame.layout.name, frame.sample_rate  # it may change midway
            resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
        try:
            pieces = [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
        except (av.error.FFmpegError, ValueError):  # a damaged frame
            continue
        heard = np.concatenate(pieces) if pieces else np.empty(0)
        yield frame.time, np.clip(np.nan_to_num(heard), -1, 1).astype(np.float32)


def _decoded(container: av.container.InputContainer, stream: av.AudioStream) -> Iterator[av.AudioFrame]:
    for _ in range(MOST_ERRORS):
        try:
            yield from container.decode(stream)
        except av.error.FFmpegError:  # after an error, it goes on with the next packet
            continue
        return


def _start_of_pictures(container: av.container.InputContainer) -> float:
    first = next(iter(container.streams.video), None)
    if first is None or first.start_time is None or first.time_base is None:
        return 0.0
    return float(first.start_time * first.time_base)


@cache
def _said() -> list[Path]:
    return []


def _say_silent(path: Path) -> None:
    """Says of the first silent clip of this process that it is silent."""
    if not _said():
        _said().append(path)
        log.warning(f"'{path}' has no sound, and counts as silence. So does any other such clip: this is said once.")
