"""champion: MLflow's registry ▸ reports/champion.json, so that DVC sees the alias `champion` move.

DVC runs this stage every time: it cannot watch a registry. The file is the same while the champion is. So this stage
also repeats what the stages before warned of, which DVC skips while the clips are the same.

In a clone, `dvc pull` brings the champion of another machine, whose registry may be out of reach. It stays until a
model that was trained here takes its place.
"""

import json
import logging
from collections.abc import Mapping

from actreel.base.atomic import written_aside
from actreel.base.console import exit_cleanly
from actreel.base.faults import reading
from actreel.base.kept_warnings import kept_warnings
from actreel.base.places import CHAMPION, WARNINGS
from actreel.config import load_params
from actreel.tracking import registry
from actreel.tracking.store import knows_run

log = logging.getLogger(__name__)

SHARE = "To share one registry, see 'Working as a team' in docs/team.md."


def main() -> None:
    """Writes which registered version of the dataset's models is champion now, null if none is; repeats warnings."""
    params = load_params()
    name = registry.registered_model(params.dataset.label)
    champion, before = registry.find_champion(name), read_champion() if CHAMPION.exists() else None
    labels = None if champion is None else champion.labels
    gone = before is not None and before.registered_model == name and not registry.holds(before)
    if before is not None and gone and knows_run(before.run_id):
        now = "no version" if champion is None else f"version {champion.version}"
        log.warning(f"version {before.version} of {name} was deleted from the registry; {now} is champion now")
    elif before is not None and gone:
        came = f"version {before.version} of {name}, which came with DVC, is of another registry than the one here"
        if champion is None:
            labels = before.labels
            log.info(f"{came}; it stays the champion. {SHARE}")
        else:
            log.warning(f"{came}; version {champion.version} takes its place and was not compared with it. {SHARE}")
    with written_aside(CHAMPION) as aside:  # it may be a link into DVC's cache
        aside.write_text(json.dumps(labels, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    for warning in kept_warnings(*WARNINGS):
        log.warning(f"(from the stage {warning.stage}) {warning.text}")


def read_champion() -> registry.ModelVersion | None:
    """The champion in reports/champion.json, which this stage wrote or `dvc pull` has brought; None if there is none.

    Raises:
        FileError: The file is missing or damaged.
    """
    with reading(CHAMPION, f"Make it again with: rm -f {CHAMPION} && dvc repro champion"):
        labels: Mapping[str, str] | None = json.loads(CHAMPION.read_text(encoding="utf-8"))
    return None if labels is None else registry.ModelVersion.from_labels(labels)


if __name__ == "__main__":
    exit_cleanly(main, __doc__)
