"""Settings of the network and its training: sections `model` and `train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from actreel.config.section import Section, UserPath

IMAGENET = "imagenet"
NO_WEIGHTS = "none"
AUTO = "auto"
ONNX = "onnx"
"""The encoder that a user brings as an ONNX file: `model.weights` is its path."""
AUDIO = "audio"
"""The encoder of a clip's sound."""
SIGNALS = "signals"
"""The encoder of sensors' signals, which lie in a file beside the clip."""
TRACK_ENCODERS = (AUDIO, SIGNALS)
"""Encoders of what a clip has beside its pictures, in the order in which a track holds them."""
POSE = "pose"
"""BlazePose's landmarks of the largest person in each frame."""
PretrainedEncoder = Literal[
    "efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "mobilenet_v2", "efficientnet_v2_b0", "resnet50",
    "vgg16",
]  # fmt: skip
FrameHead = Literal["mean", "statistics", "lstm", "bilstm", "gru", "attention_lstm", "temporal_conv", "transformer"]
ClipHead = Literal["convlstm", "cnn3d_attention_lstm"]
LandmarkHead = Literal["skeleton_transformer", "td_gcn", "heatmap_cnn"]
Probe = Literal["mean_probe", "moments_probe", "statistics_probe", "ridge_probe", "lda_probe"]
PRETRAINED_ENCODERS: tuple[str, ...] = get_args(PretrainedEncoder)
FRAME_HEADS: tuple[str, ...] = get_args(FrameHead)
CLIP_HEADS: tuple[str, ...] = get_args(ClipHead)
LANDMARK_HEADS: tuple[str, ...] = get_args(LandmarkHead)
TD_GCN = "td_gcn"
TD_GCN_STEP = 8
"""Its layers divide their channels by this."""
PROBES: tuple[str, ...] = get_args(Probe)
RIDGE, LDA = "ridge_probe", "lda_probe"
SUM_PROBES = (RIDGE, LDA)
"""The probes that can be solved from sums over clips; see `actreel.federation`."""
ENCODERS = ("pixels", "small_cnn", ONNX, POSE, *TRACK_ENCODERS, *PRETRAINED_ENCODERS)
FUSIBLE = (ONNX, POSE, *TRACK_ENCODERS, *PRETRAINED_ENCODERS)
"""Encoders that may be in a list."""
PROBABILITIES = "probabilities"
"""The name of a network's last layer; here, so that the file of a network can be edited without Keras."""
AND = "+"
"""What stands between the names of several encoders."""


def _place(name: str) -> int:
    """Encoders of pictures first, as they come."""
    return TRACK_ENCODERS.index(name) + 1 if name in TRACK_ENCODERS else 0


def _one_name(encoder: Any) -> Any:
    """Joins a list of encoders: a name is easier to hand on than a list."""
    names = encoder.split(AND) if isinstance(encoder, str) else encoder
    if not isinstance(names, list | tuple) or not names or (set(map(str, names)) - set(ENCODERS)):
        raise ValueError(
            f"'model.encoder' must be one of {', '.join(ENCODERS)}, or a list of frozen ones. Received: {encoder!r}"
        )
    if len(names) > 1 and (len(set(names)) < len(names) or set(names) - set(FUSIBLE)):
        raise ValueError(
            f"a list in 'model.encoder' must name different ones of {', '.join(FUSIBLE)}. Received: {encoder!r}"
        )
    return AND.join(sorted(names, key=_place))


class ModelParams(Section):
    """Section `model`: an encoder, which sees one frame, and a head, which sees the whole clip.

    Attributes:
        encoder: `small_cnn` is the per-frame CNN of the LRCN paper's UCF50 project, always trained from scratch.
            `pixels` is no encoder, for heads that see space and time at once. `onnx` is any network in an ONNX file,
            which may see several frames at once. `pose` gives the landmarks of the largest person in each frame.
            `audio` hears the clip's sound, and `signals` takes those of sensors from the file beside the clip. The
            others are pretrained on ImageNet. A list, or names joined by `+`, fuses frozen encoders: a frame's
            features are those of all.
        weights: Weights of a pretrained encoder: `imagenet`, `none` (train from scratch) or the path of a .weights.h5
            or .keras file; with `onnx`, the path of the ONNX file. `pose` has its own, and in a list with `onnx` all
            others are pretrained on ImageNet. With weights, the encoder is frozen and frames are encoded once.
        head: `mean` averages the frames and ignores their order. `statistics` is linear in the mean, spread and trend
            of each feature. `lstm`, `bilstm`, `gru`, `attention_lstm`, `temporal_conv` and `transformer` see the frames
            in order. `convlstm` and `cnn3d_attention_lstm` need encoder `pixels`, `skeleton_transformer`, `td_gcn` and
            `heatmap_cnn` need `pose`: they know which numbers belong to one joint. The probes `mean_probe`,
            `moments_probe` and `statistics_probe` need a frozen encoder and are solved by logistic regression, not
            trained, which suits small datasets; so are `ridge_probe`, by ridge regression, and `lda_probe`, by linear
            discriminant analysis, whose sums over clips may come from several places. Each epoch weakens the penalty
            on the weights, and of section `train` they use only `mirror`, `mirror_as`, `variants`, `balance`,
            `fine_tune`, `true_accept_rate` and `seed`. `auto` takes the logistic probe, without or with `motion`, that
            is best on held-out groups of the training clips.
        fusion: With several encoders, how much each counts, in the order of `encoder`, which has those of pictures
            first; 0 leaves one out. `auto` takes the weights that are best on held-out groups of the training clips.
        motion: `difference` adds the difference to the previous frame: in pixels if the encoder is trained, in features
            if it is frozen, in the joints' places or heat maps for a head that needs `pose`.
        units: Width of the head; of `td_gcn` a multiple of 8.
        dropout: Share of activations dropped during training.
    """

    encoder: Annotated[str, BeforeValidator(_one_name)]
    weights: UserPath
    head: Literal[FrameHead, ClipHead, LandmarkHead, Probe, "auto"]
    fusion: Literal["auto"] | tuple[Annotated[float, Field(ge=0)], ...] = "auto"
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
        if self.head in LANDMARK_HEADS and self.encoder != POSE:
            raise ValueError(
                f"the heads {', '.join(LANDMARK_HEADS)} need the landmarks of encoder 'pose'. Received: encoder "
                f"'{self.encoder}' with head '{self.head}'. "
                f"Try: make pose && dvc exp run -S model.encoder=pose -S model.head={self.head}"
            )
        if self.head == TD_GCN and self.units % TD_GCN_STEP:
            raise ValueError(
                f"with head '{TD_GCN}', model.units must be a multiple of {TD_GCN_STEP}. Received: {self.units}. "
                f"Try: dvc exp run -S model.units={max(1, round(self.units / TD_GCN_STEP)) * TD_GCN_STEP}"
            )
        if ONNX in self.encoders and self.weights in (IMAGENET, NO_WEIGHTS):
            raise ValueError(
                "with encoder 'onnx', model.weights must be the path of an ONNX file. Received: "
                f"'{self.weights}'. Try: dvc exp run -S model.encoder={self.encoder} "
                "-S model.weights=/path/to/encoder.onnx"
            )
        if self.head in SUM_PROBES and (len(self.encoders) > 1 or takes_track(self.encoder)):
            raise ValueError(
                f"the head {self.head} needs one encoder of pictures. Received: '{self.encoder}'. "
                "Try: dvc exp run -S model.head=statistics_probe"
            )
        if len(self.encoders) > 1 and not self.frozen:
            raise ValueError(
                f"several encoders must be frozen. Received: '{self.encoder}' with model.weights 'none'. "
                "Try: dvc exp run -S model.weights=imagenet"
            )
        weighty = [name for name in self.encoders if name in PRETRAINED_ENCODERS]
        if len(weighty) > 1 and weights_of(weighty[0], self.encoder, self.weights) != IMAGENET:
            raise ValueError(
                "one file of weights cannot be that of several encoders. Received: model.weights "
                f"'{self.weights}' with '{self.encoder}'. Try: dvc exp run -S model.weights=imagenet"
            )
        if self.fusion != "auto" and (len(self.fusion) != len(self.encoders) or not any(self.fusion)):
            raise ValueError(
                "model.fusion must be 'auto', or one weight for each encoder, not all 0. Received: "
                f"{list(self.fusion)} for '{self.encoder}'. Try: dvc exp run -S model.fusion=auto"
            )
        return self

    @property
    def encoders(self) -> tuple[str, ...]:
        """The encoders one by one."""
        return tuple(self.encoder.split(AND))

    @property
    def is_probe(self) -> bool:
        """Whether the head is solved, by a regression or discriminants, instead of trained by gradient descent."""
        return self.head in (*PROBES, AUTO)

    @property
    def frozen(self) -> bool:
        """Whether the encoder keeps its pretrained weights."""
        return is_frozen(self.encoder, self.weights)

    @property
    def pixels_free(self) -> bool:
        """Whether it sees people's landmarks and nothing else; frames are then drawn as skeletons wherever shown."""
        return self.encoder == POSE

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
        names = (Path(self.weights).name if name == ONNX else name for name in self.encoders)
        return f"{AND.join(names)} + {self.head}"


def is_graph(encoder: str) -> bool:
    """Whether an encoder, as `model.encoder`, is or has an ONNX graph of its own, which Keras does not know."""
    return not {ONNX, POSE}.isdisjoint(encoder.split(AND))


def weights_of(name: str, encoder: str, weights: str) -> str:
    """The weights of one of the encoders in `model.encoder`, as `model.weights` names them for all."""
    return IMAGENET if name != ONNX and ONNX in encoder.split(AND) else weights


def is_frozen(encoder: str, weights: str) -> bool:
    """Whether an encoder keeps its pretrained weights, given `model.encoder` and `model.weights`."""
    return all(
        name in (ONNX, POSE, *TRACK_ENCODERS)
        or (name in PRETRAINED_ENCODERS and weights_of(name, encoder, weights) != NO_WEIGHTS)
        for name in encoder.split(AND)
    )


def picture_encoders(encoder: str) -> tuple[str, ...]:
    """Those of `model.encoder` that see pictures."""
    return tuple(name for name in encoder.split(AND) if name not in TRACK_ENCODERS)


def takes_track(encoder: str) -> bool:
    """Whether the encoders of `model.encoder` need more than pictures."""
    return not set(encoder.split(AND)).isdisjoint(TRACK_ENCODERS)


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
        variants: Settings of the clip whose other values are tried on held-out groups of the training clips, in this
            order: any of `fit`, `colour` and `mirror`. For probes.
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
    variants: tuple[Literal["fit", "colour", "mirror"], ...] = ()
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
