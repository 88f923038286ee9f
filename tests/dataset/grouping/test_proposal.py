import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import numpy as np
import pytest

from actreel.dataset.grouping.joins import Sureness
from actreel.dataset.grouping.looks import Look, look_at
from actreel.dataset.grouping.proposal import Proposal, clips_in, propose
from actreel.errors import DatasetError
from tests.conftest import ROOT
from tests.dataset.grouping.rooms import write_rooms

REAL = ROOT.parent / "shared" / "real-clips"


def proposal_of(folder: Path) -> Proposal:
    base, clips, actions = clips_in(folder)
    return propose(clips, actions, look_at(base, clips))


def shares(groups: Sequence[str], truth: Sequence[object]) -> tuple[float, float]:
    """Precision and recall of the pairs that are put in one group."""
    above = np.triu_indices(len(groups), 1)
    joined, true = (np.equal.outer(values, values)[above] for values in (np.array(groups), np.array(truth)))
    return float(true[joined].mean()), float(joined[true].mean())


def test_rooms_are_found_where_the_names_tell_nothing(tmp_path: Path) -> None:
    room_of = write_rooms(tmp_path)
    proposal = proposal_of(tmp_path)
    assert shares(proposal.groups({}), [room_of[clip] for clip in proposal.clips]) == (1, 1)
    assert {join.sureness for join in proposal.joins} <= {Sureness.SURE, Sureness.LIKELY}
    assert all("of the usual distance" in join.evidence[0] for join in proposal.joins)


def test_what_the_names_tell_apart_is_asked_about_and_never_joined_unasked(tmp_path: Path) -> None:
    room_of = write_rooms(tmp_path)
    clips, actions = clips_in(tmp_path)[1:]
    looks = look_at(tmp_path, clips)
    # Two people in each room, one in each action.
    people = [2 * room_of[clip.as_posix()] + (action == "Right") for clip, action in zip(clips, actions, strict=True)]
    names = [Path(clip.parts[0], f"person{person}_{clip.name}") for person, clip in zip(people, clips, strict=True)]
    proposal = propose(names, actions, looks)
    for join in proposal.joins:
        assert "numbered person" in join.evidence[0] or "but the names" not in " ".join(join.evidence)
    assert any("but the names say" in text for join in proposal.doubtful for text in join.evidence)
    join = proposal.doubtful[0]
    apart, joined = (proposal.groups({frozenset((join.clip, join.other)): answer}) for answer in (False, True))
    assert len(set(apart)) == len(set(joined)) + 1


def test_one_second_of_one_device_is_one_recording_unless_a_program_wrote_all(tmp_path: Path) -> None:
    write_rooms(tmp_path)
    base, clips, actions = clips_in(tmp_path)
    looks = [look for look in look_at(base, clips) if isinstance(look, Look)]

    def joined(stamped: int) -> list[str]:
        time = datetime(2024, 5, 1, 10, 0, 0, tzinfo=UTC)
        stamp = [replace(look, recording=replace(look.recording, created=time)) for look in looks[:stamped]]
        joins = propose(clips, actions, [*stamp, *looks[stamped:]]).joins
        return [join.clip for join in joins if "in the same second, 2024-05-01 10:00:00" in join.evidence[0]]

    assert len(joined(4)) == 3
    assert joined(len(looks)) == []


def test_bad_folders_are_refused_with_a_next_step(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"the folder of clips must exist.*Check the path"):
        clips_in(tmp_path / "missing")
    (tmp_path / "A").mkdir()
    with pytest.raises(DatasetError, match="the folder of clips must contain clips"):
        clips_in(tmp_path)
    (tmp_path / "A" / "a.mp4").touch()
    with pytest.raises(DatasetError, match=r"at least 2 videos.*Received: 1"):
        clips_in(tmp_path)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real clips are not beside the repository")
def test_real_clips_whose_names_tell_nothing() -> None:
    """docs/own-clips.md says the figures."""
    base, clips, actions = clips_in(REAL / "weizmann")
    random = Random(0)  # noqa: S311
    names = [Path(clip.parts[0], f"{random.getrandbits(64):016x}.avi") for clip in clips]
    proposal = propose(names, actions, look_at(base, clips))
    precision, recall = shares(proposal.groups({}), [re.findall(r"_g\d+", clip.stem)[0] for clip in clips])
    assert precision > 0.9
    assert recall > 0.6
