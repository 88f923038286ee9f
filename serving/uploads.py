"""Streams a multipart upload to disk in constant memory; its size is counted, and none of its claims are trusted."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from actreel.video.signals import MOST_BYTES as MOST_SIGNAL_BYTES
from serving.answers import RefusalError

FIELD, SIGNAL_FIELD = b"video", b"signal"
SIGNAL_ENDINGS = (".csv", ".npz")
"""Kinds of signals that are taken; Parquet would need a library that a Bento has not."""
LONGEST_TITLE = 120

FORM = {
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "properties": {
                "video": {
                    "type": "string",
                    "format": "binary",
                    "description": "Needed, unless the model takes signals and nothing else.",
                },
                "signal": {
                    "type": "string",
                    "format": "binary",
                    "description": "The signals of sensors, for a model of them.",
                },
            },
        }
    }
}
"""The form in the OpenAPI document; FastAPI cannot derive it, as it must not read the body itself."""


@dataclass(frozen=True)
class Upload:
    """What was sent.

    Attributes:
        path: The video; of a clip without one, its signals.
        title: The client's file name without folders and control characters, at most 120 characters.
    """

    path: Path
    title: str


async def receive_clip(request: Request, path: Path, max_bytes: int, *, signals_alone: bool) -> Upload:
    """Writes the multipart field `video` to a file, and the field `signal`, if there is one, to a file beside it.

    Args:
        request: The request; its body must not have been read yet.
        path: Where the video goes; the client's file name is used as a title only.
        max_bytes: The largest video, in bytes.
        signals_alone: Whether signals may come without a video.

    Raises:
        RefusalError: The body is not such a form, does not have exactly one video and at most one signal, or either is
            too large or empty, or the signal is of another kind.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise _bad_form("Received: a body that is not a multipart form.")
    # All that touches the disk runs in threads: a slow disk must not hold up other requests.
    with await asyncio.to_thread(path.open, "wb") as file:
        form = _Form(file, path, max_bytes)
        try:
            parser = MultipartParser(boundary, form.callbacks())  # type: ignore[arg-type]
            async for chunk in request.stream():
                await asyncio.to_thread(parser.write, chunk)
            parser.finalize()
        except FormParserError as error:
            raise _bad_form("Received: a damaged or incomplete form.") from error
        finally:
            form.close_signal()
        await asyncio.to_thread(file.close)
    # A browser's form sends an empty part where no video was chosen.
    if form.complete and form.signal is not None and not form.title and not form.size:
        if not signals_alone:
            raise _bad_form("Received: signals alone, and this model needs the video too.")
        await asyncio.to_thread(path.unlink)
        return Upload(form.signal, form.signal_title)
    if form.title is None or not form.complete:
        raise _bad_form("Received: a form without this field, or an incomplete one.")
    if form.size == 0:
        raise RefusalError(422, "empty", "The uploaded file is empty.", "Choose a video that plays on your machine.")
    return Upload(path, form.title)


class _Form:
    """Receives the parser's callbacks."""

    def __init__(self, file: BinaryIO, path: Path, max_bytes: int) -> None:
        self._file = file
        self._path = path
        self._max_bytes = max_bytes
        self._signal: BinaryIO | None = None
        self._signal_size = 0
        self.signal: Path | None = None
        self.signal_title = ""
        self._name = b""
        self._value = b""
        self._disposition = b""
        self._writing: BinaryIO | None = None
        self._no_file = False
        self.title: str | None = None
        self.size = 0
        self.complete = False

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._part_begin,
            "on_header_begin": self._header_begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_end": self._end,
        }

    def _part_begin(self) -> None:
        self._disposition = b""
        self._writing = None
        self._no_file = False

    def _header_begin(self) -> None:
        self._name = self._value = b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        if options.get(b"name") == SIGNAL_FIELD:
            name = options.get(b"filename", b"").decode("utf-8", "replace")
            self._no_file = not name  # a browser's form sends an empty part where no file was chosen
            self._writing = None if self._no_file else self._open_signal(name)
        if options.get(b"name") != FIELD:
            return
        if self.title is not None:
            raise _bad_form("Received: more than one.")
        self.title = title_of(options.get(b"filename", b"").decode("utf-8", "replace"))
        self._writing = self._file

    def _open_signal(self, name: str) -> BinaryIO:
        """The file for the signal: of the client's name, only the ending is used, and that from a closed set."""
        ending = next((ending for ending in SIGNAL_ENDINGS if name.lower().endswith(ending)), None)
        if self._signal is not None or ending is None:
            raise _bad_signal("more than one" if ending else "a file of another kind")
        self.signal, self.signal_title = self._path.with_suffix(ending), title_of(name)
        self._signal = self.signal.open("wb")
        return self._signal

    def close_signal(self) -> None:
        """Closes the signal's file, if there is one."""
        if self._signal is not None:
            self._signal.close()

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._no_file:
            raise _bad_signal("values without a file name")
        if self._writing is None:
            return
        if self._writing is self._signal:
            self._signal_size += end - start
            if self._signal_size > MOST_SIGNAL_BYTES:
                raise too_large("signal", MOST_SIGNAL_BYTES)
        else:
            self.size += end - start
            if self.size > self._max_bytes:
                raise too_large("video", self._max_bytes)
        self._writing.write(data[start:end])

    def _end(self) -> None:
        self.complete = True


def _bad_signal(fact: str) -> RefusalError:
    return RefusalError(
        422, "bad_signal", f"Signals must be one file, {' or '.join(SIGNAL_ENDINGS)}. Received: {fact}.",
        "Send it like this: curl -F video=@clip.mp4 -F signal=@clip.csv ...",
    )  # fmt: skip


def title_of(name: str) -> str:
    """A client's file name as a title: without folders and control characters, and cut to `LONGEST_TITLE`."""
    base = PurePosixPath(name.replace("\\", "/")).name
    return "".join(letter for letter in base if letter.isprintable())[:LONGEST_TITLE]


def too_large(what: str, max_bytes: int) -> RefusalError:
    """The 413 of a body or a video that is too large."""
    return RefusalError(413, "too_large", f"The {what} is larger than {max_bytes / 2**20:g} MB.", "Send a smaller one.")


def _bad_form(fact: str) -> RefusalError:
    return RefusalError(
        422,
        "bad_request",
        f"An upload must be a multipart form with one field 'video'. {fact}",
        "Send it like this: curl -F video=@clip.mp4 ...",
    )
