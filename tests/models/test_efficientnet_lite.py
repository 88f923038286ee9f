from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from actreel.errors import ModelError
from actreel.models import efficientnet_lite
from actreel.video.opencv import cv2

# Photographs that come with the packages we use, and the ImageNet classes they show.
PHOTOGRAPHS = {
    "sklearn/datasets/images/china.jpg": 698,  # palace
    "sklearn/datasets/images/flower.jpg": 985,  # daisy
    "matplotlib/mpl-data/sample_data/grace_hopper.jpg": 652,  # military uniform
}


def photograph(name: str) -> np.ndarray:
    package = find_spec(name.partition("/")[0])
    assert package is not None
    picture = cv2.imread(str(Path(package.origin).parents[1] / name))
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = cv2.resize(picture[top : top + side, left : left + side], (224, 224), interpolation=cv2.INTER_AREA)
    return (cv2.cvtColor(square, cv2.COLOR_BGR2RGB).astype(np.float32) - 127) / 128


def test_imagenet_weights_name_real_photographs() -> None:
    model = efficientnet_lite.build(include_top=True)
    efficientnet_lite.load_imagenet_weights(model)
    logits = np.asarray(model(np.stack([photograph(name) for name in PHOTOGRAPHS])))
    assert logits.argmax(axis=1).tolist() == list(PHOTOGRAPHS.values())
    assert model.count_params() == 4_694_024  # with the batch norms' statistics


def test_a_missing_package_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet_lite, "_PACKAGE", "no_such_package")
    with pytest.raises(ModelError, match="make setup"):
        efficientnet_lite.load_imagenet_weights(efficientnet_lite.build())


def test_weights_of_another_network_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        efficientnet_lite, "read_checkpoint", lambda path: {"_conv_stem.weight": np.zeros((8, 3, 3, 3))}
    )
    with pytest.raises(ModelError, match="must fit EfficientNet-Lite0"):
        efficientnet_lite.load_imagenet_weights(efficientnet_lite.build())
