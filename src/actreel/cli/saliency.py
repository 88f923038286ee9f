"""`actreel saliency`: draws which frames and regions of a clip drive the prediction."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from actreel.base.places import MODEL
from actreel.cli.options import AsJson, Model, file_argument, file_option


def _check_picture(path: Path) -> Path:
    if path.suffix != ".png" or path.is_dir() or not path.parent.is_dir():
        raise typer.BadParameter(f"must be a .png file in a folder that exists. Received: '{path}'")
    return path


def saliency(
    clips: Annotated[list[Path], file_argument("CLIP", "a video file")],
    out: Annotated[Path, file_option("--out", "the picture to write", "FILE.png", callback=_check_picture)],
    model: Model = MODEL,
    as_json: AsJson = False,
) -> None:
    """Draw which frames and regions of a clip drive the prediction.

    Examples:
        actreel saliency clip.avi --out why.png
        actreel saliency clip.avi other.avi --out why.png --model artifacts/model --json
    """
    from actreel.evaluation import plots
    from actreel.evaluation.saliency import load_network, saliency_of
    from actreel.inference.classifier import ActionClassifier
    from actreel.video.clips import load_clip

    card = ActionClassifier.load(model).card
    network = load_network(model)
    drawn, answers = {}, []
    for path in clips:
        frames = load_clip(path, card.clip)
        found = saliency_of(network, frames)
        heading = found.heading(str(path), card.labels)
        drawn[heading] = (frames, found.over_time, found.maps)
        answers.append(
            {
                "source": str(path),
                "label": card.labels[found.action],
                "confidence": float(found.probability),
                "over_time": [float(share) for share in found.over_time],
                "method": found.method,
            }
        )
        if not as_json:
            print(heading.replace("\n", ", "))
    plots.saliency(drawn).savefig(out)
    print(json.dumps({"picture": str(out), "clips": answers}) if as_json else f"drawn in {out}")
