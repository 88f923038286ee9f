"""ingest: a source of videos ▸ artifacts/videos/<action>/<clip>, and its warnings."""

from actreel.base.console import exit_cleanly
from actreel.base.kept_warnings import keeping_warnings
from actreel.base.places import INGEST_WARNINGS, UNPACKED, VIDEOS
from actreel.config import load_params
from actreel.dataset.sources import ingest


def main() -> None:
    """Collects the clips in one folder."""
    params = load_params()
    with keeping_warnings("ingest", INGEST_WARNINGS):
        ingest(params.dataset, VIDEOS, UNPACKED)


if __name__ == "__main__":
    exit_cleanly(main, __doc__)
