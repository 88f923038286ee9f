"""validate: artifacts/index.parquet ▸ reports/validation, and the pipeline stops where an expectation fails."""

from actreel.config import load_params
from actreel.console import exit_cleanly
from actreel.dataset.duplicates import near_duplicates
from actreel.dataset.expectations import check_index, summarise
from actreel.dataset.records import read_index
from actreel.errors import DatasetError
from actreel.places import INDEX, VALIDATION


def main() -> None:
    """Checks the index; names the clips that fail."""
    params = load_params()
    index = read_index(INDEX)
    findings = check_index(index, params.validate_, params.split, VALIDATION / "docs")
    twins = near_duplicates(index, params.validate_.near_duplicate_bits)
    twins.to_csv(VALIDATION / "near_duplicates.csv", index=False)
    summary = summarise(findings, twins, index, leaky=params.split.leaky)
    (VALIDATION / "summary.md").write_text(summary, encoding="utf-8")
    print(summary)
    failed = [finding for finding in findings if not finding.passed]
    if failed:
        raise DatasetError(
            f"all {len(findings)} expectations must be met. Received: {len(failed)} failed, with the clips named "
            f"above. Mend or remove those clips at their source ({params.dataset.path}), or widen `validate` in "
            "params.yaml."
        )


if __name__ == "__main__":
    exit_cleanly(main)
