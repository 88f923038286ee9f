"""The page is opened in chromium, and its file read back."""

from pathlib import Path

import pytest

from actreel.dataset.grouping.contact_sheet import read_answers, write_sheet
from actreel.dataset.grouping.joins import Join, Sureness
from actreel.errors import DatasetError
from tests.browser import chromium
from tests.conftest import grey_frames, write_video_file

CLIPS = ('A/one, "two" <b>.avi', "A/b.avi", "A/c.avi")


def joins() -> list[Join]:
    return [Join(CLIPS[0], other, Sureness.DOUBTFUL, ("backgrounds alike",)) for other in CLIPS[1:]]


def test_the_page_saves_answers_that_are_read_back(tmp_path: Path) -> None:
    for clip in CLIPS:
        write_video_file(tmp_path / clip, grey_frames(range(0, 240, 40)))
    page = tmp_path / "pairs.html"
    assert write_sheet(page, tmp_path, joins(), "actreel groups 'my clips'") == 2
    with chromium() as browser:
        opened = browser.new_page()
        errors: list[str] = []
        opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        opened.goto(page.as_uri())
        assert opened.locator("img").count() == 12
        assert opened.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
        opened.get_by_label("Not the same").nth(1).check()
        with opened.expect_download() as saved:
            opened.get_by_role("button", name="Save answers.csv").click()
        saved.value.save_as(tmp_path / "answers.csv")
    assert errors == []
    assert read_answers(tmp_path / "answers.csv") == {
        frozenset((CLIPS[0], CLIPS[1])): True,
        frozenset((CLIPS[0], CLIPS[2])): False,
    }
    assert "actreel groups &#39;my clips&#39; --answers answers.csv" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["", "clip,other,same\n", "clip,other,same\na,b,maybe\n", "x,y\n1,2\n"])
def test_other_tables_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "answers.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match="Save it from the page"):
        read_answers(tmp_path / "answers.csv")
    with pytest.raises(DatasetError, match="Save it from the page"):
        read_answers(tmp_path / "missing.csv")
