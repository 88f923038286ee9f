"""The report as a page."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from actreel.drift.detect import Drift
from actreel.drift.findings import Bar, Finding
from actreel.drift.page import MAX_BARS, write_page
from tests.test_docs import Loaded

HOSTILE = "<script src='https://example.org/x.js'>alert(1)</script>"
BARS = tuple(Bar(f"{HOSTILE}{place}", 0.25, 0.0) for place in range(MAX_BARS + 2))
FINDING = Finding("label", True, 0.5, 0.001, 100, 40, f"The share has drifted: {HOSTILE}", BARS)
DRIFT = Drift(
    "drift", "It has drifted.", "2026-01-01T00Z", 40, "m@1", "r", 40, (FINDING,), ("A note.",), "actreel drift"
)


def test_the_page_shows_each_column_and_loads_and_runs_nothing(tmp_path: Path) -> None:
    write_page(DRIFT, tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert Loaded(html).addresses == []
    assert "default-src 'none'" in html
    assert "<script" not in html
    assert not re.search(r"(url\(|@import|(src|href)=)", html.replace("src=&#39;", ""))
    assert html.count("<svg") == MAX_BARS
    assert "And 2 more." in html
    for words in ("It has drifted.", "A note.", "<code>actreel drift</code>", "reference (100)", "asked (40)"):
        assert words in html
    assert 'width="25.00"' in html


def test_without_a_verdict_the_page_says_why(tmp_path: Path) -> None:
    write_page(
        replace(DRIFT, verdict="too_few", said="Too few.", columns=(), next=None, model=None), tmp_path / "p.html"
    )
    html = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert "Too few." in html
    assert "<h2>" not in html
