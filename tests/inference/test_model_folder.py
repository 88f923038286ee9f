from pathlib import Path

import pytest

from actreel.inference.model_folder import ModelFolder


def test_the_names_are_those_that_others_rely_on(tmp_path: Path) -> None:
    files = ModelFolder(tmp_path)
    paths = (files.keras, files.onnx, files.encoder, files.head, files.manifest, files.seen_clips, files.model_card)
    assert {path.parent for path in paths} == {tmp_path}
    assert [path.name for path in paths] == [
        "model.keras", "model.onnx", "encoder.onnx", "head.onnx", "classifier.json", "seen_clips.txt",
        "model_card.html",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("present", "whole", "run"),
    [
        (("model", "encoder", "head"), False, ("encoder", "head")),
        (("model", "encoder", "head"), True, ("model",)),
        (("model", "encoder"), False, ("model",)),
        (("encoder", "head"), False, ("encoder", "head")),
        ((), False, ("model",)),
    ],
)
def test_the_parts_are_run_where_both_are_there(
    tmp_path: Path, present: tuple[str, ...], whole: bool, run: tuple[str, ...]
) -> None:
    for name in present:
        (tmp_path / f"{name}.onnx").touch()
    assert ModelFolder(tmp_path).network_files(whole=whole) == tuple(tmp_path / f"{name}.onnx" for name in run)
