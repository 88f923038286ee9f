"""Every path of a project, relative to the top of the repository. No other file names one."""

from pathlib import Path

from actreel.errors import ConfigError

PIPELINE = Path("dvc.yaml")
PARAMS = Path("params.yaml")
DVC_LOCK = Path("dvc.lock")
DVC_RUNNING = Path(".dvc", "tmp", "rwlock")
"""Which process runs which stage now; DVC keeps it."""
DVC_HELD = Path(".dvc", "tmp", "lock")
"""Held by the DVC process that is not in a stage."""
DVC_CACHE = Path(".dvc", "cache", "files", "md5")
DVC_CACHE_CHECKED = Path(".dvc", "tmp", "checked")
"""When DVC's cache was last checked; see `actreel.base.linked_cache`."""

DATA = Path("data")
UNPACKED = DATA / "unpacked"
ENCODERS = DATA / "encoders"
"""ONNX files that `actreel encoders pull` has brought, each with its settings and where it came from."""

ARTIFACTS = Path("artifacts")
SOURCE = ARTIFACTS / "source.json"
VIDEOS = ARTIFACTS / "videos"
INGEST_WARNINGS = ARTIFACTS / "ingest_warnings.json"
ENCODE_WARNINGS = ARTIFACTS / "encode_warnings.json"
PACKAGE_WARNINGS = ARTIFACTS / "package_warnings.json"
INDEX = ARTIFACTS / "index.parquet"
CLIPS = ARTIFACTS / "clips"
FEATURES = ARTIFACTS / "features"
MODEL = ARTIFACTS / "model"
RUNNER_UP = ARTIFACTS / "runner_up"
"""Of the network and its order-blind baseline, the one that is not the model; empty if the network is order-blind."""
TRAINING = ARTIFACTS / "training"
CANDIDATES = TRAINING / "candidates.csv"
CHOSEN = TRAINING / "chosen"
"""Features of the chosen variant of the clip; missing if that is the clip of params.yaml."""
GROUP_CURVE = TRAINING / "groups.csv"
"""The learning curve over groups; see `actreel.training.group_curve`."""
TRAINING_WARNINGS = TRAINING / "warnings.json"
BENTO = ARTIFACTS / "bento"
NOT_PACKAGED = BENTO / "NOT_PACKAGED.txt"
"""Why there is no Bento."""
MODEL_TAG = Path("serving", "model_tag.txt")
"""In a Bento's sources: the model's exact tag in BentoML's store."""

SERVED = Path(".bentoml", "served")
"""The copies of Bentos that `make serve` serves from."""

MLFLOW_DATABASE = Path("mlflow.db")
"""Runs and model registry, unless a server has them; see `actreel.tracking.store`."""

REPORTS = Path("reports")
DATASET = REPORTS / "dataset"
DATA_WARNINGS = DATASET / "warnings.json"
"""What ingest and index warned of; see `actreel.base.kept_warnings`."""
WARNINGS = (DATA_WARNINGS, TRAINING_WARNINGS)
"""What all stages up to the model warned of; those of `encode` are among the second's."""
SAMPLES = REPORTS / "samples.png"
"""A clip of each action, or a sentence where the model sees no pixels."""
VALIDATION = REPORTS / "validation"
PLOTS = REPORTS / "figures"
METRICS = REPORTS / "metrics.json"
ANSWERS = REPORTS / "answers.csv"
"""What the model answered to each test clip; kept with its run too."""
VERDICT = REPORTS / "verdict.json"
CHAMPION = REPORTS / "champion.json"

KEPT = ARTIFACTS / "kept"
"""What stages keep between their runs; DVC does not know it."""
VARIANTS = KEPT / "variants"
"""Features of the training clips in other variants; see `actreel.training.variants`."""
CROSSVAL = ARTIFACTS / "crossval"
SWEEPS = ARTIFACTS / "tune"
GROUP_SALT = ARTIFACTS / "group_salt"
"""What names of groups are hashed with before statistics leave this place; see `actreel.federation`."""

UNKNOWN = "_unknown"
"""The class folder, and the split, of clips that show none of the actions."""


def below_home(path: str) -> str:
    """The path, whole where it begins with `~`: only a shell reads that, and not everywhere.

    Raises:
        ConfigError: It begins with the name of a user who does not exist.
    """
    if not path.startswith("~"):
        return path
    try:
        return str(Path(path).expanduser())
    except RuntimeError as error:
        raise ConfigError(
            f"'~' must stand for a user's home folder. Received: '{path}'. Write the whole path."
        ) from error


def project_root(start: Path | None = None) -> Path:
    """The repository's top, also from within the copy of it that a queued DVC experiment runs in."""
    here = (start or Path.cwd()).resolve()
    for parent in here.parents:
        if parent.name == ".dvc":  # DVC's copies are in .dvc/tmp/exps/
            return parent.parent
    return here


def check_project(folder: Path) -> None:
    """Checks that a folder is a project's, before anything is read or written there.

    Raises:
        ConfigError: It is not.
    """
    if not (folder / PIPELINE).is_file():
        raise ConfigError(
            f"Run this from the project's folder, which holds {PIPELINE}. Received: '{folder.absolute()}'. "
            "Go there first: cd PATH/TO/PROJECT"
        )
