"""What the names of clips say of their groups: persons, scenes, dates, and the videos that they were cut from.

Each rule reads an id out of a path, or none. An id counts only where it tells clips apart, see `_tells_apart`: the
name of the action, or a word that begins every name, is no group.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from actreel.dataset.grouping.joins import Sureness
from actreel.dataset.groups import group_in_ucf_name

GENERIC = frozenset(
    (
        "avi", "back", "cam", "camera", "capture", "clip", "clips", "color", "colour", "copy", "cut", "depth", "dji",
        "dsc", "dscf", "dscn", "edit", "edited", "export", "file", "film", "final", "fps", "front", "gh", "gopr",
        "gp", "gx", "hd", "image", "img", "kopie", "left", "mov", "movie", "mp4", "mv", "mvi", "new", "one", "out",
        "output", "part", "pxl", "rec", "record", "recording", "rgb", "right", "sample", "scene", "screen", "shot",
        "side", "take", "test", "the", "top", "train", "trim", "trimmed", "two", "uhd", "untitled", "val", "vid",
        "video", "vlc", "whatsapp", "wp",
    )
)  # fmt: skip
"""Words in names that say nothing of the person or the place, in lower case."""

LARGEST_SHARE = 0.8
"""The largest share of the named clips, or of one action's, that an id may cover: beyond it, it tells nothing apart."""
FEW_CLIPS = 4
"""In an action of fewer clips, one id may cover all of them."""

_NUMBERED = (
    "person|subject|subj|sub|actor|performer|player|participant|proband|user|patient|speaker|volunteer|athlete|people|"
    "scene|session|group"
)
_KEYWORD = re.compile(rf"(?<![a-z])(?P<kind>{_NUMBERED})[ _-]?0*(?P<number>\d+)", re.IGNORECASE)
# NTU RGB+D (Shahroudy et al., CVPR 2016): setup, camera, performer, replication, action.
_NTU = re.compile(r"S\d{3}C\d{3}P(?P<number>\d{3})R\d{3}A\d{3}")
_LETTER = re.compile(r"(?<![a-z0-9])(?P<kind>[sp])0*(?P<number>\d{1,3})(?![a-z0-9])", re.IGNORECASE)
_DATE = re.compile(
    r"(?<!\d)(?P<year>(?:19|20)\d\d)[-_.]?(?P<month>0[1-9]|1[0-2])[-_.]?(?P<day>[0-2]\d|3[01])(?=\D|\d{6}|$)"
)
# `anna-tricks_000012_000022`, as in Kinetics, and `lesson part 3`, `lesson-Scene-012`, `lesson_cut4`.
_CUT_POINTS = re.compile(r"(?P<source>.+?)[ _-]+\d{3,}[ _-]+\d{3,}")
_CUT_NUMBER = re.compile(
    r"(?P<source>.+?)[ _.-]+(?:scene|part|pt|chunk|segment|seg|cut|clip|split|c)[ _.-]?\d+", re.IGNORECASE
)
_COUNTER = re.compile(r"(?P<before>.*?[a-z_ -])(?P<number>\d{3,})", re.IGNORECASE)
_MOST_CHANGES = 3
_TOKEN = re.compile(r"[^\W\d_]+|\d+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True)
class Named:
    """The group that a clip's name stands for.

    Attributes:
        group: The id, such as `anna` or `person 3`; equal ids are one group in every action.
        rule: What it was read from, in words.
        sureness: How sure it is that clips of this id belong together.
    """

    group: str
    rule: str
    sureness: Sureness


def ids_in_names(clips: Sequence[Path], actions: Sequence[str]) -> list[Named | None]:
    """Reads each clip's group from its name, by the first rule that finds an id there that tells clips apart.

    Args:
        clips: Paths below the folder of actions.
        actions: Each clip's action.
    """
    found: list[Named | None] = [None] * len(clips)
    for words, rule, sureness in _RULES:
        waiting = [row for row in range(len(clips)) if found[row] is None]
        ids = [rule(clips[row], actions[row]) for row in waiting]
        if rule is not _ucf and not _tells_apart(ids, [actions[row] for row in waiting]):
            continue
        for row, group in zip(waiting, ids, strict=True):
            if group:
                found[row] = Named(group, words, sureness)
    return found


def counters_meet(one: Path, other: Path) -> bool:
    """Whether a camera counted one clip directly after the other: `IMG_0012` and `IMG_0013`."""
    counts = [_COUNTER.fullmatch(clip.stem) for clip in (one, other)]
    if counts[0] is None or counts[1] is None or counts[0]["before"].lower() != counts[1]["before"].lower():
        return False
    return abs(int(counts[0]["number"]) - int(counts[1]["number"])) == 1


def _tells_apart(ids: Sequence[str | None], actions: Sequence[str]) -> bool:
    """Whether ids are groups: most clips share theirs, and neither all clips nor most actions have a single one."""
    counts = Counter(group for group in ids if group)
    named = sum(counts.values())
    shared = sum(count for count in counts.values() if count > 1)
    if len(counts) < 2 or 2 * shared < named or max(counts.values()) > LARGEST_SHARE * named:
        return False
    of_action: dict[str, Counter[str | None]] = {}
    for group, action in zip(ids, actions, strict=True):
        of_action.setdefault(action, Counter())[group] += 1
    alone = [
        max((count for group, count in groups.items() if group), default=0) > LARGEST_SHARE * groups.total()
        for groups in of_action.values()
        if groups.total() >= FEW_CLIPS
    ]
    return not alone or sum(alone) <= len(alone) / 2


def _ucf(clip: Path, action: str) -> str | None:
    return group_in_ucf_name(clip)


def _keyword(clip: Path, action: str) -> str | None:
    text = _below_action(clip, action)
    if match := _NTU.search(text):
        return f"person {int(match['number'])}"
    return f"{match['kind'].lower()} {int(match['number'])}" if (match := _KEYWORD.search(text)) else None


def _letter(clip: Path, action: str) -> str | None:
    match = _LETTER.search(_below_action(clip, action).replace("_", " "))
    return f"{match['kind'].lower()}{int(match['number'])}" if match else None


def _source(clip: Path, action: str) -> str | None:
    """The video that a clip was cut from."""
    match = _CUT_POINTS.fullmatch(clip.stem) or _CUT_NUMBER.fullmatch(clip.stem)
    if match is None or not (_words(match["source"], action) or re.search(r"\d", match["source"])):
        return None
    return match["source"].lower()


def _folder(clip: Path, action: str) -> str | None:
    """The folder below the action's that the clip lies in."""
    parts = clip.parent.parts
    below = parts[parts.index(action) + 1 :] if action in parts else parts
    return "/".join(below).lower() or None


def _word(clip: Path, action: str) -> str | None:
    return next(iter(_words(clip.stem, action)), None)


def _first_number(clip: Path, action: str) -> str | None:
    """The first of several numbers, where the last one counts: `12_1`, `12_2`."""
    numbers = re.findall(r"\d+", _without_codes(clip.stem))
    return f"{int(numbers[0])}" if len(numbers) > 1 else None


def _date(clip: Path, action: str) -> str | None:
    match = _DATE.search(clip.stem)
    return f"{match['year']}-{match['month']}-{match['day']}" if match else None


def _below_action(clip: Path, action: str) -> str:
    parts = clip.with_suffix("").parts
    return "/".join(parts[parts.index(action) + 1 :] if action in parts[:-1] else parts)


def _words(text: str, action: str) -> list[str]:
    """The words of two letters and more that are neither generic nor of the action's name."""
    spelt = [token.lower() for token in _TOKEN.findall(_HUMP.sub(" ", _without_codes(text)))]
    of_action = {token.lower() for token in _TOKEN.findall(_HUMP.sub(" ", action))} | {_squeezed(action)}
    return [
        word for word in spelt if len(word) > 1 and word.isalpha() and word not in of_action and word not in GENERIC
    ]


def _without_codes(text: str) -> str:
    """Without what programs draw at random, such as `3f9ac07b`: its letters and digits change again and again."""
    return " ".join(field for field in re.split(r"[\W_]+", text) if len(_TOKEN.findall(field)) <= _MOST_CHANGES)


def _squeezed(text: str) -> str:
    return "".join(_TOKEN.findall(text)).lower()


_Rule = Callable[[Path, str], str | None]

_RULES: tuple[tuple[str, _Rule, Sureness], ...] = (
    ("a name like UCF's", _ucf, Sureness.SURE),  # the folder's reader takes it without any check, too
    ("a numbered person or scene in the name", _keyword, Sureness.SURE),
    ("the video that the name says it was cut from", _source, Sureness.SURE),
    ("the folder below the action's", _folder, Sureness.LIKELY),
    ("the first word of the name", _word, Sureness.LIKELY),
    ("a letter with a number in the name", _letter, Sureness.LIKELY),
    ("the date in the name", _date, Sureness.LIKELY),
    ("the first number of the name", _first_number, Sureness.LIKELY),
)
"""From the surest to the weakest: the rule in words, the rule, and how sure a join by it is."""
