import pandas as pd
import pytest

from actreel.config import DatasetParams, ModelParams
from actreel.evaluation.advice import what_to_try
from actreel.evaluation.slices import Confusion

LRCN = ModelParams(encoder="small_cnn", weights="imagenet", head="lstm", motion="none", units=8, dropout=0)
PROBE = LRCN.model_copy(update={"encoder": "efficientnet_lite0", "head": "mean_probe"})
SENSES = LRCN.model_copy(update={"encoder": "signals"})
MINE = DatasetParams(name="folder", path="/my clips", group_pattern=None, demo_groups=3, demo_clips=1, seed=0)
ALIKE = [Confusion("b", "c", 8, 20, 0, None), Confusion("c", "b", 5, 20, 0, None), Confusion("a", "b", 3, 20, 0, None)]
UNLIKE = [Confusion("b", "c", 5, 20, 0, None), Confusion("a", "b", 5, 20, 0, None)]


def clips(groups: int, of_each: int, actions: str = "abc") -> pd.DataFrame:
    rows = [(action, f"g{group}") for action in actions for group in range(groups) for _ in range(of_each)]
    return pd.DataFrame(rows, columns=["action", "group"])


@pytest.mark.parametrize(
    ("train", "test", "confusions", "network", "cause", "command"),
    [
        (clips(9, 9), clips(1, 1, "ab"), ALIKE, PROBE, "even with all of its 2 clips of 1 groups", "split.test=0.4"),
        (clips(9, 3), clips(6, 3), ALIKE, LRCN, "few clips: 'a' has 27", "FROM='/my clips' RECIPE=auto"),
        (clips(9, 1), clips(6, 3), ALIKE, PROBE, "few clips: 'a' has 9 to train on. Add some", "FROM='/my clips'"),
        (clips(3, 9), clips(6, 3), ALIKE, PROBE, "few groups: 'a' was trained on 3", "make learn FROM='/my clips'"),
        (clips(9, 9), clips(6, 3), ALIKE, PROBE, "13 of the 16 most frequent mistakes confuse", "make learn"),
        (clips(9, 9), clips(6, 3), UNLIKE, PROBE, "samples.png", "make learn FROM='/my clips' RECIPE=lrcn"),
        (clips(9, 2), clips(6, 3), UNLIKE, PROBE, "hold what their names say, then", "make learn"),
        (clips(9, 9), clips(6, 3), UNLIKE, LRCN, "samples.png", "RECIPE=auto"),
        (clips(9, 9), clips(6, 3), UNLIKE, SENSES, "Check that the folders hold", "model.head=lstm"),
        (clips(9, 9), clips(6, 3), ALIKE, SENSES, "confuse 'b' and 'c'. If they are one action", "make learn"),
    ],
)  # fmt: skip
def test_the_cause_is_found_in_the_data(
    train: pd.DataFrame, test: pd.DataFrame, confusions: list[Confusion], network: ModelParams, cause: str, command: str
) -> None:
    said = what_to_try(train, test, confusions, network, MINE)
    assert cause in said
    assert command in said
