"""Validation as one HTML file that fetches nothing: every rule, and every clip that breaks it.

Great Expectations' own Data Docs take their styles and scripts from other hosts, and stay blank without a network.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from actreel.dataset.expectations import Finding

MAX_PAIRS = 1000
"""The most near-duplicates on the page: a large folder has a hundred thousand."""

_COLUMNS = {
    "clip": "clip", "split": "split", "group": "group", "num_frames": "frames", "fps": "frames/s",
    "duration_s": "seconds", "width": "width", "height": "height",
}  # fmt: skip


def write_page(
    findings: list[Finding], duplicates: pd.DataFrame, index: pd.DataFrame, page: Path, *, leaky: bool = False
) -> None:
    """Writes the page.

    Args:
        findings: From `check_index`.
        duplicates: From `near_duplicates`.
        index: The index; `error` says why a clip cannot be read.
        page: The HTML file to write.
        leaky: Whether the protocol puts clips of one group into several splits.
    """
    properties = index.set_index("clip", drop=False)[list(_COLUMNS)].rename(columns=_COLUMNS)
    counts = index.groupby("split").agg(clips=("clip", "size"), groups=("group", "nunique"))
    unreadable = index.loc[index["error"] != "", ["clip", "error"]].rename(columns={"error": "reason"})
    pairs = duplicates.rename(columns={"other": "looks like", "other_split": "in split", "split": "of split"})
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True, autoescape=True
    )
    text = templates.get_template("validation_page.html.jinja").render(
        findings=findings,
        leaky=leaky,
        splits=counts.reset_index().to_dict("records"),
        clips_of=lambda finding: properties.loc[list(finding.clips)].drop_duplicates().to_dict("records"),
        unreadable=unreadable.to_dict("records"),
        duplicates=pairs.head(MAX_PAIRS).to_dict("records"),
        num_duplicates=len(pairs),
        version=version("great_expectations"),
    )
    page.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
