"""Runs, artifacts and the model registry: the only package that imports MLflow.

A logged classifier is loaded through this package wherever it is used, so this file imports nothing.
"""

import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
