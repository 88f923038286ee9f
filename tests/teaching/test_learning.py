import numpy as np
import pandas as pd

from actreel.teaching.learning import NEVER_HELD_OUT, deal_folds


def test_groups_of_rare_actions_are_spread_over_the_folds_and_fitted_clips_are_never_held_out() -> None:
    common = [("Jump", f"p{number}") for number in range(12)]
    rows = pd.DataFrame(
        [*common, ("Wave", "a"), ("Wave", "b"), ("Wave", "b"), ("Jump", "b"), ("Jump", "p3")],
        columns=["action", "group"],
    )
    fitted = np.array([number < 3 or number == 16 for number in range(len(rows))])
    folds = deal_folds(rows, fitted)
    assert (folds[fitted] == NEVER_HELD_OUT).all()
    assert (folds[~fitted] >= 0).all()
    wave = rows["action"] == "Wave"
    assert len(set(folds[wave])) == 2, "two groups, two folds"
    for _, same in pd.Series(folds[~fitted]).groupby(rows.loc[~fitted, "group"].to_numpy()):
        assert same.nunique() == 1
