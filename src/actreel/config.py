"""params.yaml as frozen, closed models: one class a section, and a typo is an error."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from actreel.errors import ConfigError

DEMO_PATH = "src/actreel/dataset/demo.py"
IMAGENET = "imagenet"
NO_WEIGHTS = "none"
PretrainedEncoder = Literal["efficientnet_lite0", "mobilenet_v2", "efficientnet_v2_b0", "resnet50", "vgg16"]
FrameHead = Literal["mean", "lstm", "bilstm", "gru", "attention_lstm", "temporal_conv", "transformer"]
ClipHead = Literal["convlstm", "cnn3d_attention_lstm"]
PRETRAINED_ENCODERS: tuple[str, ...] = get_args(PretrainedEncoder)
FRAME_HEADS: tuple[str, ...] = get_args(FrameHead)
CLIP_HEADS: tuple[str, ...] = get_args(ClipHead)


class Section(BaseModel):
    """A section of params.yaml: cannot change once read, and knows all its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DatasetParams(Section):
    """Where the clips come from.

    Attributes:
        name: `demo` (rendered here) or `folder` (your own class folders).
        path: What DVC watches for changes: the folder of clips, or for the demo the code that renders it.
        demo_groups: Performers in the demo, at least 3.
        demo_clips: Clips of each action by each performer.
        seed: Seed of the demo's renderer.
    """

    name: Literal["demo", "folder"]
    path: str
    demo_groups: int = Field(ge=3)
    demo_clips: int = Field(ge=1)
    seed: int = Field(ge=0)

    @model_validator(mode="after")
    def _path_belongs_to_name(self) -> DatasetParams:
        if self.name == "folder" and self.path == DEMO_PATH:
            raise ValueError(
                "dataset.name 'folder' needs dataset.path, a folder with one sub-folder an action. "
                "Try: dvc exp run -S dataset.name=folder -S dataset.path=/path/to/clips"
            )
        return self

    @property
    def label(self) -> str:
        """The dataset's short name, safe in the names of registered models: `demo`, or the folder's own name."""
        if self.name != "folder":
            return self.name
        return re.sub(r"[^a-z0-9]+", "-", Path(self.path).name.lower()).strip("-") or "folder"


class ClipSpec(Section):
    """How a video file becomes the model's input; saved with every model and passed whole.

    Attributes:
        num_frames: Frames a clip, T.
        height: Rows, in pixels, after resizing.
        width: Columns, in pixels, after resizing.
        sampling: `uniform` takes the middle frame of each of T equal parts of the clip.
    """

    num_frames: int = Field(ge=1, le=1024)
    height: int = Field(ge=8, le=1024)
    width: int = Field(ge=8, le=1024)
    sampling: Literal["uniform"]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(T, H, W, 3), the shape of one clip."""
        return (self.num_frames, self.height, self.width, 3)


class SplitParams(Section):
    """How groups are held out.

    Attributes:
        protocol: `group_holdout`: no group stands in two splits.
        val: Share of the clips for validation, of each action.
        test: Share of the clips for the test, of each action.
        seed: Seed of the draw.
    """

    protocol: Literal["group_holdout"]
    val: float = Field(gt=0, lt=1)
    test: float = Field(gt=0, lt=1)
    seed: int = Field(ge=0)

    @model_validator(mode="after")
    def _something_is_left_to_train_on(self) -> SplitParams:
        if self.val + self.test >= 1:
            raise ValueError(f"split.val + split.test must be below 1. Received: {self.val} + {self.test}")
        return self


class ValidateParams(Section):
    """The gate before extraction: a clip outside these ranges stops the pipeline.

    Attributes:
        min_frames: Frames that decode.
        max_duration_s: Seconds.
        min_fps: Frames a second.
        max_fps: Frames a second.
        min_side: Width and height, in pixels.
    """

    min_frames: int = Field(ge=1)
    max_duration_s: float = Field(gt=0)
    min_fps: float = Field(gt=0)
    max_fps: float = Field(gt=0)
    min_side: int = Field(ge=1)


class ModelParams(Section):
    """The network: an encoder that sees one frame, and a head that sees all of a clip.

    Attributes:
        encoder: `small_cnn`, the per-frame CNN of the LRCN paper's UCF50 project, always trained from scratch; or one
            that has learned ImageNet; or `pixels`, no encoder, for the heads that look at space and time at once.
        weights: Of an encoder that has learned ImageNet: `imagenet`, `none` (train it from scratch too) or the path of
            a .weights.h5 or .keras file. With weights it stays frozen, and frames are encoded once.
        head: `mean` averages the frames and is blind to order; `lstm`, `bilstm`, `gru`, `attention_lstm`,
            `temporal_conv` and `transformer` read them in order; `convlstm` and `cnn3d_attention_lstm` take `pixels`.
        motion: `difference` sets beside each frame how much it differs from the one before: in pixels where the
            encoder is trained, in features where it is frozen.
        units: Width of the head.
        dropout: Share of activations dropped while training.
    """

    encoder: Literal["pixels", "small_cnn", PretrainedEncoder]
    weights: str
    head: Literal[FrameHead, ClipHead]
    motion: Literal["none", "difference"]
    units: int = Field(ge=1)
    dropout: float = Field(ge=0, lt=1)

    @model_validator(mode="after")
    def _head_fits_encoder(self) -> ModelParams:
        if (self.encoder == "pixels") != (self.head in CLIP_HEADS):
            raise ValueError(
                f"the heads {' and '.join(CLIP_HEADS)} take encoder 'pixels', and no other head does. "
                f"Received: encoder '{self.encoder}' with head '{self.head}'. "
                "Try: dvc exp run -S model.encoder=small_cnn -S model.head=lstm"
            )
        return self

    @property
    def frozen(self) -> bool:
        """Whether the encoder keeps the weights that it comes with."""
        return self.encoder in PRETRAINED_ENCODERS and self.weights != NO_WEIGHTS

    @property
    def order_blind(self) -> ModelParams:
        """The same network with the mean over time in place of its head: the baseline that it has to beat."""
        encoder = "small_cnn" if self.encoder == "pixels" else self.encoder
        return self.model_copy(update={"encoder": encoder, "head": "mean", "motion": "none"})


class TrainParams(Section):
    """The training run.

    Attributes:
        epochs: At most this many passes over the training clips.
        batch_size: Clips a step.
        learning_rate: Adam's step size.
        patience: Epochs without a better validation loss before training stops.
        mirror: Shows half of the clips mirrored, anew in each epoch; not for actions that differ in left and right.
        seed: Seed of the weights, the order of clips, mirroring and dropout.
    """

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    patience: int = Field(ge=1)
    mirror: bool
    seed: int = Field(ge=0)


class EvaluateParams(Section):
    """The judgement.

    Attributes:
        batch_size: Clips a forward pass.
        parity_tolerance: The largest difference in probability allowed between Keras and ONNX.
    """

    batch_size: int = Field(ge=1)
    parity_tolerance: float = Field(gt=0)


def _bento_name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?", name):
        raise ValueError(f"a Bento's name is lower-case letters, digits, '.', '_' and '-'. Received: '{name}'")
    return name


class PackageParams(Section):
    """The Bento.

    Attributes:
        name: Name of the Bento and of its model in BentoML's store.
    """

    name: Annotated[str, AfterValidator(_bento_name)]


class Params(Section):
    """All of params.yaml."""

    dataset: DatasetParams
    clip: ClipSpec
    split: SplitParams
    validate_: ValidateParams = Field(alias="validate")  # pydantic's own models have a `validate`
    model: ModelParams
    train: TrainParams
    evaluate: EvaluateParams
    package: PackageParams


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Reads and checks params.yaml.

    Raises:
        ConfigError: The file is missing or no YAML, a key is unknown, or a value is out of range.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path} must exist. Run from the repository's top folder: {Path.cwd()} has none.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} must be YAML. {error}") from error
    return check_params(values, source=str(path))


def check_params(values: Any, source: str) -> Params:
    """Checks plain values against the sections.

    Args:
        values: Sections by name, each a mapping of keys to values.
        source: Where they came from, for the message.

    Raises:
        ConfigError: Names each key that is unknown, missing or out of range.
    """
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{source}: " + "; ".join(map(_explain, error.errors()))) from error


def _explain(problem: Any) -> str:
    """One pydantic finding in the words of params.yaml."""
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = _known_keys(problem["loc"][:-1])
        near = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else f"Known here: {', '.join(known)}."
        return f"every key must be known. Received: '{key}'. {hint}"
    if problem["type"] == "missing":
        return f"'{key}' must be set"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return str(message)
    return f"'{key}': {message[0].lower()}{message[1:]}. Received: {problem['input']!r}"


def _known_keys(parents: tuple[str | int, ...]) -> list[str]:
    fields = Params.model_fields
    for parent in parents:
        section = fields[str(parent)].annotation
        if not (isinstance(section, type) and issubclass(section, BaseModel)):
            return []
        fields = section.model_fields
    return list(fields)
