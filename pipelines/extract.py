"""extract: artifacts/videos ▸ artifacts/clips, the frames that the model sees; for a frozen encoder, names only.

It also draws a clip of each action, reports/samples.png: the first stage that knows whether frames may be shown.
"""

import pandas as pd

from actreel.base.console import exit_cleanly
from actreel.base.kept import kept_folder, publish
from actreel.base.places import CLIPS, INDEX, SAMPLES, VIDEOS
from actreel.config import POSE, ClipSpec, load_params, reads_frames_again
from actreel.dataset.records import check_pictures, read_index, usable
from actreel.dataset.store import extract_clips
from actreel.video.clips import load_clip

SAMPLE = ClipSpec(num_frames=8, height=96, width=128)


def main() -> None:
    """Decodes every clip once and stores it losslessly; for a frozen encoder, the stage encode decodes."""
    params = load_params()
    index = usable(read_index(INDEX))
    check_pictures(index, params.model.encoder)
    keep = reads_frames_again(params.model.encoder, params.model.weights, params.train.fine_tune)
    extract_clips(index, VIDEOS, kept_folder(CLIPS), params.clip, keep=keep)
    draw_samples(index, frames=params.model.encoder != POSE)
    publish(CLIPS, keep=True)


def draw_samples(index: pd.DataFrame, *, frames: bool) -> None:
    """Draws frames of the first clip of each action; without `frames`, writes that none are shown.

    Args:
        index: Rows with `clip`, `action` and `width`.
        frames: Whether pixels of clips may be shown.
    """
    # Imported here: each worker process imports this file too, and needs no Matplotlib.
    from actreel.dataset import plots

    if frames:
        firsts = index[index["width"] > 0].groupby("action")["clip"].first()
        samples = {str(action): load_clip(VIDEOS / clip, SAMPLE) for action, clip in firsts.items()}
        sheet = plots.contact_sheet(samples) if samples else plots.sentence("The clips are signals without pictures.")
    else:
        sheet = plots.sentence("No frames are kept: the model sees landmarks only (model.encoder: pose).")
    SAMPLES.parent.mkdir(parents=True, exist_ok=True)
    sheet.savefig(SAMPLES)


if __name__ == "__main__":
    exit_cleanly(main, __doc__)
