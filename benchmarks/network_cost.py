"""What one clip costs a network: encoder and head in ONNX Runtime, on a real clip."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from actreel.base.places import CROSSVAL, UNKNOWN
from actreel.config import AUTO, ClipSpec, Params, is_graph, picture_encoders
from actreel.evaluation.cost import time_clip
from actreel.experiments.heldout import prepare
from actreel.models import build_frozen_encoder, build_head, export_onnx
from actreel.training.onnx_encoder import read_graph_encoder
from actreel.video.clips import load_clip


def network_cost(params: Params) -> dict[str, float]:
    """`ms_per_clip`, on one thread and without decoding, and `size_mb` of the ONNX files, for a frozen encoder.

    The clip is the first one of the dataset: in noise, `pose` would find no person. Of the head, the weights do not
    matter; `auto` counts as the largest head that it may choose.
    """
    index, inputs = prepare(params, CROSSVAL)
    store = inputs(params.clip)
    clip, actions = store.clips[0], len(set(index["action"]) - {UNKNOWN})
    model = params.model
    if model.head == AUTO:
        model = model.model_copy(update={"head": "statistics_probe", "motion": "difference"})
    parts = []
    if store.frames is not None and (is_graph(model.encoder) or picture_encoders(model.encoder)):
        parts.append(_encoder_cost(model.encoder, model.weights, params.clip, store.frames.video(clip)))
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "head.onnx"
        export_onnx(build_head(model, store.input_shape, actions), file)
        parts.append((time_clip(file, store.take([clip])), file.stat().st_size))
    return {"ms_per_clip": sum(ms for ms, _ in parts), "size_mb": sum(size for _, size in parts) / 1e6}


@cache
def _encoder_cost(encoder: str, weights: str, spec: ClipSpec, video: Path) -> tuple[float, int]:
    """Milliseconds and bytes."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "encoder.onnx"
        if is_graph(encoder):
            read_graph_encoder(encoder, weights, spec).write(file)
        else:
            export_onnx(build_frozen_encoder(encoder, weights, spec), file)
        return time_clip(file, load_clip(video, spec)), file.stat().st_size
