"""Prometheus metrics; every label comes from a closed set, so no visitor can add time series."""

from __future__ import annotations

import os

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

STAGE_SECONDS = Histogram(
    "actreel_stage_seconds",
    "Seconds in a stage of a prediction: upload, download, decode, model, total.",
    ["stage"],
    buckets=(0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.25, 2.5, 5, 10, 20, 40, 80, 160, 320),
)
REQUEST_SECONDS = Histogram(
    "actreel_request_seconds",
    "Seconds to answer a request, by route pattern and status.",
    ["method", "route", "status"],
    buckets=(0.005, 0.02, 0.08, 0.32, 1.25, 5, 20, 80, 320),
)
REFUSALS = Counter("actreel_refusals", "Refused requests, by the code in the answer.", ["code"])

CAMERA_FRAMES = Counter("actreel_camera_frames", "Frames of cameras, answered or dropped for a newer one.", ["outcome"])


def exposition() -> tuple[bytes, str]:
    """All workers' metrics in Prometheus's text format, and its content type."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(), CONTENT_TYPE_LATEST
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_LATEST
