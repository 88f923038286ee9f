"""What BentoML's own clients read before their first call: `/schema.json`.

`bentoml.SyncHTTPClient` and `AsyncHTTPClient` make a method of each call that this document lists. BentoML would write
it from typed `@bentoml.api` methods, but it then answers their paths itself: it reads the whole form, without limits
on size and speed, before any code of ours runs, and its refusals have another form. So the document is ours, the calls
stay what they are for curl and the page, and `serving.service` hands this one path to the application.

Which of the two holds better under BentoML's next release? The client reads `name`, `route`, `input` and `output` of
each entry of `routes`, as since BentoML 1.2, and its files are the same in 1.4.39 and 1.4.40. If that changes, a client
finds no call and tests/serving/routes/test_schema.py fails; had we methods that only look served by BentoML, a change
could let uploads past the limits.

`@bentoml.task` does not serve for jobs: its client leaves out a path that a proxy has added, its states have neither
progress nor reason, and its cancel is not supported by BentoML's server. `create_job` is a call as any other.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from serving.answers import JobCreated, Link, Prediction
from serving.routes.jobs import create_job
from serving.routes.predictions import predict_file, predict_url

SCHEMA_PATH = "/schema.json"

# "file" is BentoML's type: its client then sends the field as a multipart upload.
_UPLOAD = {"type": "object", "properties": {"video": {"type": "file", "format": "binary"}}, "required": ["video"]}

router = APIRouter(tags=["Service"])


@router.get(SCHEMA_PATH, include_in_schema=False)
async def schema() -> dict[str, Any]:
    """The calls, as BentoML's clients read them."""
    return {
        "name": "actreel",
        "type": "service",
        "routes": [
            _route("/predict_file", predict_file, _UPLOAD, Prediction),
            _route("/predict_url", predict_url, Link.model_json_schema(), Prediction),
            _route("/jobs", create_job, _UPLOAD, JobCreated),
        ],
    }


def _route(path: str, call: Callable[..., Any], body: dict[str, Any], answer: type[BaseModel]) -> dict[str, Any]:
    return {
        "name": call.__name__,
        "route": path,
        "doc": inspect.getdoc(call),
        "input": body,
        "output": answer.model_json_schema(),
        "batchable": False,
        "is_task": False,
    }
