"""`actreel groups`: proposes which clips of a folder belong together, and asks where that is doubtful."""

from __future__ import annotations

import json
import logging
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actreel.cli.options import file_argument, file_option
from actreel.errors import MOST_NAMED, ActreelError, DatasetError, listed_names

if TYPE_CHECKING:
    from actreel.dataset.grouping.joins import Join
    from actreel.dataset.grouping.proposal import Proposal

log = logging.getLogger(__name__)

_KEYS = "y: one group, n: apart, a: join this and all that follow, q: stop, write nothing"


def groups(
    folder: Annotated[Path, file_argument("FOLDER", "the folder with one sub-folder per action")],
    page: Annotated[
        Path | None, file_option("--page", "write an HTML page with pictures of the doubtful pairs, and no table")
    ] = None,
    answers_file: Annotated[Path | None, file_option("--answers", "what was saved from that page")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="ask nothing: join the doubtful pairs too")] = False,
    force: Annotated[bool, typer.Option("--force", help="replace a groups.csv that exists")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="print the proposal as JSON; writes only with --yes or --answers")
    ] = False,
) -> None:
    """Propose groups.csv: which clips belong together.

    Clips of one person, scene or recording must not be in both training and test. Names, files and backgrounds tell
    most of them; about the doubtful pairs you are asked at the terminal, or on a page.

    Examples:
        actreel groups /path/to/clips
        actreel groups /path/to/clips --page doubtful.html
        actreel groups /path/to/clips --answers answers.csv
    """
    from actreel.dataset.grouping.contact_sheet import read_answers, write_sheet
    from actreel.dataset.grouping.looks import look_at
    from actreel.dataset.grouping.proposal import clips_in, propose
    from actreel.dataset.grouping.writing import check_no_groups, command_for, write_groups

    base, clips, actions = clips_in(folder.expanduser())
    command = command_for(folder.expanduser()) + (" --force" if force else "")
    writes = not page and (yes or answers_file or not as_json)
    if writes and not force:
        check_no_groups(base, command)
    answers = dict(read_answers(answers_file)) if answers_file else {}
    proposal = propose(clips, actions, look_at(base, clips))
    _warn_of_unreadable(proposal)
    open_pairs = [join for join in proposal.doubtful if _pair(join) not in answers]
    if page:
        shown = write_sheet(page, base, open_pairs, command)
        log.info(f"{shown} doubtful pairs in '{page}'. Open it in a browser, and save the answers there")
    elif writes:
        answers |= dict.fromkeys(map(_pair, open_pairs), True) if yes else _asked(open_pairs, command)
    grouped = proposal.groups(answers)
    file = write_groups(base, proposal.clips, grouped) if writes else None
    if as_json:
        print(json.dumps(_as_dict(proposal, grouped, answers, file)))
    else:
        _print(proposal, grouped, answers)
    _warn_of_few(grouped, actions)
    if file is not None:
        from actreel.config.commands import learn

        source = str(folder.expanduser().absolute())
        log.info(f"'{file}' lists {len(clips)} clips in {len(set(grouped))} groups. Next: {learn('folder', source)}")


def _pair(join: Join) -> frozenset[str]:
    return frozenset((join.clip, join.other))


def _asked(pairs: Sequence[Join], command: str) -> dict[frozenset[str], bool]:
    """Asks about each pair at the terminal.

    Raises:
        DatasetError: There is no terminal, or the user stops.
    """
    if not pairs:
        return {}
    if not sys.stdin.isatty():
        raise DatasetError(
            f"{len(pairs)} pairs are doubtful, and there is no terminal to ask at; nothing is written. See them: "
            f"{command} --page doubtful.html. Or join them all, which costs data but does not leak: {command} --yes"
        )
    log.info(f"{len(pairs)} pairs are doubtful. With pictures: {command} --page doubtful.html")
    log.info("In doubt, join: a group too large costs data, a join too few makes the test too easy.")
    answers: dict[frozenset[str], bool] = {}
    for number, join in enumerate(pairs, 1):
        print(f"\n{number} of {len(pairs)}  {join.clip}\n{' ' * len(f'{number} of {len(pairs)}')}  {join.other}",
              f"   {'; '.join(join.evidence)}", sep="\n", file=sys.stderr)  # fmt: skip
        key = _key_pressed()
        if key == "q":
            raise ActreelError(f"Stopped; nothing is written. To see the pairs: {command} --page doubtful.html")
        if key == "a":
            return answers | dict.fromkeys(map(_pair, pairs[number - 1 :]), True)
        answers[_pair(join)] = key == "y"
    return answers


def _key_pressed() -> str:
    while True:
        print(f"One person, scene or recording? [y/n/a/q] ({_KEYS}) ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        key = line.strip().lower()[:1]
        if not line:  # end of the input
            return "q"
        if key and key in "ynaq":
            return key


def _warn_of_unreadable(proposal: Proposal) -> None:
    broken = proposal.unreadable
    if len(broken) == len(proposal.clips):
        raise DatasetError(
            f"groups need videos that can be read. Received: {len(broken)} that cannot. {next(iter(broken.values()))}"
        )
    if broken:
        log.warning(
            f"videos that cannot be read: {listed_names(list(broken))}. Only their names tell their groups. "
            f"{next(iter(broken.values()))}"
        )


def _warn_of_few(groups: Sequence[str], actions: Sequence[str]) -> None:
    from actreel.base.places import UNKNOWN
    from actreel.dataset.splits import MIN_GROUPS

    groups_of = defaultdict(set)
    for group, action in zip(groups, actions, strict=True):
        groups_of[action].add(group)
    few = [f"'{name}' in {len(found)}" for name, found in groups_of.items() if len(found) < MIN_GROUPS]
    few = [text for text in few if not text.startswith(f"'{UNKNOWN}'")]
    if few:
        log.warning(
            f"an action needs {MIN_GROUPS} groups to be trained on. Fewer have: {listed_names(few, quote='')}. If too "
            "much was joined, correct groups.csv; otherwise add clips of other people or scenes"
        )


def _as_dict(
    proposal: Proposal, groups: Sequence[str], answers: dict[frozenset[str], bool], file: Path | None
) -> dict[str, Any]:
    return {
        "groups": dict(zip(proposal.clips, groups, strict=True)),
        "joins": [asdict(join) for join in proposal.joins],
        "doubtful": [{**asdict(join), "joined": answers.get(_pair(join))} for join in proposal.doubtful],
        "unreadable": proposal.unreadable,
        "written": str(file) if file else None,
    }


def _print(proposal: Proposal, groups: Sequence[str], answers: dict[frozenset[str], bool]) -> None:
    by_sureness = defaultdict(list)
    for join in [*proposal.joins, *proposal.doubtful]:
        by_sureness[join.sureness].append(join)
    for sureness, joins in by_sureness.items():
        for join in joins[:MOST_NAMED]:
            answer = {True: "joined: ", False: "apart: ", None: ""}[answers.get(_pair(join))]
            print(f"{sureness:9} {answer}{join.clip} = {join.other} ({'; '.join(join.evidence)})")
        if len(joins) > MOST_NAMED:
            print(f"{sureness:9} and {len(joins) - MOST_NAMED} more, which --json lists")
    counts = ", ".join(f"{len(joins)} {sureness}" for sureness, joins in by_sureness.items()) or "none"
    print(f"{len(groups)} clips in {len(set(groups))} groups; joins: {counts}")
