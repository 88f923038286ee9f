"""Each format is read back by a reader of its own: the csv and json modules, Chromium, and parsers as strict as the
formats' definitions."""

import csv
import io
import json
import re
from html import unescape
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from actreel.inference.answers import LabelledSegment, Scored
from actreel.inference.classifier import Provenance
from actreel.inference.exports import COLUMNS, FORMATS
from actreel.inference.recogniser import Prediction
from actreel.video.info import VideoInfo
from tests.browser import chromium

FPS = 25.0
PARTS = ("-->", "<b>", "&amp;", "=1+1", "@", "+", "\r\n\r\n", "\n", ",", '"', "'", "\x00", "\x1b", "\ud800", "\uffff")
ODD = (
    *PARTS, "<00:00:01.000>", "&lt;", "NOTE", "WEBVTT", "]]>", "<!--", " jump ", "\u2028", "\ufeff", "開ける",
    "\U0001f938",
)  # fmt: skip
"""Labels are names of folders, which may hold any of these."""

letters = st.one_of(st.characters(exclude_categories=()), st.sampled_from(PARTS))
texts = st.lists(letters, min_size=1, max_size=12).map("".join)


def prediction(*labels: str, known: bool = True, source: str = "clips/a.mp4", length_s: float = 1.5) -> Prediction:
    """The labels one after the other, each for `length_s`."""
    segments = [
        LabelledSegment(number * length_s, (number + 1) * length_s, label, 0.75 if known else 0.0, known)
        for number, label in enumerate(labels)
    ]
    duration_s = length_s * len(labels)
    frames = round(duration_s * FPS)
    return Prediction(
        labels[0], 0.75 if known else 0.0, known, (Scored(labels[0], 0.75),), tuple(segments), source,
        VideoInfo(FPS, frames, frames, 64, 48, duration_s, "XVID"),
        Provenance(dataset="demo", data_version="1", run_id="run", git_commit="abc", trained_at="2026-01-01"),
    )  # fmt: skip


def written(name: str, *predictions: Prediction) -> str:
    form = FORMATS[name]
    return form.before + form.between.join(map(form.render, predictions)) + form.after


def one_line(text: str) -> str:
    """How captions and labelling tools show a label."""
    return re.sub(r"[\s\x00-\x1f\x7f]+", " ", shown(text)).strip()


def shown(text: str) -> str:
    return re.sub("[\ud800-\udfff\ufffe\uffff]", "\ufffd", text)


@given(label=texts, source=texts)
@example(label="\ud800", source="\udcff.mp4")
def test_json_has_every_field(label: str, source: str) -> None:
    answer = prediction(label, "b", source=source)
    text = written("json", answer, answer)
    first, second, *rest = text.encode().split(b"\n")
    assert rest == [b""]
    fields = json.loads(first)
    assert fields == json.loads(second) == json.loads(json.dumps(answer.as_fields()))
    assert (fields["label"], fields["source"]) == (label, source)


@given(label=texts, source=texts)
@example(label="=HYPERLINK(1)", source="-1.mp4")
@example(label="\uff1d1", source="\t=1")
def test_csv_has_a_row_per_segment_and_no_formulas(label: str, source: str) -> None:
    text = written("csv", prediction(label, "b", source=source), prediction("c", known=False))
    header, *rows = csv.reader(io.StringIO(text.encode().decode(), newline=""))
    assert header == [*COLUMNS]
    assert [row[1:3] + row[4:] for row in rows] == [
        ["0.000", "1.500", "0.750000", "true", "run"],
        ["1.500", "3.000", "0.750000", "true", "run"],
        ["0.000", "1.500", "0.000000", "false", "run"],
    ]
    assert [row[3] for row in rows[1:]] == ["b", "c"]
    for cell, meant in ((rows[0][3], shown(label)), (rows[0][0], shown(source))):
        assert cell[0] not in "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
        assert cell in (meant, f"'{meant}")
    assert text.startswith("source,start_s,end_s,label,confidence,known,run_id\r\n")
    assert re.sub(r'"[^"]*"', "", text).count("\n") == re.sub(r'"[^"]*"', "", text).count("\r\n") == 4


def cues(text: str) -> list[tuple[str, str, str]]:
    """Start, end and text of each caption, read as https://www.w3.org/TR/webvtt1/#file-structure demands."""
    header, *blocks = text.removesuffix("\n").split("\n\n")
    assert header == "WEBVTT"
    found = []
    for block in blocks:
        timing, caption = block.split("\n")
        (times,) = re.findall(r"^(\d\d+:[0-5]\d:[0-5]\d\.\d{3}) --> (\d\d+:[0-5]\d:[0-5]\d\.\d{3})$", timing)
        assert times[0] < times[1]
        assert not re.search(r"-->|[<>\r\x00]|&(?!(?:amp|lt|gt);)", caption)
        found.append((*times, unescape(caption)))
    return found


@given(label=texts)
@example(label="a\n\n00:00.000 --> 00:09.000\nb")
def test_captions_hold_any_label(label: str) -> None:
    assert cues(written("webvtt", prediction(label, "b"))) == [
        ("00:00:00.000", "00:00:01.500", one_line(f"{label} (75%)")),
        ("00:00:01.500", "00:00:03.000", "b (75%)"),
    ]


def test_captions_of_long_videos_and_of_nothing_known() -> None:
    long = cues(written("webvtt", prediction("a", "b", known=False, length_s=3661.0005)))
    assert long == [
        ("00:00:00.000", "01:01:01.000", "unknown"), ("01:01:01.000", "02:02:02.001", "unknown"),
    ]  # fmt: skip
    assert cues(written("webvtt", prediction("too short to see", length_s=0.0001))) == []


def test_chromium_shows_the_captions() -> None:
    read = """async text => {
        const track = document.createElement("track");
        const video = document.createElement("video");
        video.append(track);
        const loaded = new Promise((done, failed) => { track.onload = done; track.onerror = failed; });
        track.src = URL.createObjectURL(new Blob([text], {type: "text/vtt"}));
        track.track.mode = "showing";
        await loaded;
        return [...track.track.cues].map(cue => [cue.startTime, cue.endTime, cue.getCueAsHTML().textContent]);
    }"""
    with chromium() as browser:
        seen = browser.new_page().evaluate(read, written("webvtt", prediction(*ODD)))
    assert seen == [[1.5 * number, 1.5 * (number + 1), one_line(f"{label} (75%)")] for number, label in enumerate(ODD)]


def elan(text: str) -> tuple[list[tuple[int, int, str]], ElementTree.Element]:
    """The annotations, checked as https://www.mpi.nl/tools/elan/EAFv3.0.xsd does: order, attributes, references."""
    document = ElementTree.fromstring(text.encode())  # noqa: S314 - our own
    assert document.tag == "ANNOTATION_DOCUMENT"
    assert [child.tag for child in document] == ["HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE"]
    assert document.attrib.keys() >= {"DATE", "AUTHOR", "VERSION"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", document.attrib["DATE"])
    header, times, tier, kind = document
    assert header.attrib == {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"}
    tags = [child.tag for child in header]
    assert tags == sorted(tags, key=("MEDIA_DESCRIPTOR", "PROPERTY").index)
    assert all(child.attrib.keys() == {"MEDIA_URL", "MIME_TYPE"} for child in header.iter("MEDIA_DESCRIPTOR"))
    assert {child.tag for child in times} <= {"TIME_SLOT"}
    slots = {slot.attrib["TIME_SLOT_ID"]: int(slot.attrib["TIME_VALUE"]) for slot in times}
    names = [annotation.attrib["ANNOTATION_ID"] for annotation in tier.iter("ALIGNABLE_ANNOTATION")]
    assert len({*slots, *names}) == len(times) + len(tier), "identifiers are there once"
    assert all(re.fullmatch(r"[A-Za-z_][\w.-]*", name) for name in (*slots, *names)), "of the type xsd:ID"
    assert tier.attrib.keys() == {"ANNOTATOR", "LINGUISTIC_TYPE_REF", "TIER_ID"}
    assert kind.attrib["LINGUISTIC_TYPE_ID"] == tier.attrib["LINGUISTIC_TYPE_REF"]
    assert (kind.attrib["TIME_ALIGNABLE"], kind.attrib["GRAPHIC_REFERENCES"]) == ("true", "false")
    found = []
    for annotation in tier:
        assert annotation.tag == "ANNOTATION"
        (alignable,) = annotation
        assert alignable.attrib.keys() == {"ANNOTATION_ID", "TIME_SLOT_REF1", "TIME_SLOT_REF2"}
        (value,) = alignable
        assert value.tag == "ANNOTATION_VALUE"
        found.append(
            (slots[alignable.attrib["TIME_SLOT_REF1"]], slots[alignable.attrib["TIME_SLOT_REF2"]], value.text or "")
        )
    assert all(start < end for start, end, _ in found)
    return found, header


@given(label=texts, source=texts)
@settings(max_examples=60)
@example(label="]]>", source="a\x00b")
def test_elan_holds_any_label(label: str, source: str) -> None:
    annotations, _ = elan(written("elan", prediction(label, "b", source=source)))
    assert annotations == [(0, 1500, one_line(label)), (1500, 3000, "b")]


def test_elan_finds_the_video_and_knows_the_model(tmp_path: Path) -> None:
    video = tmp_path / "a b & c.mp4"
    _, header = elan(written("elan", prediction("a", source=str(video))))
    (media,) = header.iter("MEDIA_DESCRIPTOR")
    assert media.attrib == {"MEDIA_URL": f"file://{video}", "MIME_TYPE": "video/mp4"}
    assert {each.attrib["NAME"]: each.text for each in header.iter("PROPERTY")}["actreel:run_id"] == "run"
    annotations, header = elan(written("elan", prediction("a", known=False, source="https://youtu.be/dQw4w9WgXcQ")))
    assert annotations == [(0, 1500, "_unknown")]
    assert not [*header.iter("MEDIA_DESCRIPTOR")], "ELAN plays no links"
    assert elan(written("elan", prediction("too short to mark", length_s=0.0001)))[0] == []


def timeline(task: dict[str, Any]) -> list[tuple[int, int, str]]:
    """First frame, last frame and label of each region, as https://labelstud.io/tags/timelinelabels shows them."""
    assert task.keys() == {"data", "predictions"}
    (made,) = task["predictions"]
    assert made.keys() == {"model_version", "score", "result"}
    found = []
    for region in made["result"]:
        assert (region["type"], region["from_name"], region["to_name"]) == ("timelinelabels", "action", "video")
        assert region["value"].keys() == {"ranges", "timelinelabels"}
        (frames,), (label,) = region["value"]["ranges"], region["value"]["timelinelabels"]
        found.append((frames["start"], frames["end"], label))
    assert len({region["id"] for region in made["result"]}) == len(found)
    return found


@given(label=texts, source=texts)
def test_label_studio_gets_frames_from_one_on(label: str, source: str) -> None:
    answer = prediction(label, "b", source=source)
    first, second = json.loads(written("labelstudio", answer, prediction("c", known=False)).encode())
    assert timeline(first) == [(1, 38, one_line(label)), (39, 75, "b")]
    assert first["data"] == {"video": shown(source), "fps": FPS}
    assert (first["predictions"][0]["model_version"], first["predictions"][0]["score"]) == ("run", 0.75)
    assert timeline(second) == [(1, 38, "_unknown")]


@pytest.mark.parametrize("length_s", [0.001, 0.02, 0.5, 1 / 3, 2.0])
def test_label_studios_ranges_are_never_empty_and_in_order(length_s: float) -> None:
    (task,) = json.loads(written("labelstudio", prediction(*"abcdef", length_s=length_s)))
    ranges = timeline(task)
    assert all(1 <= start <= end for start, end, _ in ranges)
    assert all(before[0] <= after[0] for before, after in pairwise(ranges))
    if length_s > 1 / FPS:
        assert all(before[1] + 1 == after[0] for before, after in pairwise(ranges))
