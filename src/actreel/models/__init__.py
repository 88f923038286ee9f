"""Networks: a frame encoder and a temporal head. This file only names what other rooms may use."""

from actreel.config import PROBABILITIES
from actreel.models.build import build_encoder, build_frozen_encoder, build_head, build_model
from actreel.models.encoders import FEATURE_SIZES, PRETRAINED
from actreel.models.export import export_onnx, export_parts
from actreel.models.heads import CLIP_NORMALISE
from actreel.models.join import join
from actreel.models.parts import (
    ENCODER,
    HEAD,
    NORMALISE,
    embedding_of,
    logits_of,
    unfreeze_last_blocks,
    with_distance,
)

__all__ = [
    "CLIP_NORMALISE",
    "ENCODER",
    "FEATURE_SIZES",
    "HEAD",
    "NORMALISE",
    "PRETRAINED",
    "PROBABILITIES",
    "build_encoder",
    "build_frozen_encoder",
    "build_head",
    "build_model",
    "embedding_of",
    "export_onnx",
    "export_parts",
    "join",
    "logits_of",
    "unfreeze_last_blocks",
    "with_distance",
]
