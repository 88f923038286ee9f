"""Runs, artifacts and the model registry: the only package that imports MLflow.

A logged classifier is loaded through this package wherever it is used, so this file imports nothing.
"""

import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# Off, since it breaks when another thread, as that of the system metrics, reads os.environ while a model is logged:
# MLflow notes each name that is read meanwhile in a set, and then walks through it. No model here needs a variable.
os.environ.setdefault("MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING", "false")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
