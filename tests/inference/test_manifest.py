import hashlib
from pathlib import Path

import pytest
from pydantic import ValidationError

from actreel.config import ClipSpec
from actreel.errors import FileError, ModelError
from actreel.inference.manifest import ClassifierCard, OnnxEncoder, Provenance

SPEC = ClipSpec(num_frames=8, height=32, width=32)
PROVENANCE = Provenance(dataset="x", data_version="1", run_id="2", git_commit="3", trained_at="4")
ENCODER = OnnxEncoder(
    file="dino.onnx", file_sha256="a" * 64, sha256=hashlib.sha256(b"weights").hexdigest(), parameters=3
)


@pytest.mark.parametrize("encoder", [None, ENCODER, ENCODER.model_copy(update={"frames": 4, "stride": 2})])
def test_what_is_saved_is_read_again(encoder: OnnxEncoder | None, tmp_path: Path) -> None:
    card = ClassifierCard(labels=("a", "b"), clip=SPEC, encoder=encoder, provenance=PROVENANCE)
    card.save(tmp_path)
    assert ClassifierCard.model_validate_json((tmp_path / "classifier.json").read_text(encoding="utf-8")) == card


def test_a_manifest_of_a_version_before_encoders_were_named_is_read() -> None:
    old = ClassifierCard(labels=("a", "b"), clip=SPEC, provenance=PROVENANCE).model_dump()
    del old["encoder"], old["network"]
    assert ClassifierCard.model_validate(old).encoder is None
    with pytest.raises(ValidationError):
        ClassifierCard.model_validate(old | {"labels": ("a",)})


def test_only_a_video_encoder_has_windows() -> None:
    assert ENCODER.windows(SPEC) is None
    windows = ENCODER.model_copy(update={"frames": 4, "stride": 2}).windows(SPEC)
    assert windows is not None
    assert windows.indices.tolist() == [[0, 2, 4, 6]]


def test_another_encoder_than_that_of_the_training_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "encoder.onnx"
    file.write_bytes(b"weights")
    ENCODER.check(file)
    file.write_bytes(b"weightz")
    with pytest.raises(ModelError, match=r"must be the encoder that the model was trained with, from 'dino\.onnx'"):
        ENCODER.check(file)
    file.unlink()
    with pytest.raises(FileError, match="dvc repro --force train"):
        ENCODER.check(file)
