"""Every path of a project, relative to the top of the repository. No other file names one."""

from pathlib import Path

DATA = Path("data")
UNPACKED = DATA / "unpacked"

ARTIFACTS = Path("artifacts")
SOURCE = ARTIFACTS / "source.json"
VIDEOS = ARTIFACTS / "videos"
INDEX = ARTIFACTS / "index.parquet"
CLIPS = ARTIFACTS / "clips"
FEATURES = ARTIFACTS / "features"
MODEL = ARTIFACTS / "model"
BASELINE = ARTIFACTS / "baseline"
TRAINING = ARTIFACTS / "training"
BENTO = ARTIFACTS / "bento"
NOT_PACKAGED = BENTO / "NOT_PACKAGED.txt"
"""Why there is no Bento."""
MODEL_TAG = Path("serving", "model_tag.txt")
"""In a Bento's sources: the model's exact tag in BentoML's store."""

REPORTS = Path("reports")
DATASET = REPORTS / "dataset"
VALIDATION = REPORTS / "validation"
PLOTS = REPORTS / "figures"
METRICS = REPORTS / "metrics.json"
VERDICT = REPORTS / "verdict.json"
CHAMPION = REPORTS / "champion.json"

CROSSVAL = ARTIFACTS / "crossval"
SWEEPS = ARTIFACTS / "tune"

UNKNOWN = "_unknown"
"""The class folder, and the split, of clips that show none of the actions."""
