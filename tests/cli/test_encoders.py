import json
from pathlib import Path

import pytest

from actreel.cli import main
from tests.training.onnx_files.files import image_encoder


def test_encoders_are_listed_in_words_and_as_json(settings_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["encoders", "--set", "clip.num_frames=6"])
    said = capsys.readouterr().out
    assert said.startswith("for clips of 6 frames of 64x64 px; use one with: dvc exp run -S model.encoder=NAME")
    (row,) = (line for line in said.splitlines() if line.startswith("efficientnet_lite0"))
    assert row.split()[1] == "yes"
    path = image_encoder(settings_folder / "e.onnx")
    main(["encoders", str(path), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found[-1] | {"size_mb": 0} == {
        "name": str(path), "at_hand": True, "weights": "ONNX file: 16x16 px", "size_mb": 0, "ms_per_clip": None
    }  # fmt: skip


def test_a_file_that_does_not_fit_is_listed_and_is_an_error(
    settings_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = image_encoder(settings_folder / "e.bin", settings=None)
    with pytest.raises(SystemExit, match=r"error: .*'e\.bin' does not say: range \("):
        main(["encoders", str(path)])
    assert "e.bin" in capsys.readouterr().out


def test_what_is_at_hand_is_measured(settings_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from actreel.project import encoders

    path = image_encoder(settings_folder / "e.onnx")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoders, "PRETRAINED_ENCODERS", ())  # their export takes seconds each
        main(["encoders", str(path), "--measure", "--json"])
    trained, own = json.loads(capsys.readouterr().out)
    assert trained["name"] == "small_cnn"
    assert trained["ms_per_clip"] > 0 < own["ms_per_clip"]
