"""validate: artifacts/index.parquet ▸ reports/validation; a failed expectation stops the pipeline."""

import logging

from actreel.base.console import exit_cleanly
from actreel.base.places import INDEX, VALIDATION
from actreel.config import load_params
from actreel.dataset.duplicates import near_duplicates
from actreel.dataset.expectations import check_index, summarise
from actreel.dataset.records import read_index
from actreel.dataset.validation_page import write_page
from actreel.errors import DatasetError

log = logging.getLogger(__name__)


def main() -> None:
    """Checks the index and names the clips that fail."""
    params = load_params()
    index = read_index(INDEX)
    findings = check_index(index, params.validate_, params.split)
    VALIDATION.mkdir(parents=True, exist_ok=True)
    duplicates = near_duplicates(index, params.validate_.near_duplicate_bits)
    duplicates.to_csv(VALIDATION / "near_duplicates.csv", index=False)
    summary = summarise(findings, duplicates, index, leaky=params.split.leaky)
    write_page(findings, duplicates, index, VALIDATION / "index.html", leaky=params.split.leaky)
    (VALIDATION / "summary.md").write_text(summary, encoding="utf-8")
    log.info(summary)
    failed = [finding for finding in findings if not finding.passed]
    if failed:
        raise DatasetError(
            f"all {len(findings)} expectations must be met. Received: {len(failed)} failed, for the clips named "
            f"above. Fix or remove these clips in '{params.dataset.path}', or widen the ranges of section `validate` "
            "in params.yaml."
        )


if __name__ == "__main__":
    exit_cleanly(main, __doc__)
