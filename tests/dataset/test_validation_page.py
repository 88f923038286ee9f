from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser, Locator

from actreel.dataset import validation_page
from actreel.dataset.expectations import Finding
from actreel.dataset.validation_page import write_page
from tests.browser import chromium

CLIPS = ["跳/<b>one.avi", "wave/two.avi", "wave/three.avi"]
FAILED = Finding("clips last at most 60 s", False, (CLIPS[0],))
FINDINGS = [Finding("every clip can be read", True, (CLIPS[2],)), FAILED]
PAIR = {"clip": CLIPS[0], "split": "train", "other": CLIPS[1], "other_split": "test", "bits": 2.0}


@pytest.fixture
def index() -> pd.DataFrame:
    measured = {"group": "g1", "fps": 25.0, "num_frames": 50, "width": 320, "height": 240, "duration_s": 3600.5}
    errors = ["", "", "<script>document.title = 'run'</script>"]
    rows = zip(CLIPS, ("train", "test", "unreadable"), errors, strict=True)
    return pd.DataFrame([measured | {"clip": clip, "split": split, "error": error} for clip, split, error in rows])


def cells(table: Locator) -> list[list[str]]:
    return [row.locator("td").all_inner_texts() for row in table.locator("tr").all()[1:]]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


def test_the_page_is_styled_complete_and_fetches_nothing(browser: Browser, index: pd.DataFrame, tmp_path: Path) -> None:
    file = tmp_path / "index.html"
    write_page(FINDINGS, pd.DataFrame([PAIR]), index, file)
    page = browser.new_page()
    requests: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(file.as_uri())
    assert page.title() == "Validation of the clips"
    assert page.locator("h1 + p").inner_text() == "1 of 2 expectations failed: the pipeline stops here."
    assert page.locator(".rules > li > b").all_inner_texts() == ["failed", "passed"]
    splits, failed, passed, unreadable, pairs = page.locator("table").all()
    assert failed.is_visible()
    assert not passed.is_visible()
    page.locator(".passed summary").click()
    assert passed.is_visible()
    assert cells(splits) == [[split, "1", "1"] for split in ("test", "train", "unreadable")]
    assert cells(failed) == [[CLIPS[0], "train", "g1", "50", "25.0", "3600.5", "320", "240"]]
    assert [row[0] for row in cells(passed)] == [CLIPS[2]]
    assert cells(unreadable) == [[CLIPS[2], index.loc[2, "error"]]]
    assert cells(pairs) == [[CLIPS[0], "train", CLIPS[1], "test", "2.0"]]
    assert page.locator("body").evaluate("body => getComputedStyle(body).fontFamily").startswith("system-ui")
    assert (requests, complaints) == ([file.as_uri()], [])


def test_what_is_not_there_has_no_heading(index: pd.DataFrame, tmp_path: Path) -> None:
    write_page(
        [Finding("every clip can be read", True, ())],
        pd.DataFrame(columns=list(PAIR)),
        index[:2],
        tmp_path / "index.html",
        leaky=True,
    )
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "All 1 expectations are met." in text
    assert "Leaky by choice" in text
    assert "cannot be read</h2>" not in text
    assert "look alike</h2>" not in text


def test_of_many_near_duplicates_the_first_are_shown(
    index: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation_page, "MAX_PAIRS", 2)
    write_page(FINDINGS, pd.DataFrame([PAIR] * 3), index, tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "The first 2 of 3 pairs" in text
    assert text.count("<td>2.0</td>") == 2
