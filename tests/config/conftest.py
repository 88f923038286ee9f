from typing import Any

import pytest
import yaml

from tests.conftest import ROOT


@pytest.fixture
def values() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
