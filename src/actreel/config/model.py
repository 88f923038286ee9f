"""Settings of the network and its training: sections `model` and `train`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from pydantic import Field, model_validator

from actreel.config.section import Section

IMAGENET = "imagenet"
NO_WEIGHTS = "none"
AUTO = "auto"
ONNX = "onnx"
"""The encoder that a user brings as an ONNX file: `model.weights` is its path."""
PretrainedEncoder = Literal[
    "efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "mobilenet_v2", "efficientnet_v2_b0", "resnet50",
    "vgg16",
]  # fmt: skip
FrameHead = Literal["mean", "statistics", "lstm", "bilstm", "gru", "attention_lstm", "temporal_conv", "transformer"]
ClipHead = Literal["convlstm", "cnn3d_attention_lstm"]
Probe = Literal["mean_probe", "moments_probe", "statistics_probe", "ridge_probe"]
PRETRAINED_ENCODERS: tuple[str, ...] = get_args(PretrainedEncoder)
FRAME_HEADS: tuple[str, ...] = get_args(FrameHead)
CLIP_HEADS: tuple[str, ...] = get_args(ClipHead)
PROBES: tuple[str, ...] = get_args(Probe)
RIDGE = "ridge_probe"
"""The probe that can be solved from sums over clips; see `actreel.federation`."""


class ModelParams(Section):
    """Section `model`: an encoder, which sees one frame, and a head, which sees the whole clip.

    Attributes:
        encoder: `small_cnn` is the per-frame CNN of the LRCN paper's UCF50 project, always trained from scratch.
            `pixels` is no encoder, for heads that see space and time at once. `onnx` is any network in an ONNX file,
            which may see several frames at once. The others are pretrained on ImageNet.
        weights: Weights of a pretrained encoder: `imagenet`, `none` (train from scratch) or the path of a .weights.h5
            or .keras file; with `onnx`, the path of the ONNX file. With weights, the encoder is frozen and frames are
            encoded once.
        head: `mean` averages the frames and ignores their order. `statistics` is linear in the mean, spread and trend
            of each feature. `lstm`, `bilstm`, `gru`, `attention_lstm`, `temporal_conv` and `transformer` see the frames
            in order. `convlstm` and `cnn3d_attention_lstm` need encoder `pixels`. The probes `mean_probe`,
            `moments_probe` and `statistics_probe` need a frozen encoder and are solved by logistic regression, not
            trained, which suits small datasets; so is `ridge_probe`, by ridge regression, whose sums over clips may
            come from several places. Each epoch weakens the penalty on the weights, and of section `train` they use
            only `mirror`, `mirror_as`, `balance`, `fine_tune`, `true_accept_rate` and `seed`. `auto` takes the logistic
            probe, without or with `motion`, that is best on held-out groups of the training clips.
        motion: `difference` adds the difference to the previous frame: in pixels if the encoder is trained, in features
            if it is frozen.
        units: Width of the head.
        dropout: Share of activations dropped during training.
    """

    encoder: Literal["pixels", "small_cnn", "onnx", PretrainedEncoder]
    weights: str
    head: Literal[FrameHead, ClipHead, Probe, "auto"]
    motion: Literal["none", "difference"]
    units: int = Field(ge=1)
    dropout: float = Field(ge=0, lt=1)

    @model_validator(mode="after")
    def _head_fits_encoder(self) -> ModelParams:
        if (self.encoder == "pixels") != (self.head in CLIP_HEADS):
            raise ValueError(
                f"the heads {' and '.join(CLIP_HEADS)} need encoder 'pixels', and no other head accepts it. "
                f"Received: encoder '{self.encoder}' with head '{self.head}'. "
                "Try: dvc exp run -S model.encoder=small_cnn -S model.head=lstm"
            )
        if self.encoder == ONNX and self.weights in (IMAGENET, NO_WEIGHTS):
            raise ValueError(
                "with encoder 'onnx', model.weights must be the path of an ONNX file. Received: "
                f"'{self.weights}'. Try: dvc exp run -S model.encoder=onnx -S model.weights=/path/to/encoder.onnx"
            )
        return self

    @property
    def is_probe(self) -> bool:
        """Whether the head is solved, by logistic or ridge regression, instead of trained by gradient descent."""
        return self.head in (*PROBES, AUTO)

    @property
    def frozen(self) -> bool:
        """Whether the encoder keeps its pretrained weights."""
        return is_frozen(self.encoder, self.weights)

    @property
    def order_blind(self) -> ModelParams:
        """The baseline: the same network with a mean over time as its head; of a probe, `mean_probe`."""
        encoder = "small_cnn" if self.encoder == "pixels" else self.encoder
        head = "mean_probe" if self.is_probe else "mean"
        return self.model_copy(update={"encoder": encoder, "head": head, "motion": "none"})

    @property
    def sees_order(self) -> bool:
        """Whether the network differs from its order-blind baseline."""
        return self != self.order_blind

    @property
    def title(self) -> str:
        """What people call it: `small_cnn + lstm`, or `dinov2.onnx + lstm`."""
        return f"{Path(self.weights).name if self.encoder == ONNX else self.encoder} + {self.head}"


def is_frozen(encoder: str, weights: str) -> bool:
    """Whether an encoder keeps its pretrained weights, given `model.encoder` and `model.weights`."""
    return encoder == ONNX or (encoder in PRETRAINED_ENCODERS and weights != NO_WEIGHTS)


def reads_frames_again(encoder: str, weights: str, fine_tune: int) -> bool:
    """Whether training reads frames in every epoch: not those of a frozen encoder, unless it is fine-tuned."""
    return not is_frozen(encoder, weights) or fine_tune > 0


class TrainParams(Section):
    """Section `train`.

    Attributes:
        epochs: Most epochs to train for.
        batch_size: Clips per batch.
        learning_rate: Learning rate of Adam.
        schedule: `constant`, or `cosine`: the learning rate decays to 0 over `epochs` along half a cosine.
        warmup: Epochs in which the learning rate first rises to `learning_rate`.
        patience: Epochs without a better validation loss before training stops.
        mirror: Mirrors a random half of the clips in each epoch. Actions that differ in left and right by name, such as
            `TurnLeft` and `TurnRight`, are swapped; one with a side and no partner is not mirrored.
        mirror_as: The action that a mirrored clip shows, where names do not tell; null: never mirror clips of this
            action. As in `{Hook: Jab, Jab: Hook, Write: null}`. It overrules what names tell.
        crop: Crops up to this share of height and width and resizes the rest. Needs an encoder in training.
        colour: Changes brightness, contrast and saturation by up to this share. Needs an encoder in training.
        speed: Slows a random part of the clip down by up to this share: 0.5 shows at least two thirds of the clip.
        jitter: Shifts each frame in time by up to this many frames, and keeps their order.
        mixup: Mixes pairs of clips and their targets in proportions drawn from Beta(mixup, mixup); 0 is off.
        label_smoothing: Share of each training target that is spread over all actions.
        balance: Weights each clip in training and validation loss by the rarity of its action.
        refit: After the best epoch is known, trains again for as many epochs on training and validation clips together;
            useful with few groups. Temperature and rejection limit are those of the model before. A probe is solved for
            all clips in any case.
        true_accept_rate: Share of clips of known actions to accept; sets the rejection limit.
        fine_tune: Number of last blocks of a frozen encoder to train together with the trained head, on frames; 0 is
            off. The result is kept only if the validation loss falls.
        fine_tune_epochs: Most epochs of fine-tuning.
        fine_tune_rate: Learning rate of fine-tuning.
        precision: Precision of the arithmetic in training: `auto` is mixed where there is a GPU that computes in it,
            and float32 elsewhere. The weights and the saved model are always float32.
        strategy: `one` device, `mirrored` over the GPUs of this machine, or `multi_worker` over machines in TF_CONFIG.
        seed: Seed of weights, order of clips, augmentation and dropout.
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
    true_accept_rate: float = Field(gt=0, lt=1)
    fine_tune: int = Field(default=0, ge=0)
    fine_tune_epochs: int = Field(default=5, ge=1)
    fine_tune_rate: float = Field(default=1e-5, gt=0)
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto"
    strategy: Literal["one", "mirrored", "multi_worker"] = "one"
    seed: int = Field(ge=0)

    @model_validator(mode="after")
    def _settings_go_together(self) -> TrainParams:
        if self.refit and self.fine_tune:
            raise ValueError(
                "train.refit trains on the validation clips, which train.fine_tune needs to know when to stop. "
                f"Received: train.refit true with train.fine_tune {self.fine_tune}. Set train.refit to false or "
                "train.fine_tune to 0."
            )
        if self.warmup >= self.epochs:
            raise ValueError(
                f"train.warmup must be below train.epochs. Received: {self.warmup} with {self.epochs} epochs."
            )
        return self
