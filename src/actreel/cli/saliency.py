"""`actreel saliency`: draws which frames and regions of a clip drive the prediction."""

from __future__ import annotations

import argparse
from pathlib import Path

from actreel.cli.options import Commands, add_command, add_model


def add_saliency(commands: Commands) -> None:
    """Adds `actreel saliency`."""
    command = add_command(
        commands,
        "saliency",
        _saliency,
        summary="draw which frames and regions of a clip drive the prediction",
        extra="pipeline",
    )
    command.add_argument("clips", nargs="+", type=Path, metavar="CLIP", help="a video file")
    command.add_argument("--out", required=True, type=_picture, metavar="FILE.png", help="the picture to write")
    add_model(command)


def _picture(text: str) -> Path:
    path = Path(text)
    if path.suffix != ".png" or path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"must be a .png file in a folder that exists. Received: '{text}'")
    return path


def _saliency(options: argparse.Namespace) -> None:
    from actreel.evaluation import plots
    from actreel.evaluation.saliency import load_network, saliency_of
    from actreel.inference.classifier import ActionClassifier
    from actreel.video.clips import load_clip

    card = ActionClassifier.load(options.model).card
    network = load_network(options.model)
    clips = {}
    for path in options.clips:
        frames = load_clip(path, card.clip)
        found = saliency_of(network, frames)
        heading = found.heading(str(path), card.labels)
        clips[heading] = (frames, found.over_time, found.maps)
        print(heading.replace("\n", ", "))
    plots.saliency(clips).savefig(options.out)
    print(f"drawn in {options.out}")
