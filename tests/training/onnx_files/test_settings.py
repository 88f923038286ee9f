from pathlib import Path
from typing import Any

import pytest
import yaml

from actreel.errors import ModelError
from actreel.training.onnx_files.settings import EncoderSettings, read_settings

PICTURES = ("N", 3, 16, 24)
TEXTS = {"actreel.range": "[0, 1]", "actreel.mean": "[0.4, 0.5, 0.6]", "actreel.std": "0.25"}
VALUES = {"range": [0, 1], "mean": 0.5, "std": [0.2, 0.3, 0.4]}


def read(folder: Path, dims: Any = (None, 3, 16, 24), texts: Any = None, **values: Any) -> EncoderSettings:
    file = folder / "e.onnx"
    if values:
        file.with_suffix(".yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    return read_settings(file, texts or {}, dims)


def test_settings_are_read_from_properties_and_from_a_file_which_counts(tmp_path: Path) -> None:
    from_properties = read(tmp_path, texts=TEXTS | {"producer": "[", "stride": "32"})  # others' properties
    assert from_properties.mean == (0.4, 0.5, 0.6)
    assert from_properties.std == (0.25, 0.25, 0.25)
    assert from_properties.range == (0, 1)
    corrected = read(tmp_path, texts=TEXTS, mean=0.5, channels="bgr")
    assert corrected == from_properties.model_copy(update={"mean": (0.5, 0.5, 0.5), "channels": "bgr"})


@pytest.mark.parametrize(
    ("dims", "layout", "size", "frames"),
    [
        ((None, 3, 16, 24), "NCHW", (16, 24), None),
        ((1, 16, 24, 3), "NHWC", (16, 24), None),
        ((None, 8, 3, 16, 24), "NTCHW", (16, 24), 8),
        ((None, 3, 8, 16, 24), "NCTHW", (16, 24), 8),
        ((None, 8, 16, 24, 3), "NTHWC", (16, 24), 8),
    ],
)
def test_a_shape_that_is_fixed_says_layout_size_and_frames(
    dims: Any, layout: str, size: Any, frames: int | None, tmp_path: Path
) -> None:
    more = {"stride": 2} if frames else {}
    settings = read(tmp_path, dims, **VALUES, **more)
    assert (settings.layout, settings.size, settings.frames) == (layout, size, frames)
    assert settings.sees_clips == bool(frames)


def test_what_is_missing_is_named_with_what_it_means_and_where_to_write_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        read(tmp_path, (None, None, None, None, None))
    said = str(caught.value)
    for key in ("layout", "size", "range", "mean", "std", "frames", "stride"):
        assert f"{key} (" in said
    assert f"Write them to '{tmp_path / 'e.yaml'}'" in said
    with pytest.raises(ModelError, match=r"does not say: layout \("):
        read(tmp_path, (None, 3, 24, 3), size=[24, 3], **VALUES)  # channels may be first or last


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"mean": [0.5, 0.5]}, "mean: "),
        ({"std": [0.2, 0, 0.2]}, "std must be above 0"),
        ({"range": [1, 0]}, "range must rise"),
        ({"range": 255}, "range: "),
        ({"size": [0, 24]}, "size must be 1 to 4096"),
        ({"size": 32}, r"layout NCHW with H = 32 for 'e\.onnx', whose input is \(\?, 3, 16, 24\)"),
        ({"layout": "NHWC"}, r"layout NHWC with H = 16 .*input is \(\?, 3, 16, 24\)"),
        ({"layout": "NTCHW", "frames": 4, "stride": 1}, "an axis for each of the input's 4"),
        ({"layout": "CHW"}, "layout: "),
        ({"frames": 16, "stride": 1}, "frames and stride belong to a video encoder"),
        ({"colour": "rgb"}, "every key must be known. Received: 'colour'. Known keys: layout, size"),
        ({"pool": "max"}, "pool: "),
    ],
)
def test_what_does_not_fit_is_refused(values: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        read(tmp_path, **{"layout": "NCHW", "size": [16, 24], **VALUES, **values})
    assert str(tmp_path / "e.yaml") in str(caught.value)


def test_frames_that_do_not_fit_the_input_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"layout NTCHW with T = 16 .*input is \(\?, 8, 3, 16, 24\)"):
        read(tmp_path, (None, 8, 3, 16, 24), **VALUES, frames=16, stride=1)
    with pytest.raises(ModelError, match="stride: "):
        read(tmp_path, (None, 8, 3, 16, 24), **VALUES, stride=0)


@pytest.mark.parametrize("text", ["[1, 2", "- a\n- b", "x" * 5000, "a: b: c"])
def test_a_file_that_holds_no_settings_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=r"e\.yaml' must hold the encoder's settings, one 'key: value' a line"):
        read(tmp_path)


def test_a_property_that_is_no_value_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"'actreel\.mean' of 'e\.onnx' must be a value in YAML"):
        read(tmp_path, texts=TEXTS | {"actreel.mean": "[0.4, "})
    with pytest.raises(ModelError, match=r"'actreel\.mean' of 'e\.onnx' must be short"):
        read(tmp_path, texts=TEXTS | {"actreel.mean": "1" * 5000})


def test_settings_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "e.yaml").mkdir()
    with pytest.raises(ModelError, match=r"settings in '.*e\.yaml' cannot be read: Is a directory"):
        read(tmp_path)
