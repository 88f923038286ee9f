"""ingest: a source of videos ▸ artifacts/videos/<action>/<clip>."""

from actreel.config import load_params
from actreel.console import exit_cleanly
from actreel.dataset.sources import ingest
from actreel.places import UNPACKED, VIDEOS


def main() -> None:
    """Collects the clips in one folder."""
    params = load_params()
    ingest(params.dataset, VIDEOS, UNPACKED)


if __name__ == "__main__":
    exit_cleanly(main)
