"""All of params.yaml: the sections together, reading and checking them."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from actreel.base.places import PARAMS, check_project
from actreel.config.dataset import ClipSpec, DatasetParams, SplitParams, ValidateParams
from actreel.config.model import PROBES, TRACK_ENCODERS, ModelParams, TrainParams, is_graph
from actreel.config.section import Section
from actreel.errors import ConfigError

_VARYING = ("speed", "jitter", "mixup", "label_smoothing")
"""Settings of `train` that change clips or targets from epoch to epoch."""

_RETIRED = {
    "evaluate.may_tie_baseline": "of the network and its order-blind baseline, the better one becomes the model.",
    "train.false_accept_rate": "the rejection limit accepts a share of known clips, train.true_accept_rate.",
}
"""Keys of earlier versions, and why they have gone."""


class EvaluateParams(Section):
    """Section `evaluate`.

    Attributes:
        batch_size: Clips per forward pass.
        views: Number of samplings of each test video to average for `multi_clip_accuracy`.
        parity_tolerance: Largest allowed difference between the probabilities of Keras and ONNX.
    """

    batch_size: int = Field(ge=1)
    views: int = Field(ge=1)
    parity_tolerance: float = Field(gt=0)


def _bento_name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?", name):
        raise ValueError(
            f"the name of a Bento must consist of lower-case letters, digits, '.', '_' and '-'. Received: '{name}'"
        )
    return name


class PackageParams(Section):
    """Section `package`.

    Attributes:
        name: Name of the Bento in BentoML's store.
        show_clips: Whether the page shows clips of the dataset: six test clips as samples, and frames of test clips in
            the model card.
        on_device: Whether visitors' browsers are handed the model, so that they can run it themselves.
        precision: Of the served network. `int8` rounds it after training, where that costs at most `max_drop`.
        max_drop: What int8 may lose on held-out clips, as a share: of accuracy, of known clips accepted, of unknown
            clips rejected, and of the agreement of confidence and accuracy.
    """

    name: Annotated[str, AfterValidator(_bento_name)]
    show_clips: bool = True
    on_device: bool = False
    precision: Literal["float32", "int8"] = "float32"
    max_drop: float = Field(default=0.02, ge=0, lt=1)


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
                f"the heads {', '.join(PROBES)} need an encoder with pretrained weights. "
                f"Received: '{self.model.head}' with encoder '{self.model.encoder}' and weights "
                f"'{self.model.weights}'. Try: dvc exp run -S model.encoder=efficientnet_lite0"
            )
        varied = [name for name in _VARYING if getattr(self.train, name)]
        if self.model.is_probe and varied:
            raise ValueError(
                f"a probe cannot use train.{varied[0]}, which varies clips between epochs. Received: "
                f"{getattr(self.train, varied[0])} with head '{self.model.head}'. Set train.{varied[0]} to 0."
            )
        if self.train.variants and (not self.model.is_probe or self.train.fine_tune or self.train.strategy != "one"):
            raise ValueError(
                "train.variants tries clips with a probe on a frozen encoder, on one device. "
                f"Received: {list(self.train.variants)} with head '{self.model.head}', train.fine_tune "
                f"{self.train.fine_tune} and train.strategy '{self.train.strategy}'. Set train.variants to []."
            )
        if self.train.fine_tune and is_graph(self.model.encoder):
            raise ValueError(
                "train.fine_tune trains blocks of an encoder in Keras, and 'onnx' and 'pose' have none. "
                f"Received: {self.train.fine_tune} with encoder '{self.model.encoder}'. Set train.fine_tune to 0."
            )
        if self.train.fine_tune and (len(self.model.encoders) > 1 or self.model.encoder in TRACK_ENCODERS):
            raise ValueError(
                "train.fine_tune trains blocks of one encoder of pictures. "
                f"Received: {self.train.fine_tune} with encoder '{self.model.encoder}'. Set train.fine_tune to 0."
            )
        if self.train.fine_tune and not self.model.frozen:
            raise ValueError(
                "train.fine_tune needs an encoder with pretrained weights. "
                f"Received: {self.train.fine_tune} with encoder '{self.model.encoder}' and weights "
                f"'{self.model.weights}'. Set train.fine_tune to 0."
            )
        if self.model.frozen and not self.train.fine_tune and (self.train.crop or self.train.colour):
            other = "" if is_graph(self.model.encoder) else ", or train.fine_tune above 0"
            raise ValueError(
                "train.crop and train.colour change frames, but the frames of a frozen encoder are encoded only once. "
                f"Received: {self.train.crop} and {self.train.colour} with encoder '{self.model.encoder}'. "
                f"Set both to 0{other}."
            )
        return self


def load_params(path: Path = PARAMS) -> Params:
    """Reads and checks params.yaml.

    Raises:
        ConfigError: The file is missing or is not YAML, a key is unknown, or a value is out of range.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        check_project(path.parent)
        raise ConfigError(f"{path} must exist. Received: none in {Path.cwd()}. Try: git checkout {path}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} must be YAML. Received: {error}") from error
    try:
        return check_params(values, source=str(path))
    except ConfigError as error:
        # DVC leaves the settings of a failed `dvc exp run -S` in the file.
        raise ConfigError(f"{error} To undo your last settings: git checkout {path.name}") from error


def written_path(path: Path = PARAMS) -> str:
    """`dataset.path` as it stands in params.yaml, which is what DVC reads; empty if the file has none."""
    try:
        return str(yaml.safe_load(path.read_text(encoding="utf-8"))["dataset"]["path"])
    except (OSError, ValueError, yaml.YAMLError, LookupError, TypeError):
        return ""


def override(params: Params, settings: list[str]) -> Params:
    """Replaces some of the parameters.

    Args:
        params: Checked parameters.
        settings: Strings `section.key=value`, with the value in YAML.

    Raises:
        ConfigError: A setting has another form, a key is unknown or a value is out of range.
    """
    values = params.model_dump(by_alias=True)
    for setting in settings:
        name, equals, text = setting.partition("=")
        section, dot, key = name.partition(".")
        if not (equals and dot and key):
            raise ConfigError(
                f"a setting must be SECTION.KEY=VALUE, with a section of params.yaml. Received: '{setting}'. "
                "Try: --set train.epochs=10"
            )
        if section not in values:
            raise ConfigError(f"every section must be known. Received: '{setting}'. {_nearest(section, list(values))}")
        try:
            values[section][key] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"the value of a setting must be YAML. Received: '{setting}'") from error
    return check_params(values, source="--set")


def check_params(values: Any, source: str) -> Params:
    """Validates plain values.

    Args:
        values: A mapping of keys to values for each section, by its name.
        source: Where the values come from, for the message.

    Raises:
        ConfigError: A key is unknown or missing, or a value is out of range; the message names all of them.
    """
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{source}: " + "; ".join(map(_explain, error.errors()))) from error


def _explain(problem: Any) -> str:
    """One of pydantic's errors in the words of params.yaml."""
    key = ".".join(str(part) for part in problem["loc"])
    if key in _RETIRED:
        return f"'{key}' is not needed any more: {_RETIRED[key]} Remove it from params.yaml."
    if problem["type"] == "extra_forbidden":
        known = _known_keys(problem["loc"][:-1])
        return f"every key must be known. Received: '{key}'. {_nearest(str(problem['loc'][-1]), known)}"
    if problem["type"] == "missing":
        return f"'{key}' must be set"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return str(message)
    return f"'{key}': {message[0].lower()}{message[1:]}. Received: {problem['input']!r}"


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean '{near[0]}'?" if near else f"Known here: {', '.join(known)}."


def _known_keys(parents: tuple[str | int, ...]) -> list[str]:
    section: type[BaseModel] = Params
    for parent in parents:
        inner = _by_key(section)[str(parent)].annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        section = inner
    return list(_by_key(section))


def _by_key(section: type[BaseModel]) -> dict[str, FieldInfo]:
    """A section's fields by their keys in params.yaml."""
    return {field.alias or name: field for name, field in section.model_fields.items()}
