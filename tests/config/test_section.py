import pytest

from actreel.config import load_params
from tests.conftest import ROOT


def test_sections_are_frozen() -> None:
    params = load_params(ROOT / "params.yaml")
    with pytest.raises(ValueError, match="frozen"):
        params.clip.height = 8  # type: ignore[misc]
