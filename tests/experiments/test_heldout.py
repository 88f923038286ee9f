from pathlib import Path

import pytest

from actreel.config import ClipSpec, load_params
from actreel.dataset.store import Store
from actreel.experiments.heldout import digest, fit_and_score, results_folder
from tests.conftest import ROOT, EditCode, train_params
from tests.training.test_variants import MADE_UP, NETWORK, SPEC, flawed, made_up


def test_a_variant_is_chosen_without_the_test_clips_which_are_then_sampled_as_it_says(tmp_path: Path) -> None:
    index = MADE_UP.assign(error="", split=["train"] * 16 + ["val"] * 4 + ["test"] * 4)
    # In grey, a training clip less is wrong, and then another of the test.
    mistakes = {"rgb": "Dark00 Pale20", "grey": "Dark50", "equalised": "Dark00 Pale20"}
    asked = []

    def inputs(spec: ClipSpec) -> Store:
        asked.append(spec.colour)
        return made_up(tmp_path / spec.colour, spec, flawed(mistakes[spec.colour]))

    params = load_params(ROOT / "params.yaml").model_copy(
        update={"clip": SPEC, "model": NETWORK, "train": train_params(variants=("colour",))}
    )

    def right(variants: object) -> list[bool]:
        score = fit_and_score(params, index, inputs(SPEC), lambda epoch, metrics: None, variants)
        return [action == answer for _, action, answer, _ in score.answers]

    assert right(None) == [True] * 4
    assert asked == ["rgb"]
    assert right(inputs) == [False] + [True] * 3
    assert asked[1:] == ["rgb", "grey", "equalised", "grey"]


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
