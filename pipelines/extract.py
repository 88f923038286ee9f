"""extract: artifacts/videos ▸ artifacts/clips, the frames that the model sees, stored losslessly."""

from actreel.base.console import exit_cleanly
from actreel.base.places import CLIPS, INDEX, VIDEOS
from actreel.config import load_params
from actreel.dataset.records import read_index, usable
from actreel.dataset.store import extract_clips


def main() -> None:
    """Decodes every clip once."""
    params = load_params()
    index = read_index(INDEX)
    extract_clips(usable(index), VIDEOS, CLIPS, params.clip)


if __name__ == "__main__":
    exit_cleanly(main)
