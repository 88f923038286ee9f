"""Files of other programs that hold marks: read with limits, since they may come from anybody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

from actreel.base.marks import Mark
from actreel.base.places import UNKNOWN
from actreel.errors import DatasetError

LARGEST_FILE = 64 * 2**20
"""Bytes; a thousand videos with a hundred segments each take a third of it."""


@dataclass(frozen=True)
class MarkedVideo:
    """The marks of one video in one file.

    Attributes:
        file: The file that they are in.
        names: What it calls the video: paths, addresses or names, the likeliest first.
        marks: The marks, in the file's order.
        by_people: False for a model's answers that nobody has corrected.
    """

    file: Path
    names: tuple[str, ...]
    marks: tuple[Mark, ...]
    by_people: bool = True


def read_text(file: Path) -> str:
    """The file's text.

    Raises:
        DatasetError: It cannot be read, is larger than `LARGEST_FILE`, or is not UTF-8.
    """
    try:
        with file.open("rb") as content:
            data = content.read(LARGEST_FILE + 1)
    except OSError as error:
        raise DatasetError(f"A file of segments must be readable. Received: '{file}' ({error.strerror}).") from error
    if len(data) > LARGEST_FILE:
        raise DatasetError(
            f"A file of segments must have at most {LARGEST_FILE // 2**20} MB. Received: '{file}', which has more. "
            "Export fewer videos at once."
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise not_readable(file, "its text is not UTF-8") from error


def parse_json(text: str, file: Path) -> Any:
    """A file's JSON.

    Raises:
        DatasetError: It is none, or is nested too deeply.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise not_readable(file, f"its JSON is damaged ({error})") from error


def parse_xml(text: str, file: Path) -> ElementTree.Element:
    """A file's XML, in which no entity can be declared, so none can grow or read another file.

    Raises:
        DatasetError: It is none, or has a document type.
    """
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate()

    def refuse(*declared: object) -> None:
        raise not_readable(file, "it declares a document type (<!DOCTYPE>), which ELAN never writes")

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(text, True)
        return builder.close()
    except expat.ExpatError as error:
        raise not_readable(file, f"its XML is damaged ({error})") from error


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """The objects of a list in JSON; nothing of what is no list."""
    return (each for each in value if isinstance(each, dict)) if isinstance(value, list) else iter(())


def number(value: Any, file: Path) -> float:
    """A number of JSON or XML; it may be NaN or infinite, which `fault_in` tells of.

    Raises:
        DatasetError: It is none.
    """
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise not_readable(file, f"a time of a segment is no number, but {str(value)[:50]!r}") from error


def label(text: Any, file: Path) -> str:
    """A label of JSON or XML, without blanks at its ends.

    Raises:
        DatasetError: It cannot name an action.
    """
    from actreel.feedback import LONGEST_LABEL, is_label

    name = text.strip() if isinstance(text, str) else ""
    if not is_label(name):
        raise DatasetError(
            f"An action's name must have 1 to {LONGEST_LABEL} printable letters. Received: {str(text)[:50]!r} in "
            f"'{file}'. Name it in the program that it comes from; '{UNKNOWN}' stands for none of the actions."
        )
    return name


def not_readable(file: Path, why: str) -> DatasetError:
    """The error of a file that is none of those that can be read."""
    return DatasetError(
        f"Segments must come from ELAN (.eaf), Label Studio (JSON) or X-AnyLabeling's Video Classifier (.json). "
        f"Received: '{file}': {why}. Export it again from the program that it comes from."
    )
