"""encode: artifacts/clips or videos ▸ artifacts/features, a frozen encoder's features of each frame; else empty."""

from actreel.base.console import exit_cleanly
from actreel.base.kept import kept_folder, publish, share
from actreel.base.kept_warnings import keeping_warnings
from actreel.base.places import CLIPS, ENCODE_WARNINGS, FEATURES, INDEX
from actreel.config import load_params
from actreel.dataset.records import read_index, usable
from actreel.dataset.store import StoredClips
from actreel.training.features import encode_clips


def main() -> None:
    """Runs the encoder once over every clip."""
    params = load_params()
    share(CLIPS)
    index = read_index(INDEX)
    with keeping_warnings("encode", ENCODE_WARNINGS):
        encode_clips(
            usable(index),
            StoredClips(CLIPS),
            kept_folder(FEATURES),
            encoder=params.model.encoder,
            weights=params.model.weights,
            mirror=params.train.mirror,
        )
    publish(FEATURES, keep=True)


if __name__ == "__main__":
    exit_cleanly(main, __doc__)
