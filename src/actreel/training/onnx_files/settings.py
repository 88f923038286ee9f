"""What an ONNX file does not say by itself: how pixels become its input, and which output is the feature vector.

The settings are the file's metadata properties `actreel.layout`, `actreel.mean` and so on, or keys of a YAML file of
the same name beside it. Where both name one, the YAML file counts, since it can be corrected by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from actreel.errors import ModelError

PREFIX = "actreel."
IMAGE_LAYOUTS = ("NCHW", "NHWC")
CLIP_LAYOUTS = ("NTCHW", "NCTHW", "NTHWC")
_MOST_TEXT = 4096
"""Characters of a metadata property or bytes of a YAML file: settings are short, and files may be hostile."""

Dims = Sequence[int | None]
"""An input's or output's shape; None where it is not fixed."""


class EncoderSettings(BaseModel):
    """How frames become the input of an encoder, and what of its output counts.

    Attributes:
        layout: The input's axes: N pictures, T frames, C channels, H rows, W columns.
        size: Height and width that frames are stretched to.
        range: What the pixels 0 and 255 become before `mean` and `std`.
        mean: Subtracted from each channel after that; one number stands for all three.
        std: Each channel is divided by it after that; one number stands for all three.
        channels: The order of the channels.
        frames: Of a video encoder: frames that become one vector.
        stride: Of a video encoder: from one of these frames to the next, counted in the frames sampled from a clip.
        output: Which output to take; by default the only one of two axes.
        pool: How an output of more than two axes becomes a vector: `mean` averages places or tokens, `first` takes the
            first token.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    layout: Literal["NCHW", "NHWC", "NTCHW", "NCTHW", "NTHWC"]
    size: tuple[int, int]
    range: tuple[float, float]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    channels: Literal["rgb", "bgr"] = "rgb"
    frames: int | None = Field(default=None, ge=1, le=1024)
    stride: int | None = Field(default=None, ge=1, le=1024)
    output: str | None = None
    pool: Literal["mean", "first"] | None = None

    @field_validator("mean", "std", mode="before")
    @classmethod
    def _for_each_channel(cls, value: Any) -> Any:
        return (value,) * 3 if isinstance(value, int | float) else value

    @field_validator("size", mode="before")
    @classmethod
    def _of_both_sides(cls, value: Any) -> Any:
        return (value, value) if isinstance(value, int) else value

    @model_validator(mode="after")
    def _make_sense(self) -> EncoderSettings:
        if not all(1 <= side <= 4096 for side in self.size):
            raise ValueError(f"size must be 1 to 4096 pixels. Received: {list(self.size)}")
        if not self.range[0] < self.range[1]:
            raise ValueError(f"range must rise, as in [0, 1]. Received: {list(self.range)}")
        if not all(deviation > 0 for deviation in self.std):
            raise ValueError(f"std must be above 0. Received: {list(self.std)}")
        if self.sees_clips != (self.frames is not None and self.stride is not None):
            raise ValueError(
                f"frames and stride belong to a video encoder, whose layout has T. Received: layout {self.layout} with "
                f"frames {self.frames} and stride {self.stride}"
            )
        return self

    @property
    def sees_clips(self) -> bool:
        """Whether several frames become one vector."""
        return "T" in self.layout


_MEANING = {
    "layout": f"the input's axes, {', '.join(IMAGE_LAYOUTS)} or for a video encoder {', '.join(CLIP_LAYOUTS)}",
    "size": "height and width in pixels, as in [224, 224]",
    "range": "what the pixels 0 and 255 become before mean and std, as in [0, 1]",
    "mean": "what is subtracted from each channel, as in [0.485, 0.456, 0.406]",
    "std": "what each channel is divided by, as in [0.229, 0.224, 0.225]",
    "frames": "how many frames become one vector, as in 16",
    "stride": "the step between these frames, counted in sampled frames, as in 1",
}


def read_settings(path: Path, properties: Mapping[str, str], dims: Dims) -> EncoderSettings:
    """Reads the settings of an encoder; layout, size and frames also from the shape of its input, where it is fixed.

    Args:
        path: The ONNX file.
        properties: Its metadata properties.
        dims: The shape of its input, of four or five axes.

    Raises:
        ModelError: A setting is missing, unknown, out of range, or does not fit the input.
    """
    beside = path.with_suffix(".yaml")
    given = {**_from_properties(path, properties), **_from_yaml(beside)}
    layouts = IMAGE_LAYOUTS if len(dims) == 4 else CLIP_LAYOUTS
    likely = [layout for layout in layouts if dims[layout.index("C")] == 3]
    if "layout" not in given and len(likely) == 1:
        given["layout"] = likely[0]
    layout = str(given.get("layout"))
    if layout in layouts:
        fixed = dict(zip(layout, dims, strict=True))
        if fixed["H"] and fixed["W"]:
            given.setdefault("size", [fixed["H"], fixed["W"]])
        if fixed.get("T"):
            given.setdefault("frames", fixed["T"])
    needed = [key for key in _MEANING if key not in ("frames", "stride") or len(dims) == 5]
    missing = [f"{key} ({_MEANING[key]})" for key in needed if key not in given]
    if missing:
        raise ModelError(
            f"An ONNX encoder must say how it takes pictures. '{path.name}' does not say: {'; '.join(missing)}. Write "
            f"them to '{beside}', one 'key: value' a line."
        )
    try:
        settings = EncoderSettings.model_validate(given)
    except ValidationError as error:
        raise ModelError(
            f"The settings of '{path.name}' cannot be used: {_explain(error)}. Correct '{beside}'."
        ) from None
    _check_input(path, settings, dims)
    return settings


def _from_properties(path: Path, properties: Mapping[str, str]) -> dict[str, Any]:
    found = {}
    for name, text in properties.items():
        if name.startswith(PREFIX):
            key = name.removeprefix(PREFIX)
            if len(text) > _MOST_TEXT:
                raise ModelError(f"The metadata property '{name}' of '{path.name}' must be short. Write it again.")
            try:
                found[key] = yaml.safe_load(text)
            except yaml.YAMLError:
                raise ModelError(
                    f"The metadata property '{name}' of '{path.name}' must be a value in YAML. Received: "
                    f"{text[:80]!r}. Write '{key}: …' to '{path.with_suffix('.yaml')}': it counts instead."
                ) from None
    return found


def _from_yaml(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as content:
            text = content.read(_MOST_TEXT + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ModelError(f"The encoder's settings in '{file}' cannot be read: {error.strerror}.") from error
    try:
        if len(text) > _MOST_TEXT:
            raise ValueError
        given = yaml.safe_load(text)
        if not isinstance(given, dict):
            raise ValueError
    except (yaml.YAMLError, ValueError):
        raise ModelError(
            f"'{file}' must hold the encoder's settings, one 'key: value' a line, in at most {_MOST_TEXT} bytes. "
            f"Known keys: {', '.join(EncoderSettings.model_fields)}."
        ) from None
    return {str(key): value for key, value in given.items()}


def _explain(error: ValidationError) -> str:
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"][:1])
    if problem["type"] == "extra_forbidden":
        return f"every key must be known. Received: '{key}'. Known keys: {', '.join(EncoderSettings.model_fields)}"
    message = problem["msg"].removeprefix("Value error, ")
    return message if not key else f"{key}: {message[0].lower()}{message[1:]}. Received: {str(problem['input'])[:80]}"


def _check_input(path: Path, settings: EncoderSettings, dims: Dims) -> None:
    wanted = {"C": 3, "H": settings.size[0], "W": settings.size[1], "T": settings.frames}
    if len(settings.layout) != len(dims):
        raise ModelError(
            f"The layout must have an axis for each of the input's {len(dims)}. Received: {settings.layout} for "
            f"'{path.name}', whose input is {shape_in_words(dims)}. Correct '{path.with_suffix('.yaml')}'."
        )
    for axis, fixed in zip(settings.layout[1:], list(dims)[1:], strict=True):
        if fixed is not None and fixed != wanted[axis]:
            raise ModelError(
                f"The settings must fit the graph. Received: layout {settings.layout} with {axis} = {wanted[axis]} for "
                f"'{path.name}', whose input is {shape_in_words(dims)}. Correct '{path.with_suffix('.yaml')}'."
            )


def shape_in_words(dims: Dims) -> str:
    """As in `(?, 3, 224, 224)`."""
    return f"({', '.join('?' if dim is None else str(dim) for dim in dims)})"
