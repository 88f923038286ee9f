"""A Bento around an untrained network, which is as fast as a trained one.

python -m benchmarks.untrained ENCODER DIR    # makes DIR/bento
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

SIDES = {"small_cnn": 64, "efficientnet_lite0": 224}
"""Side of the square frames that each encoder is served with, in pixels."""


def main() -> None:
    encoder, folder = sys.argv[1], Path(sys.argv[2])
    os.environ["BENTOML_HOME"] = str(folder / "store")  # before BentoML is imported

    from pipelines.package import build_bento

    build_bento(write_model(encoder, folder / "model"), "untrained", {}, {}, folder / "bento")


def write_model(encoder: str, folder: Path, clip_duration_s: float = 7.0) -> Path:
    """Writes the model folder; it imports TensorFlow."""
    from actreel.config import ClipSpec, ModelParams
    from actreel.inference.classifier import ClassifierCard, Provenance
    from actreel.inference.model_folder import ModelFolder
    from actreel.models import build_model, export_parts

    spec = ClipSpec(num_frames=20, height=SIDES[encoder], width=SIDES[encoder])
    params = ModelParams(encoder=encoder, weights="imagenet", head="lstm", motion="none", units=32, dropout=0.0)
    labels = tuple(f"Action{number}" for number in range(10))
    folder.mkdir(parents=True)
    export_parts(build_model(params, spec, len(labels)), ModelFolder(folder).encoder, ModelFolder(folder).head)
    provenance = Provenance(dataset="none", data_version="", run_id="", git_commit="", trained_at="")
    ClassifierCard(labels=labels, clip=spec, clip_duration_s=clip_duration_s, provenance=provenance).save(folder)
    return folder


if __name__ == "__main__":
    main()
