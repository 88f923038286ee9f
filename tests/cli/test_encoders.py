import json
from pathlib import Path

import pytest

from actreel.cli import main
from tests.training.onnx_files.files import PIXELS, image_encoder


def test_encoders_are_listed_in_words_and_as_json(settings_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["encoders", "--set", "clip.num_frames=6"])
    said = capsys.readouterr().out
    assert said.startswith("for clips of 6 frames of 64x64 px; use one with: dvc exp run -S model.encoder=NAME")
    (row,) = (line for line in said.splitlines() if line.startswith("efficientnet_lite0"))
    assert row.split()[1] == "yes"
    path = image_encoder(settings_folder / "e.onnx")
    main(["encoders", "list", str(path), "--json"])
    found = json.loads(capsys.readouterr().out)
    (listed,) = (each for each in found if each["name"] == str(path))
    assert listed | {"size_mb": 0} == {
        "name": str(path), "at_hand": True, "weights": "ONNX file: 16x16 px", "size_mb": 0, "ms_per_clip": None,
        "gave": None,
    }  # fmt: skip


def test_a_file_that_does_not_fit_is_listed_and_is_an_error(
    settings_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = image_encoder(settings_folder / "e.bin", settings=None)
    with pytest.raises(SystemExit, match=r"error: .*'e\.bin' does not say: range \("):
        main(["encoders", "list", str(path)])
    assert "e.bin" in capsys.readouterr().out


def test_what_is_at_hand_is_measured(settings_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from actreel.project import encoders

    path = image_encoder(settings_folder / "e.onnx")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoders, "PRETRAINED_ENCODERS", ())  # their export takes seconds each
        patch.setenv("XDG_DATA_HOME", str(settings_folder))  # where there are no networks for `pose`
        main(["encoders", "list", str(path), "--measure", "--json"])
    trained, *others, own = json.loads(capsys.readouterr().out)
    assert not [each for each in others if each["ms_per_clip"]]
    assert [each["name"] for each in others if each["at_hand"]] == ["audio", "signals"]
    assert trained["name"] == "small_cnn"
    assert trained["ms_per_clip"] > 0 < own["ms_per_clip"]


def test_a_pulled_encoder_is_listed_with_what_it_gave(
    settings_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from actreel.project import encoders, pulling
    from actreel.project.encoder_sources import EncoderSource
    from actreel.tracking.by_encoder import Gave

    source = EncoderSource("tiny", "tiny.onnx", (), "MIT", "https://example.org", settings=PIXELS)
    for module in (encoders, pulling):
        monkeypatch.setattr(module, "SOURCES", (source,))
    main(["encoders"])
    (row,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("tiny"))
    assert row.split() == ["tiny", "no", "MIT:", "actreel", "encoders", "pull", "tiny"]
    mine = image_encoder(tmp_path / "mine.onnx", settings=None)
    main(["encoders", "pull", "tiny", "--from", str(mine)])
    said, command = capsys.readouterr().out.splitlines()
    assert said.startswith("tiny is in 'data/encoders/tiny.onnx'. Licence: MIT, see https://example.org.")
    assert command == "dvc exp run -S model.encoder=onnx -S model.weights=data/encoders/tiny.onnx"
    monkeypatch.setattr(encoders, "_results", lambda name: {"tiny.onnx": Gave(0.9, 0.8, 0.95, f"{name}@4")})
    main(["encoders"])
    (row,) = (line for line in capsys.readouterr().out.splitlines() if "tiny" in line)
    assert row.split("  ", 1)[0] == "data/encoders/tiny.onnx"
    assert "90.0% (80.0% to 95.0%), actreel-demo@4" in row
    main(["encoders", "pull", "tiny", "--from", str(mine), "--json"])
    assert json.loads(capsys.readouterr().out)["file"] == "data/encoders/tiny.onnx"
