"""`model.head: auto` against twenty lines of scikit-learn, on real clips of a few actions.

python -m benchmarks.against_sklearn [--clips FOLDER] [--work FOLDER]

Both get the same features of EfficientNet-Lite0 at 224 px, which are kept in the work folder, and the same folds of
groups. scikit-learn's logistic regression learns from every training clip, with C from 0.01 to 1, all of which are
printed: to take the best of them would be a choice on the test clips.
"""

import argparse
import logging
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from actreel.config import Params, load_params, override
from actreel.dataset.records import clips_of
from actreel.dataset.splits import assign_folds, hold_out_fold, learnable_clips
from actreel.dataset.store import Store
from actreel.errors import DatasetError
from actreel.evaluation import metrics
from actreel.evaluation.intervals import interval_over_groups
from actreel.experiments.heldout import fit_and_score, prepare
from benchmarks.real_clips import DEFAULT, REAL_CLIPS
from pipelines.learn import read_recipe

STRENGTHS = (0.01, 0.1, 1.0)


def twenty_lines(store: Store, train: pd.DataFrame, test: pd.DataFrame, strength: float) -> list[str]:
    def pooled(rows: pd.DataFrame) -> np.ndarray:
        features = store.take(rows["clip"].tolist())
        change = np.abs(np.diff(features, axis=1)).mean(axis=1)
        return np.concatenate([features.mean(axis=1), features.std(axis=1), change], axis=1)

    solver = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=5000))
    return [str(label) for label in solver.fit(pooled(train), train["action"]).predict(pooled(test))]


def compare(params: Params, folds: int | None, work: Path) -> pd.DataFrame:
    """For each test clip its `action` and `group`, and each method's answer."""
    index, inputs = prepare(params, work)
    clips = learnable_clips(index)
    store, fold_of = inputs(params.clip), assign_folds(clips, folds, params.split.seed)
    parts = []
    for fold in range(int(fold_of.max()) + 1):
        index["split"] = hold_out_fold(clips, fold_of, fold, params.split).reindex(index.index, fill_value="")
        test, train = clips_of(index, "test"), index[index["split"].isin(("train", "val"))]
        score = fit_and_score(params, index, store, on_epoch=lambda epoch, values: None)
        given = test[["action", "group"]].assign(auto=[answer[2] for answer in score.answers])
        for strength in STRENGTHS:
            given[f"scikit-learn, C={strength:g}"] = twenty_lines(store, train, test, strength)
        parts.append(given)
    return pd.concat(parts, ignore_index=True)


def main() -> None:
    """Prints accuracy with its interval over groups, and balanced accuracy, for each method and dataset."""
    logging.basicConfig(level=logging.WARNING)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, default=DEFAULT)
    parser.add_argument("--work", type=Path, default=Path("artifacts/against_sklearn"))
    options = parser.parse_args()
    recipe = read_recipe("auto").settings
    settings = [f"{section}.{key}={value}" for section, part in recipe.items() for key, value in part.items()]
    for clips in REAL_CLIPS:
        try:
            source = clips.at_hand(options.clips, options.work)
        except DatasetError as error:
            print(f"{clips.name}: skipped. {error}")
            continue
        about = ["dataset.name=folder", f"dataset.path={source}", *settings]
        answers = compare(override(load_params(), about), clips.folds, options.work / "cache")
        print(f"{clips.name}: {len(answers)} clips, {answers['group'].nunique()} groups", flush=True)
        for method in answers.columns.drop(["action", "group"]):
            right = answers[method] == answers["action"]
            low, high = interval_over_groups(right.to_numpy(), answers["group"].tolist())
            balanced = metrics.balanced_accuracy(answers["action"].tolist(), answers[method].tolist())
            print(
                f"  {method:22} {right.sum()} right, {right.mean():.3f} (95 %: {low:.3f} to {high:.3f}), "
                f"balanced {balanced:.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
