import logging

import pandas as pd
import pytest

from actreel.dataset.copies import join_copies


def index_of(*rows: tuple[str, str | None, str]) -> pd.DataFrame:
    """An index of (clip, group or None if it is unknown, content)."""
    return pd.DataFrame(
        {"clip": clip, "action": clip.split("/")[0], "group": group or clip, "sha256": content, "error": ""}
        for clip, group, content in sorted(rows)
    )


@pytest.mark.parametrize(
    "copy", ["Kick/v_Kick_g03_c01 - Copy.avi", "Kick/Copy of v_Kick_g03_c01.avi", "Kick/z (1).avi"]
)
def test_the_clip_that_knows_its_group_stays(copy: str, caplog: pytest.LogCaptureFixture) -> None:
    index = index_of(("Kick/v_Kick_g03_c01.avi", "g03", "same"), (copy, None, "same"), ("Kick/other.avi", "g04", "x"))
    kept = join_copies(index)
    assert dict(zip(kept["clip"], kept["group"], strict=True)) == {
        "Kick/v_Kick_g03_c01.avi": "g03",
        "Kick/other.avi": "g04",
    }
    assert f"'{copy}' is a copy of 'Kick/v_Kick_g03_c01.avi'" in caplog.text


def test_groups_that_share_a_video_become_one(caplog: pytest.LogCaptureFixture) -> None:
    index = index_of(
        ("Kick/a.avi", "g03", "same"), ("Kick/b.avi", "g07", "same"), ("Kick/c.avi", "g07", "x"),
        ("Wave/d.avi", "g07", "y"), ("Wave/e.avi", "g08", "z"),
    )  # fmt: skip
    kept = join_copies(index)
    assert dict(zip(kept["clip"], kept["group"], strict=True)) == {
        "Kick/a.avi": "g03", "Kick/c.avi": "g03", "Wave/d.avi": "g03", "Wave/e.avi": "g08",
    }  # fmt: skip
    assert "count as one group: 'g03' = 'g07'" in caplog.text


def test_a_copy_of_a_copy_links_its_groups_too() -> None:
    index = index_of(
        ("Kick/a.avi", "g1", "same"), ("Kick/b.avi", "g2", "same"),
        ("Kick/c.avi", "g2", "too"), ("Kick/d.avi", "g3", "too"),
    )  # fmt: skip
    assert set(join_copies(index)["group"]) == {"g1"}


def test_copies_without_any_group_are_one_group() -> None:
    kept = join_copies(index_of(("Kick/a.avi", None, "same"), ("Kick/b.avi", None, "same"), ("Kick/c.avi", None, "x")))
    assert kept["clip"].tolist() == ["Kick/a.avi", "Kick/c.avi"]
    assert kept["group"].tolist() == ["Kick/a.avi", "Kick/c.avi"]


def test_the_same_video_in_two_actions_stays_for_the_validation_to_refuse() -> None:
    index = index_of(("Kick/a.avi", "g1", "same"), ("Wave/a.avi", "g2", "same"))
    assert join_copies(index)["clip"].tolist() == ["Kick/a.avi", "Wave/a.avi"]


def test_without_copies_nothing_changes(caplog: pytest.LogCaptureFixture) -> None:
    index = index_of(("Kick/a.avi", "g1", "x"), ("Wave/b.avi", None, "y"))
    broken = index.assign(error=["no frames", "no frames"], sha256="")
    with caplog.at_level(logging.INFO):
        pd.testing.assert_frame_equal(join_copies(index), index)
        pd.testing.assert_frame_equal(join_copies(broken), broken)
    assert not caplog.text
