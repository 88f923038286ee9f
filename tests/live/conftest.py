"""Models by brightness, and films for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from actreel.inference.classifier import ActionClassifier
from tests.serving.conftest import write_served_model

LABELS = ("dark", "middle", "bright")


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose clips last 2 s."""
    return write_served_model(tmp_path_factory.mktemp("live") / "model")


@pytest.fixture(scope="session")
def classifier(model: Path) -> ActionClassifier:
    return ActionClassifier.load(model, threads=1)
