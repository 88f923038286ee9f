"""champion: MLflow's registry ▸ reports/champion.json, so that DVC sees the alias `champion` move.

DVC runs this stage every time: it cannot watch a registry. The file is the same while the champion is.
"""

import json

from actreel.base.console import exit_cleanly
from actreel.base.places import CHAMPION
from actreel.config import load_params
from actreel.tracking import registry


def main() -> None:
    """Writes which registered version of the dataset's models is champion now; null if none is."""
    params = load_params()
    champion = registry.find_champion(registry.registered_model(params.dataset.label))
    labels = None if champion is None else champion.labels
    CHAMPION.write_text(json.dumps(labels, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    exit_cleanly(main, __doc__)
