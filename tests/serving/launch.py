"""A server process for tests: `python -m tests.serving.launch MODEL PORT`, uvicorn as BentoML runs it."""

import logging
import sys
from pathlib import Path

import uvicorn

from actreel.inference.classifier import ActionClassifier
from serving.answers import Served
from serving.api import create_app
from serving.bentoml_internals import socket_options
from serving.camera.messages import longest_message
from serving.settings import Settings

logging.basicConfig(level=logging.INFO)
model = Path(sys.argv[1])
settings = Settings.from_environment()
app = create_app(settings)
app.state.served = Served(ActionClassifier.load(model, threads=1), "actreel:test", {}, model)
uvicorn.run(
    app, host="127.0.0.1", port=int(sys.argv[2]), log_config=None, access_log=False, server_header=False,
    **socket_options(longest_message(settings)),
)  # fmt: skip
