import pytest


@pytest.fixture(scope="session", autouse=True)
def _quick_stores(quick_stores: None) -> None:
    """New stores of MLflow are copies."""
