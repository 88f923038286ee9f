from pathlib import Path

import pytest

from actreel.experiments.heldout import digest, results_folder
from tests.conftest import EditCode


def test_results_of_other_code_are_not_taken(tmp_path: Path, edit_code: EditCode) -> None:
    folder = results_folder(tmp_path, {"epochs": 2}, "logo", fresh=False)
    (folder / "fold-000.json").write_text("{}", encoding="utf-8")
    assert results_folder(tmp_path, {"epochs": 2}, "logo", fresh=False) == folder
    assert results_folder(tmp_path, {"epochs": 3}, "logo", fresh=False) != folder
    edit_code("tracking/runs.py", "unknown", "not known")
    assert results_folder(tmp_path, {"epochs": 2}, "logo", fresh=False) == folder, "tracking changes no result"
    edit_code("training/fitting.py", "clipnorm=1.0", "clipnorm=2.0")
    assert results_folder(tmp_path, {"epochs": 2}, "logo", fresh=False) != folder
    assert (folder / "fold-000.json").exists(), "the old results come back with the old code"


def test_a_fresh_start_deletes_only_its_own_results(tmp_path: Path) -> None:
    mine, other = (results_folder(tmp_path, number, fresh=False) for number in (1, 2))
    for folder in (mine, other):
        (folder / "fold-000.json").write_text("{}", encoding="utf-8")
    assert list(results_folder(tmp_path, 1, fresh=True).iterdir()) == []
    assert len(list(other.iterdir())) == 1


@pytest.mark.parametrize("other", [[1, 3], [2, 1], [[1, 2]], ["1", 2]])
def test_a_digest_tells_values_apart(other: list[object]) -> None:
    assert digest(1, 2) == digest(1, 2)
    assert digest(*other) != digest(1, 2)
