"""champion: MLflow's registry ▸ reports/champion.json, so that DVC sees the alias `champion` move.

DVC runs this stage every time: it cannot watch a registry. The file is the same while the champion is. So this stage
also repeats what the stages before warned of, which DVC skips while the clips are the same.

In a clone, `dvc pull` brings the champion of another machine, whose registry may be out of reach. It stays until a
model that was trained here takes its place.
"""

import json
import logging

from actreel.base.atomic import written_aside
from actreel.base.console import exit_cleanly
from actreel.base.faults import reading
from actreel.base.kept_warnings import kept_warnings
from actreel.base.places import CHAMPION, WARNINGS
from actreel.config import load_params
from actreel.tracking.names import registered_model
from actreel.tracking.peek import Labels, find_champion

log = logging.getLogger(__name__)

SHARE = "To share one registry, see 'Working as a team' in docs/team.md."


def main() -> None:
    """Writes which registered version of the dataset's models is champion now, null if none is; repeats warnings."""
    params = load_params()
    name = registered_model(params.dataset.label)
    found = find_champion(name, read_champion() if CHAMPION.exists() else None)
    if found.pulled is not None:
        tell_of_another(found.registered, found.pulled, deleted=found.deleted)
    with written_aside(CHAMPION) as aside:  # it may be a link into DVC's cache
        aside.write_text(json.dumps(found.champion, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    for warning in kept_warnings(*WARNINGS):
        log.warning(f"(from the stage {warning.stage}) {warning.text}")


def tell_of_another(registered: Labels | None, before: Labels, *, deleted: bool) -> None:
    """Says what becomes of a champion that the registry does not hold."""
    named = f"version {before['version']} of {before['registered_model']}"
    if deleted:
        now = "no version" if registered is None else f"version {registered['version']}"
        log.warning(f"{named} was deleted from the registry; {now} is champion now")
        return
    came = f"{named}, which came with DVC, is of another registry than the one here"
    if registered is None:
        log.info(f"{came}; it stays the champion. {SHARE}")
    else:
        log.warning(f"{came}; version {registered['version']} takes its place and was not compared with it. {SHARE}")


def read_champion() -> Labels | None:
    """The labels of the champion, which this stage wrote or `dvc pull` has brought; None if there is none.

    Raises:
        FileError: The file is missing or damaged.
    """
    with reading(CHAMPION, f"Make it again with: rm -f {CHAMPION} && dvc repro champion"):
        labels: Labels | None = json.loads(CHAMPION.read_text(encoding="utf-8"))
    return labels


if __name__ == "__main__":
    exit_cleanly(main, __doc__)
