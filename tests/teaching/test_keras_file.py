import zipfile
from pathlib import Path

import numpy as np
import pytest

from actreel.config import PROBABILITIES
from actreel.errors import FileError, ModelError
from actreel.models import HEAD, build_model
from actreel.quiet_keras import keras
from actreel.teaching.keras_file import write_with_last_layer
from actreel.teaching.tail import Linear
from tests.models.networks import CLIPS, SPEC, params_of


def test_keras_opens_the_copy_and_finds_the_other_layer_in_it(tmp_path: Path) -> None:
    before, after = tmp_path / "before.keras", tmp_path / "after.keras"
    whole = build_model(params_of("small_cnn", "lstm"), SPEC, 2)
    whole.save(before)
    head = whole.get_layer(HEAD)
    size = head.get_layer(PROBABILITIES).kernel.shape[0]
    rng = np.random.default_rng(0)
    last = Linear(rng.normal(size=(size, 3)).astype(np.float32), rng.normal(size=3).astype(np.float32))
    write_with_last_layer(before, PROBABILITIES, last, after)
    states = keras.Model(head.input, head.get_layer(PROBABILITIES).input)(whole.operations[-2].output)
    states = keras.Model(whole.input, states)(CLIPS)
    copy = keras.models.load_model(after)
    np.testing.assert_allclose(copy(CLIPS), last.probabilities(np.asarray(states)), atol=1e-6)

    with pytest.raises(ModelError, match="one layer 'conv9'"):
        write_with_last_layer(before, "conv9", last, after)
    with zipfile.ZipFile(tmp_path / "half.keras", "w") as half:
        half.writestr("config.json", "{}")
    for damaged in (tmp_path / "half.keras", tmp_path / "none.keras"):
        with pytest.raises(FileError, match=damaged.name):
            write_with_last_layer(damaged, PROBABILITIES, last, after)
