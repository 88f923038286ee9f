"""The table of encoders to pull against what the rest of the code expects of it."""

from fnmatch import fnmatch

import pytest

from actreel.config import PRETRAINED_ENCODERS
from actreel.project.encoder_sources import SOURCES, EncoderSource
from actreel.project.encoders import _KERAS_FILES
from actreel.training.onnx_files import EncoderSettings


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_a_source_can_be_used(source: EncoderSource) -> None:
    assert source.urls
    assert all(url.startswith("https://") for url in (*source.urls, source.page))
    assert source.licence
    if source.of_keras:
        assert source.name in PRETRAINED_ENCODERS
        assert fnmatch(source.file, _KERAS_FILES[source.name])
        assert all(url.endswith(source.file) for url in source.urls)
    else:
        assert source.file == f"{source.name}.onnx"
        EncoderSettings.model_validate(dict(source.settings))


def test_names_are_unique() -> None:
    assert len({source.name for source in SOURCES}) == len(SOURCES)


def test_keras_publishes_the_digests_of_the_table() -> None:
    from keras.src.applications import efficientnet_v2, resnet

    known = {source.name: source.md5 for source in SOURCES}
    assert known["resnet50"] == resnet.WEIGHTS_HASHES["resnet50"][1]
    assert known["efficientnet_v2_b0"] == efficientnet_v2.WEIGHTS_HASHES["b0"][1]
