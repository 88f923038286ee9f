"""Answers in the formats of other programs: tables, captions, and tools to label videos with.

    json          one object per line, the fields of `Prediction`
    csv           one row per segment, RFC 4180
    webvtt        captions for a video player, https://www.w3.org/TR/webvtt1/
    elan          an ELAN file with one tier, https://www.mpi.nl/tools/elan/EAFv3.0.xsd
    labelstudio   tasks with predictions, https://labelstud.io/guide/predictions

Labels are names of folders, so each format keeps whatever characters they hold from becoming part of its structure.
"""

from __future__ import annotations

import csv
import io
import json
import mimetypes
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from actreel.base.places import UNKNOWN
from actreel.inference.answers import LabelledSegment
from actreel.inference.recogniser import Prediction
from actreel.youtube.links import is_link

COLUMNS = ("source", "start_s", "end_s", "label", "confidence", "known", "run_id")
"""The columns of the CSV file; `run_id` is the MLflow run that trained the model."""

TIER = "action"
"""The tier of the ELAN file that the segments are in, and its type."""

TIMELINE, VIDEO = "action", "video"
"""Names of the tags in Label Studio's labelling configuration that the segments are for."""

# What a spreadsheet takes for a formula, https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
# What XML 1.0 and JSON's readers do not take: half of a surrogate pair, and two characters that are none.
_NO_CHARACTERS = re.compile("[\ud800-\udfff\ufffe\uffff]")
_BLANKS = re.compile(r"[\s\x00-\x1f\x7f]+")


@dataclass(frozen=True)
class Format:
    """A format that answers are written in.

    Attributes:
        ending: The ending of its files.
        render: The text of one answer.
        one_per_video: Whether each video needs a file of its own.
        before: What stands before the first answer.
        between: What stands between two.
        after: What stands after the last.
    """

    ending: str
    render: Callable[[Prediction], str]
    one_per_video: bool = False
    before: str = ""
    between: str = ""
    after: str = ""


def as_json(prediction: Prediction) -> str:
    """The answer as a line of JSON; in ASCII if it names what UTF-8 cannot hold."""
    line = json.dumps(prediction.as_fields(), ensure_ascii=False)
    return (json.dumps(prediction.as_fields()) if _NO_CHARACTERS.search(line) else line) + "\n"


def as_csv(prediction: Prediction) -> str:
    """The answer's segments as rows of `COLUMNS`; a text that a spreadsheet would run as a formula starts with `'`."""
    return "".join(
        _row(
            _harmless(prediction.source), f"{segment.start_s:.3f}", f"{segment.end_s:.3f}", _harmless(segment.label),
            f"{segment.confidence:.6f}", str(segment.known).lower(), _harmless(prediction.model.run_id),
        )
        for segment in prediction.segments
    )  # fmt: skip


def as_webvtt(prediction: Prediction) -> str:
    """The answer's segments as captions: action and confidence, or `unknown`."""
    cues = []
    for start, end, segment in _in_ms(prediction):
        shown = _one_line(f"{segment.label} ({segment.confidence:.0%})") if segment.known else "unknown"
        # ">" too: an arrow in a caption would be taken for a time.
        shown = shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        cues.append(f"\n{_clock(start)} --> {_clock(end)}\n{shown}\n")
    return "WEBVTT\n" + "".join(cues)


def as_elan(prediction: Prediction) -> str:
    """The answer's segments as an ELAN file with the tier `TIER`; `_unknown` is what shows none of the actions."""
    document = ElementTree.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "Actreel",
            "DATE": datetime.now(UTC).isoformat(timespec="seconds"),
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
        },
    )
    header = _add(document, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    if not is_link(prediction.source):
        path = Path(prediction.source)
        # Not escaped as an address: ELAN takes what follows "file://" for the path as it stands.
        address = "file:///" + _one_line(path.absolute().as_posix()).removeprefix("/")
        kind = mimetypes.guess_type(path.name)[0] or "video/*"
        _add(header, "MEDIA_DESCRIPTOR", MEDIA_URL=address, MIME_TYPE=kind)
    for name, value in prediction.model.model_dump().items():
        _add(header, "PROPERTY", NAME=f"actreel:{name}").text = _one_line(value)
    times = _add(document, "TIME_ORDER")
    tier = _add(document, "TIER", ANNOTATOR="Actreel", LINGUISTIC_TYPE_REF=TIER, TIER_ID=TIER)
    for number, (start, end, segment) in enumerate(_in_ms(prediction), 1):
        slots = {"TIME_SLOT_REF1": f"ts{2 * number - 1}", "TIME_SLOT_REF2": f"ts{2 * number}"}
        for slot, time in zip(slots.values(), (start, end), strict=True):
            _add(times, "TIME_SLOT", TIME_SLOT_ID=slot, TIME_VALUE=str(time))
        annotation = _add(_add(tier, "ANNOTATION"), "ALIGNABLE_ANNOTATION", ANNOTATION_ID=f"a{number}", **slots)
        _add(annotation, "ANNOTATION_VALUE").text = _label(segment)
    _add(document, "LINGUISTIC_TYPE", GRAPHIC_REFERENCES="false", LINGUISTIC_TYPE_ID=TIER, TIME_ALIGNABLE="true")
    ElementTree.indent(document)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(document, encoding="unicode")}\n'


def as_label_studio(prediction: Prediction) -> str:
    """The answer as one of Label Studio's tasks, with the segments as a prediction to correct.

    Frames are counted from 1, and a range ends with its last frame. The labelling configuration has to play the video
    at its own rate, `frameRate="$fps"`: Label Studio takes 24 otherwise.
    """
    fps = prediction.video.fps
    regions = []
    for number, segment in enumerate(prediction.segments, 1):
        first = round(segment.start_s * fps) + 1
        regions.append(
            {
                "id": f"segment-{number}",
                "type": "timelinelabels",
                "from_name": TIMELINE,
                "to_name": VIDEO,
                "score": segment.confidence,
                "value": {
                    "ranges": [{"start": first, "end": max(first, round(segment.end_s * fps))}],
                    "timelinelabels": [_label(segment)],
                },
            }
        )
    task: dict[str, Any] = {
        "data": {"video": _valid(prediction.source), "fps": fps},
        "predictions": [
            {"model_version": prediction.model.run_id, "score": prediction.confidence, "result": regions}
        ],
    }  # fmt: skip
    return json.dumps(task, ensure_ascii=False)


def _row(*cells: str) -> str:
    row = io.StringIO()
    csv.writer(row, lineterminator="\r\n").writerow(cells)
    return row.getvalue()


def _harmless(text: str) -> str:
    text = _valid(text)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _in_ms(prediction: Prediction) -> Iterator[tuple[int, int, LabelledSegment]]:
    """Segments with their whole milliseconds, without those that last none: neither captions nor tiers hold them."""
    for segment in prediction.segments:
        start, end = round(segment.start_s * 1000), round(segment.end_s * 1000)
        if start < end:
            yield start, end, segment


def _clock(time_ms: int) -> str:
    minutes, rest = divmod(time_ms, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}.{rest % 1000:03}"


def _label(segment: LabelledSegment) -> str:
    """What a person who corrects the labels should see: the class of clips that show no action, if none is known."""
    return _one_line(segment.label) if segment.known else UNKNOWN


def _one_line(text: str) -> str:
    return _BLANKS.sub(" ", _valid(text)).strip()


def _valid(text: str) -> str:
    """The text with U+FFFD for what UTF-8 or XML cannot hold, such as bytes of a file's name that are no text."""
    return _NO_CHARACTERS.sub("\ufffd", text)


def _add(parent: ElementTree.Element, tag: str, **attributes: str) -> ElementTree.Element:
    return ElementTree.SubElement(parent, tag, attributes)


FORMATS = {
    "json": Format(".jsonl", as_json),
    "csv": Format(".csv", as_csv, before=_row(*COLUMNS)),
    "webvtt": Format(".vtt", as_webvtt, one_per_video=True),
    "elan": Format(".eaf", as_elan, one_per_video=True),
    "labelstudio": Format(".json", as_label_studio, before="[\n", between=",\n", after="\n]\n"),
}
"""The formats by the names that `actreel predict --format` takes; its `text` is for people only."""
