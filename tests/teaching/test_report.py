from pathlib import Path

from actreel.teaching.effect import measure
from actreel.teaching.report import write_card
from tests.teaching.test_effect import HELD_OUT, LESSON


def test_the_draft_s_card_shows_names_as_text(tmp_path: Path) -> None:
    held_out, lesson = (table.replace("Wave", "<b>[x](y)") for table in (HELD_OUT, LESSON))
    effect = measure(held_out, lesson, ["Jump", "Run"], ["Jump", "Run", "<b>[x](y)"])
    page = write_card("actreel-demo", "3", "<b>[x](y) (3 clips of 2 groups)", effect, tmp_path)
    text = page.read_text(encoding="utf-8")
    assert "&lt;b&gt;[x](y)" in text
    assert "<b>" not in text
    assert "<td>3 of 2 groups</td>" in text
    assert "Version 3 was taught" in page.with_suffix(".md").read_text(encoding="utf-8")
