"""What frames say beside their pixels: their colours, read as ffmpeg 5 does, and how they are turned.

FFmpeg 8 mixes the tags of colours up where they change midway, and refuses to convert some of them.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import av
import av.filter
from av.sidedata.sidedata import Type
from av.video.reformatter import ColorPrimaries, ColorTrc

_FOLLOWED = ("color_range", "colorspace")
"""The tags that the conversion to RGB follows, as PyAV names them on frames and decoders."""

_CONVERTED = frozenset({0, 1, 2, 4, 5, 6, 7, 9})
"""The values of FFmpeg's AVColorSpace that FFmpeg 8 converts to RGB."""
_UNSPECIFIED, _BT2020, _BT2020_CONSTANT = 2, 9, 10

NEWER_KINDS = 16
"""As many kinds of data beside a frame FFmpeg may have that PyAV does not know."""


def decode_packet(packet: av.Packet[Any], decoder: av.VideoCodecContext) -> list[av.VideoFrame]:
    """Decodes a packet; each frame that comes out has the colours' tags that held when it was sent.

    Frames come out later than their packets. To those without tags, FFmpeg 8 gives the tags that hold by then, so where
    colours change midway, the last frames before would have those of the first after.
    """
    decoder.copy_opaque = True
    held: dict[str, int] = {}
    packet.opaque = held
    frames: list[av.VideoFrame] = packet.decode()
    held |= {name: getattr(decoder, name) for name in _FOLLOWED}
    for frame in frames:
        sent_with: Any = frame.opaque
        if sent_with and sent_with != held:
            for name, value in sent_with.items():
                if getattr(frame, name) == held[name]:
                    setattr(frame, name, value)
    return frames


def make_convertible(frame: av.VideoFrame) -> None:
    """Changes the tags that FFmpeg 8 refuses to those that ffmpeg 5 takes in their place."""
    # No conversion here needs these, and reserved values of them are refused.
    frame.color_trc, frame.color_primaries = ColorTrc.UNSPECIFIED, ColorPrimaries.UNSPECIFIED
    if frame.colorspace not in _CONVERTED:
        frame.colorspace = _BT2020 if frame.colorspace == _BT2020_CONSTANT else _UNSPECIFIED


def display_matrix(frame: av.VideoFrame, stream: av.VideoStream) -> bytes | None:
    """The display matrix that came with a frame, as `orientation.orientation_of` takes it; None if there is none."""
    try:
        beside: Any = frame.side_data
    except ValueError:
        # PyAV reads none of it if it does not know one kind: EXIF, which cameras write into each picture, is one.
        beside = _without_newer_kinds(frame, stream).side_data
    matrix = beside.get("DISPLAYMATRIX")
    return None if matrix is None else bytes(matrix)


def _without_newer_kinds(frame: av.VideoFrame, stream: av.VideoStream) -> av.VideoFrame:
    newest: int = max(kind.value for kind in Type)  # type: ignore[type-var, assignment]  # an Enum of numbers
    graph = av.filter.Graph()
    filters = [
        graph.add_buffer(template=stream, width=frame.width, height=frame.height, format=frame.format),
        *(graph.add("sidedata", f"delete:type={kind}") for kind in range(newest + 1, newest + 1 + NEWER_KINDS)),
        graph.add("buffersink"),
    ]
    for before, after in pairwise(filters):
        before.link_to(after)
    graph.configure()
    graph.push(frame)
    return graph.vpull()
