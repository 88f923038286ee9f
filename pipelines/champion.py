"""champion: MLflow's registry ▸ reports/champion.json, so that DVC sees the alias `champion` move.

DVC runs this stage every time: it cannot watch a registry. The file is the same while the champion is. So this stage
also repeats what the stages before warned of, which DVC skips while the clips are the same.
"""

import json
import logging

from actreel.base.console import exit_cleanly
from actreel.base.kept_warnings import kept_warnings
from actreel.base.places import CHAMPION, DATA_WARNINGS
from actreel.config import load_params
from actreel.tracking import registry

log = logging.getLogger(__name__)


def main() -> None:
    """Writes which registered version of the dataset's models is champion now, null if none is; repeats warnings."""
    params = load_params()
    champion = registry.find_champion(registry.registered_model(params.dataset.label))
    labels = None if champion is None else champion.labels
    CHAMPION.write_text(json.dumps(labels, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    for warning in kept_warnings(DATA_WARNINGS):
        log.warning(f"(from the stage {warning.stage}) {warning.text}")


if __name__ == "__main__":
    exit_cleanly(main, __doc__)
