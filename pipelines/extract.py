"""extract: artifacts/videos ▸ artifacts/clips, the frames that the model sees; for a frozen encoder, names only."""

from actreel.base.console import exit_cleanly
from actreel.base.kept import kept_folder, publish
from actreel.base.places import CLIPS, INDEX, VIDEOS
from actreel.config import load_params, reads_frames_again
from actreel.dataset.records import check_pictures, read_index, usable
from actreel.dataset.store import extract_clips


def main() -> None:
    """Decodes every clip once and stores it losslessly; for a frozen encoder, the stage encode decodes."""
    params = load_params()
    index = usable(read_index(INDEX))
    check_pictures(index, params.model.encoder)
    keep = reads_frames_again(params.model.encoder, params.model.weights, params.train.fine_tune)
    extract_clips(index, VIDEOS, kept_folder(CLIPS), params.clip, keep=keep)
    publish(CLIPS, keep=True)


if __name__ == "__main__":
    exit_cleanly(main, __doc__)
