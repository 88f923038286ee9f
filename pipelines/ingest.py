"""ingest: a source of videos ▸ artifacts/videos/<action>/<clip>."""

from actreel.base.console import exit_cleanly
from actreel.base.places import UNPACKED, VIDEOS
from actreel.config import load_params
from actreel.dataset.sources import ingest


def main() -> None:
    """Collects the clips in one folder."""
    params = load_params()
    ingest(params.dataset, VIDEOS, UNPACKED)


if __name__ == "__main__":
    exit_cleanly(main, __doc__)
