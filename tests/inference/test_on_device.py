"""Which models visitors' browsers can run."""

from __future__ import annotations

from pathlib import Path

from actreel.config import ClipSpec
from actreel.inference import on_device
from actreel.inference.classifier import ActionClassifier
from actreel.inference.manifest import OnnxEncoder
from actreel.inference.on_device import MOST_BYTES, PACKED_PROGRAM, RUNTIME, runtime_files, why_not
from tests.browser_runtime import add_stand_in
from tests.conftest import write_model_folder


def test_small_models_of_frames_run_and_others_do_not(tmp_path: Path) -> None:
    spec = ClipSpec(num_frames=8, height=32, width=32, colour="grey")
    folder = write_model_folder(tmp_path / "model", spec, ("dark", "bright"), in_parts=True)
    card = ActionClassifier.load(folder).card
    assert why_not(card, folder) is None
    equalised = card.model_copy(update={"clip": spec.model_copy(update={"colour": "equalised"})})
    assert why_not(equalised, folder) == "clip.colour is 'equalised', which the page does not compute"
    encoder = OnnxEncoder(file="x.onnx", file_sha256="", sha256="", parameters=1)
    assert why_not(card.model_copy(update={"encoder": encoder}), folder) is None
    of_clips = encoder.model_copy(update={"frames": 4, "stride": 1})
    assert why_not(card.model_copy(update={"encoder": of_clips}), folder) == "its encoder sees several frames at once"


def test_large_networks_are_not_handed_out(tmp_path: Path) -> None:
    spec = ClipSpec(num_frames=8, height=32, width=32)
    folder = write_model_folder(tmp_path / "model", spec, ("dark", "bright"))
    card = ActionClassifier.load(folder).card
    with (folder / "model.onnx").open("ab") as network:
        network.truncate(MOST_BYTES)
    assert why_not(card, folder) is None
    with (folder / "model.onnx").open("ab") as network:
        network.write(b"0")
    assert why_not(card, folder) == "its network has 8.4 MB, and at most 8.4 MB are handed to visitors"


def test_the_runtime_is_there_or_not(tmp_path: Path) -> None:
    assert runtime_files(tmp_path) == {}
    add_stand_in(tmp_path)
    assert runtime_files(tmp_path).keys() == {on_device.SCRIPT, PACKED_PROGRAM}
    (tmp_path / RUNTIME / PACKED_PROGRAM).unlink()
    assert runtime_files(tmp_path) == {}
