"""ELAN's files (.eaf), https://www.mpi.nl/tools/elan/EAFv3.0.xsd."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from actreel.base.marks import Mark
from actreel.errors import DatasetError, listed_names
from actreel.inference.exports import TIER
from actreel.labelling.files import MarkedVideo, label, not_readable, number, parse_xml


def read_elan(text: str, file: Path, tier: str | None) -> list[MarkedVideo]:
    """The marks of one tier.

    Args:
        text: The file's.
        file: For messages.
        tier: Its name; None takes `action`, or the only one that has annotations with times.

    Raises:
        DatasetError: It is no file of ELAN's, it has no such tier, or an annotation has no times.
    """
    document = parse_xml(text, file)
    if document.tag != "ANNOTATION_DOCUMENT":
        raise not_readable(file, f"it begins with <{document.tag[:50]}>, not with <ANNOTATION_DOCUMENT>")
    media = document.findall("HEADER/MEDIA_DESCRIPTOR")
    # The path beside the file outlives a move of the folder; the other one is where it lay when it was labelled.
    names = [each.get(name, "") for each in media for name in ("RELATIVE_MEDIA_URL", "MEDIA_URL")]
    # Where ELAN plays a medium from its middle on, times count from there.
    begins_ms = number(media[0].get("TIME_ORIGIN", "0"), file) if media else 0.0
    times = {slot.get("TIME_SLOT_ID", ""): slot.get("TIME_VALUE") for slot in document.findall("TIME_ORDER/TIME_SLOT")}
    marks = tuple(
        _mark(annotation, times, begins_ms, file)
        for annotation in _tier(document, tier, file).findall("ANNOTATION/ALIGNABLE_ANNOTATION")
    )
    return [MarkedVideo(file, (*filter(None, names), file.stem), marks)]


def _tier(document: ElementTree.Element, wanted: str | None, file: Path) -> ElementTree.Element:
    tiers = {
        tier.get("TIER_ID", ""): tier
        for tier in document.findall("TIER")
        if tier.find("ANNOTATION/ALIGNABLE_ANNOTATION") is not None
    }
    if wanted is None:
        wanted = next(iter(tiers)) if len(tiers) == 1 else TIER
    if wanted not in tiers:
        raise DatasetError(
            f"One tier must hold the actions. Received: '{file}' with the tiers "
            f"{listed_names(sorted(tiers)) or 'without segments'}. Name the tier: --tier NAME"
        )
    return tiers[wanted]


def _mark(annotation: ElementTree.Element, times: dict[str, str | None], begins_ms: float, file: Path) -> Mark:
    start, end = (times.get(annotation.get(f"TIME_SLOT_REF{place}", "")) for place in (1, 2))
    if start is None or end is None:
        raise not_readable(file, f"the annotation {annotation.get('ANNOTATION_ID')!r} has no times")
    start_s, end_s = ((number(time, file) + begins_ms) / 1000 for time in (start, end))
    return Mark(start_s, end_s, label(annotation.findtext("ANNOTATION_VALUE"), file))
