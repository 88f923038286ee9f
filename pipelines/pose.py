"""pose: BlazePose's networks out of a wheel on PyPI, for `model.encoder: pose`; needed once on a machine."""

import logging

from actreel.base.console import exit_cleanly
from actreel.training.pose import fetch_networks

log = logging.getLogger(__name__)


def main() -> None:
    """Fetches both files and says where they are."""
    folder = fetch_networks()
    log.info(f"pose: BlazePose's networks are in {folder}; use them with: dvc exp run -S model.encoder=pose")


if __name__ == "__main__":
    exit_cleanly(main, __doc__)
