import pytest

from actreel.quiet_keras import keras


@pytest.fixture(autouse=True)
def _seeded() -> None:
    keras.utils.set_random_seed(0)
