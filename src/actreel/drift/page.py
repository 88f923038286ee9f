"""A report of drift as one HTML file that fetches nothing and runs nothing: both distributions of every column."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from actreel.drift.detect import Drift

MAX_BARS = 30
"""The most labels that are drawn for a column."""


def write_page(drift: Drift, page: Path) -> None:
    """Writes the page.

    Args:
        drift: The report.
        page: The HTML file to write.
    """
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True, autoescape=True
    )
    text = templates.get_template("page.html.jinja").render(drift=drift, most=MAX_BARS)
    page.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
