"""source: dataset.path ▸ artifacts/source.json, so that DVC sees what lies behind links, and weights, change.

DVC runs this stage every time, and first: a path that does not exist is said here, before DVC looks for it, and what is
damaged in its cache is removed before DVC brings it back. A second run beside the first mostly ends here too: DVC
would say so at the stage that the first one runs, in three lines about its lock files.
"""

import json

from actreel.base.console import exit_cleanly
from actreel.base.linked_cache import drop_damaged
from actreel.base.places import SOURCE
from actreel.config import load_params, written_path
from actreel.config.commands import exp_run
from actreel.dataset.watch import files_behind_links, files_of_weights
from actreel.errors import ConfigError
from actreel.project.running import refuse_second


def main() -> None:
    """Checks DVC's cache and the source of videos, and lists files of it and of weights that DVC does not watch."""
    refuse_second("the same command again")
    drop_damaged()
    params = load_params()
    if (written := written_path()).startswith("~"):
        whole = {"dataset.name": params.dataset.name, "dataset.path": params.dataset.path}
        raise ConfigError(
            f"DVC takes '~' for the name of a folder, so dataset.path must be a whole path. Received: '{written}'. "
            f"Try: make repro, which writes it out in params.yaml, or: {exp_run(whole)}"
        )
    files = files_behind_links(params.dataset) | files_of_weights(params.model.weights)
    SOURCE.parent.mkdir(parents=True, exist_ok=True)
    SOURCE.write_text(json.dumps(files, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    exit_cleanly(main, __doc__)
