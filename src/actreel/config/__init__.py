"""params.yaml as frozen models: one class per section; an unknown key is an error."""

from actreel.config.dataset import DEMO_PATH, ClipSpec, DatasetParams, SplitParams, ValidateParams
from actreel.config.model import (
    AUTO,
    CLIP_HEADS,
    FRAME_HEADS,
    IMAGENET,
    NO_WEIGHTS,
    ONNX,
    PRETRAINED_ENCODERS,
    PROBES,
    RIDGE,
    ModelParams,
    TrainParams,
    is_frozen,
    reads_frames_again,
)
from actreel.config.params import EvaluateParams, PackageParams, Params, check_params, load_params, override
from actreel.config.section import Section

__all__ = [
    "AUTO",
    "CLIP_HEADS",
    "DEMO_PATH",
    "FRAME_HEADS",
    "IMAGENET",
    "NO_WEIGHTS",
    "ONNX",
    "PRETRAINED_ENCODERS",
    "PROBES",
    "RIDGE",
    "ClipSpec",
    "DatasetParams",
    "EvaluateParams",
    "ModelParams",
    "PackageParams",
    "Params",
    "Section",
    "SplitParams",
    "TrainParams",
    "ValidateParams",
    "check_params",
    "is_frozen",
    "load_params",
    "override",
    "reads_frames_again",
]
