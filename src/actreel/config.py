"""params.yaml as frozen, closed models: one class a section, and a typo is an error."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from actreel.errors import ConfigError

DEMO_PATH = "src/actreel/dataset/demo"
IMAGENET = "imagenet"
NO_WEIGHTS = "none"
PretrainedEncoder = Literal["efficientnet_lite0", "mobilenet_v2", "efficientnet_v2_b0", "resnet50", "vgg16"]
FrameHead = Literal["mean", "statistics", "lstm", "bilstm", "gru", "attention_lstm", "temporal_conv", "transformer"]
ClipHead = Literal["convlstm", "cnn3d_attention_lstm"]
Probe = Literal["mean_probe", "statistics_probe"]
PRETRAINED_ENCODERS: tuple[str, ...] = get_args(PretrainedEncoder)
FRAME_HEADS: tuple[str, ...] = get_args(FrameHead)
CLIP_HEADS: tuple[str, ...] = get_args(ClipHead)
PROBES: tuple[str, ...] = get_args(Probe)

# What changes training clips or targets from epoch to epoch.
_VARYING = ("speed", "jitter", "mixup", "label_smoothing")


class Section(BaseModel):
    """A section of params.yaml: cannot change once read, and knows all its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _pattern_with_group(pattern: str) -> str:
    try:
        named = re.compile(pattern).groupindex
    except re.error as error:
        raise ValueError(
            f"'dataset.group_pattern' must be a regular expression. Received: '{pattern}': {error}"
        ) from error
    if "group" not in named:
        raise ValueError(
            f"'dataset.group_pattern' must name what it finds, as in '(?P<group>person\\d+)'. Received: '{pattern}'"
        )
    return pattern


class DatasetParams(Section):
    """Where the clips come from.

    Attributes:
        name: `demo` (rendered here), `ucf50` (its archive, or a folder unpacked from it) or `folder` (your own class
            folders).
        path: What DVC watches for changes: the folder of clips, UCF50's archive, or for the demo the code that
            renders it.
        group_pattern: Regular expression with a group named `group`, searched for in each clip's path below the
            folder: what it finds is the clip's group. None leaves it to `groups.csv` and UCF-style names.
        demo_groups: Performers in the demo, at least 3.
        demo_clips: Clips of each action by each performer.
        seed: Seed of the demo's renderer.
    """

    name: Literal["demo", "ucf50", "folder"]
    path: str
    group_pattern: Annotated[str, AfterValidator(_pattern_with_group)] | None
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
        if self.name == "ucf50" and self.path == DEMO_PATH:
            raise ValueError("dataset.name 'ucf50' needs dataset.path, the archive or its folder. Try: make ucf50")
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
        fit: `stretch` brings a frame's whole picture to this size, whatever its proportions (the LRCN project's way);
            `center_crop` keeps them, and cuts off what sticks out on two sides.
    """

    num_frames: int = Field(ge=1, le=1024)
    height: int = Field(ge=8, le=1024)
    width: int = Field(ge=8, le=1024)
    sampling: Literal["uniform"]
    fit: Literal["stretch", "center_crop"] = "stretch"  # the default is for models saved before there was a choice

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(T, H, W, 3), the shape of one clip."""
        return (self.num_frames, self.height, self.width, 3)


class SplitParams(Section):
    """How clips are held out.

    Attributes:
        protocol: `group_holdout`: no group stands in two splits. `group_kfold`: one of `folds` parts of the groups is
            tested. `logo`: one group is tested (UCF50's official 25 folds). `lists`: official lists name the clips.
            `random`: group hold-out with the clips of each action shuffled, so that groups leak into the test; only
            to compare with papers that did so, and never champion.
        val: Share of the clips for validation, of each action.
        test: Share of the clips for the test, of each action (`group_holdout` and `random`).
        folds: Parts of `group_kfold`.
        fold: The part that `group_kfold` tests, or the group that `logo` does, from 0.
        train_list: File of `<Action>/<clip>` lines for `lists`, in the form of UCF101's.
        test_list: The same for the test.
        unknown: Actions that are not learned; their clips are for the model to reject, as those of the folder
            `_unknown` are.
        seed: Seed of the draw.
    """

    protocol: Literal["group_holdout", "group_kfold", "logo", "lists", "random"]
    val: float = Field(gt=0, lt=1)
    test: float = Field(gt=0, lt=1)
    folds: int = Field(ge=2)
    fold: int = Field(ge=0)
    train_list: str | None
    test_list: str | None
    unknown: tuple[str, ...] = ()
    seed: int = Field(ge=0)

    @model_validator(mode="after")
    def _something_is_left_to_train_on(self) -> SplitParams:
        if self.val + self.test >= 1:
            raise ValueError(f"split.val + split.test must be below 1. Received: {self.val} + {self.test}")
        if self.protocol == "lists" and not (self.train_list and self.test_list):
            raise ValueError(
                "split.protocol 'lists' needs split.train_list and split.test_list. Received: "
                f"{self.train_list} and {self.test_list}"
            )
        return self

    @property
    def leaky(self) -> bool:
        """Whether clips of one group stand on both sides, so that the accuracy flatters the model."""
        return self.protocol == "random"


class ValidateParams(Section):
    """The gate before extraction: a clip outside these ranges stops the pipeline.

    Attributes:
        min_frames: Frames that decode.
        max_duration_s: Seconds.
        min_fps: Frames a second.
        max_fps: Frames a second.
        min_side: Width and height, in pixels.
        min_clips: Clips of each action.
        max_imbalance: Clips of the commonest action for each clip of the rarest.
        max_unreadable: Share of clips that may be broken: they are listed, and kept out of training and test.
        near_duplicate_bits: Clips of two splits are flagged as near-duplicates where the 64-bit hashes of their
            sampled frames differ by this much or less, on average.
    """

    min_frames: int = Field(ge=1)
    max_duration_s: float = Field(gt=0)
    min_fps: float = Field(gt=0)
    max_fps: float = Field(gt=0)
    min_side: int = Field(ge=1)
    min_clips: int = Field(ge=1)
    max_imbalance: float = Field(ge=1)
    max_unreadable: float = Field(ge=0, lt=1)
    near_duplicate_bits: int = Field(ge=0, le=64)


class ModelParams(Section):
    """The network: an encoder that sees one frame, and a head that sees all of a clip.

    Attributes:
        encoder: `small_cnn`, the per-frame CNN of the LRCN paper's UCF50 project, always trained from scratch; or one
            that has learned ImageNet; or `pixels`, no encoder, for the heads that look at space and time at once.
        weights: Of an encoder that has learned ImageNet: `imagenet`, `none` (train it from scratch too) or the path of
            a .weights.h5 or .keras file. With weights it stays frozen, and frames are encoded once.
        head: `mean` averages the frames and is blind to order; `statistics` takes each feature's level, spread and
            trend, and what it learns from them is linear; `lstm`, `bilstm`, `gru`, `attention_lstm`, `temporal_conv`
            and `transformer` read them in order; `convlstm` and `cnn3d_attention_lstm` take `pixels`. `mean_probe` and
            `statistics_probe` take a frozen encoder and are solved for rather than trained (logistic regression), which
            suits few clips: an epoch is a weaker penalty on the weights, and of `train` they heed `mirror`,
            `mirror_as`, `balance`, `refit`, `fine_tune` and `false_accept_rate`.
        motion: `difference` sets beside each frame how much it differs from the one before: in pixels where the
            encoder is trained, in features where it is frozen.
        units: Width of the head.
        dropout: Share of activations dropped while training.
    """

    encoder: Literal["pixels", "small_cnn", PretrainedEncoder]
    weights: str
    head: Literal[FrameHead, ClipHead, Probe]
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
    def is_probe(self) -> bool:
        """Whether the head is solved for rather than trained."""
        return self.head in PROBES

    @property
    def frozen(self) -> bool:
        """Whether the encoder keeps the weights that it comes with."""
        return self.encoder in PRETRAINED_ENCODERS and self.weights != NO_WEIGHTS

    @property
    def order_blind(self) -> ModelParams:
        """The same network with the mean over time in place of its head: the baseline that it has to beat.

        It is fitted as the network is: that of a probe is a probe.
        """
        encoder = "small_cnn" if self.encoder == "pixels" else self.encoder
        head = "mean_probe" if self.is_probe else "mean"
        return self.model_copy(update={"encoder": encoder, "head": head, "motion": "none"})


class TrainParams(Section):
    """The training run.

    Attributes:
        epochs: At most this many passes over the training clips.
        batch_size: Clips a step.
        learning_rate: Adam's step size.
        schedule: `constant`, or `cosine`: the step size falls to 0 over `epochs`, along half a wave.
        warmup: Epochs in which the step size first rises to `learning_rate`.
        patience: Epochs without a better validation loss before training stops.
        mirror: Shows half of the clips mirrored, anew in each epoch; see `mirror_as` for actions that differ in left
            and right.
        mirror_as: The action that a clip of an action shows in a mirror, where it is another; null keeps clips of the
            action from being mirrored. As in `{TurnLeft: TurnRight, TurnRight: TurnLeft, Write: null}`.
        crop: Cuts off up to this share of the height and width, and enlarges the rest. Frames only.
        colour: Changes brightness, contrast and saturation by up to this share. Frames only.
        speed: Plays a random part of the clip up to this much slower: 0.5 is two thirds of the clip, or more of it.
        jitter: Moves each frame in time by up to so many frames of the clip, in their order.
        mixup: Mixes clips by twos, and their actions, in shares from Beta(mixup, mixup); 0 mixes none.
        label_smoothing: Share of each training target that is spread over all actions.
        balance: Weighs each clip by how rare its action is, in the loss of training and validation.
        refit: Once the best epoch is known, trains anew for as many epochs on the training and validation clips
            together; worth it where groups are few. A temperature fitted to the validation clips is then too hopeful.
        false_accept_rate: Share of the clips of no known action that may pass for one; the limit is set on such clips.
        fine_tune: Once its head is trained, so many of the frozen encoder's last blocks are trained with it, on
            frames; 0 leaves it as it is. What it learned is kept only where the validation loss falls.
        fine_tune_epochs: At most this many passes with the unfrozen blocks.
        fine_tune_rate: The step size in them.
        precision: Of the arithmetic in training; weights, and the model that comes out, are float32 in any case.
        strategy: `one` device, `mirrored` over the machine's GPUs, or `multi_worker` over the machines in TF_CONFIG.
        seed: Seed of the weights, the order of clips, augmentation and dropout.
    """

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    schedule: Literal["constant", "cosine"] = "constant"
    warmup: int = Field(default=0, ge=0)
    patience: int = Field(ge=1)
    mirror: bool
    mirror_as: dict[str, str | None] = Field(default_factory=dict)
    crop: float = Field(default=0, ge=0, lt=1)
    colour: float = Field(default=0, ge=0, lt=1)
    speed: float = Field(default=0, ge=0)
    jitter: float = Field(default=0, ge=0)
    mixup: float = Field(default=0, ge=0)
    label_smoothing: float = Field(default=0, ge=0, lt=1)
    balance: bool
    refit: bool
    false_accept_rate: float = Field(ge=0, lt=1)
    fine_tune: int = Field(default=0, ge=0)
    fine_tune_epochs: int = Field(default=5, ge=1)
    fine_tune_rate: float = Field(default=1e-5, gt=0)
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    strategy: Literal["one", "mirrored", "multi_worker"] = "one"
    seed: int = Field(ge=0)

    @model_validator(mode="after")
    def _settings_go_together(self) -> TrainParams:
        if self.refit and self.fine_tune:
            raise ValueError(
                "train.refit learns from the clips that tell when fine-tuning should stop. "
                f"Received: train.refit true with train.fine_tune {self.fine_tune}. Set one of them to 0 or false."
            )
        if self.warmup >= self.epochs:
            raise ValueError(
                f"train.warmup must be below train.epochs. Received: {self.warmup} with {self.epochs} epochs."
            )
        return self


class EvaluateParams(Section):
    """The judgement.

    Attributes:
        batch_size: Clips a forward pass.
        views: Samplings of each test video that are averaged for `multi_clip_accuracy`.
        parity_tolerance: The largest difference in probability allowed between Keras and ONNX.
        may_tie_baseline: Whether a model that is only as accurate as its order-blind baseline may become champion: for
            actions that what is in the picture tells apart, and the order of frames does not.
    """

    batch_size: int = Field(ge=1)
    views: int = Field(ge=1)
    parity_tolerance: float = Field(gt=0)
    may_tie_baseline: bool = False


def _bento_name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?", name):
        raise ValueError(f"a Bento's name is lower-case letters, digits, '.', '_' and '-'. Received: '{name}'")
    return name


class PackageParams(Section):
    """The Bento.

    Attributes:
        name: Name of the Bento in BentoML's store.
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

    @model_validator(mode="after")
    def _training_fits_the_network(self) -> Params:
        if self.model.is_probe and not self.model.frozen:
            raise ValueError(
                f"the heads {' and '.join(PROBES)} are solved for the features of an encoder that comes with weights. "
                f"Received: '{self.model.head}' with encoder '{self.model.encoder}' and weights "
                f"'{self.model.weights}'. Try: dvc exp run -S model.encoder=efficientnet_lite0"
            )
        varied = [name for name in _VARYING if getattr(self.train, name)]
        if self.model.is_probe and varied:
            raise ValueError(
                f"a probe is solved for the clips as they are. Received: train.{varied[0]} "
                f"{getattr(self.train, varied[0])} with head '{self.model.head}'. Set train.{varied[0]} to 0."
            )
        if self.train.fine_tune and not self.model.frozen:
            raise ValueError(
                "train.fine_tune unfreezes blocks of an encoder that comes with weights. "
                f"Received: {self.train.fine_tune} with encoder '{self.model.encoder}' and weights "
                f"'{self.model.weights}'. Set train.fine_tune to 0."
            )
        if self.model.frozen and not self.train.fine_tune and (self.train.crop or self.train.colour):
            raise ValueError(
                "train.crop and train.colour change frames, and a frozen encoder has seen its frames once and for all. "
                f"Received: {self.train.crop} and {self.train.colour} with encoder '{self.model.encoder}'. "
                "Set both to 0, or train.fine_tune above 0."
            )
        return self


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


def override(params: Params, settings: list[str]) -> Params:
    """The parameters with some replaced.

    Args:
        params: Checked parameters.
        settings: `section.key=value` each, the value as in YAML.

    Raises:
        ConfigError: A setting has another form, a key is unknown or a value out of range.
    """
    values = params.model_dump(by_alias=True)
    for setting in settings:
        name, equals, text = setting.partition("=")
        section, dot, key = name.partition(".")
        if not (equals and dot and key) or section not in values:
            raise ConfigError(
                f"a setting must be SECTION.KEY=VALUE, with a section of params.yaml. Received: '{setting}'"
            )
        try:
            values[section][key] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"a setting's value must be YAML. Received: '{setting}'") from error
    return check_params(values, source="--set")


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
