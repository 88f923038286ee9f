"""What a visitor's browser needs to run the model itself: two files of ONNX Runtime, and the model's ONNX files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from actreel.config import ClipSpec
from actreel.inference.model_folder import ModelFolder
from actreel.inference.on_device import PACKED_PROGRAM, RUNTIME_VERSION, SCRIPT, runtime_files, why_not
from serving.answers import Served, ServedModel


class DeviceFile(BaseModel):
    """A file of `GET /on_device/{name}`; `version` is another where its content is."""

    name: str
    bytes: int
    version: str


class OnDevice(BaseModel):
    """What a page needs to recognise actions on the visitor's own device.

    `networks` are ONNX files: encoder and head, or one for both. `max_distance` is the largest distance, the network's
    second output, at which a clip counts as known, or null if every clip does.
    """

    runtime: DeviceFile
    networks: list[DeviceFile]
    labels: list[str]
    clip: ClipSpec
    clip_duration_s: float | None
    max_distance: float | None
    model: ServedModel


@dataclass(frozen=True)
class DeviceFiles:
    """The files that visitors' browsers are handed.

    Attributes:
        description: What they are; None if the model was packaged without the runtime, or a browser cannot run it.
        runtime: ONNX Runtime's files by name.
        networks: The model's ONNX files by name.
    """

    description: OnDevice | None
    runtime: dict[str, Path]
    networks: dict[str, Path]


def device_files(served: Served) -> DeviceFiles:
    """What visitors' browsers are handed of a model."""
    card = served.classifier.card
    runtime = runtime_files(served.folder)
    if not runtime or why_not(card, served.folder) is not None:
        return DeviceFiles(None, {}, {})
    networks = {file.name: file for file in ModelFolder(served.folder).network_files()}
    program = runtime[PACKED_PROGRAM]
    description = OnDevice(
        runtime=DeviceFile(name=PACKED_PROGRAM, bytes=program.stat().st_size, version=RUNTIME_VERSION),
        networks=[
            DeviceFile(name=name, bytes=file.stat().st_size, version=hashlib.sha256(file.read_bytes()).hexdigest()[:16])
            for name, file in networks.items()
        ],
        labels=list(card.labels),
        clip=card.clip,
        clip_duration_s=card.clip_duration_s,
        max_distance=card.max_distance,
        model=served.model,
    )
    return DeviceFiles(description, {SCRIPT: runtime[SCRIPT], PACKED_PROGRAM: program}, networks)
