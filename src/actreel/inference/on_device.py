"""The model on visitors' own devices: what their browsers need for it, and which models they can run."""

from __future__ import annotations

from pathlib import Path

from actreel.inference.manifest import ClassifierCard
from actreel.inference.model_folder import ModelFolder

RUNTIME = "onnxruntime-web"
"""The npm package, and the folder inside of a packaged model that holds its files."""

RUNTIME_VERSION = "1.30.0"

SCRIPT = "ort.wasm.bundle.min.mjs"

PROGRAM = "ort-wasm-simd-threaded.wasm"

PACKED_PROGRAM = f"{PROGRAM}.gz"
"""The WebAssembly file as it is stored and sent: 3.7 MB instead of 14.2."""

MOST_BYTES = 8 * 2**20
"""The largest network that is handed to visitors: one that a phone loads in seconds, and runs."""


def why_not(card: ClassifierCard, folder: Path) -> str | None:
    """Why a browser cannot run the model in `folder`, in words for people; None if it can."""
    if card.encoder is not None and card.encoder.frames is not None:
        return "its encoder sees several frames at once"
    if card.track is not None:
        return "it takes more than pictures, which is all that the page reads"
    if card.clip.colour == "equalised":
        return "clip.colour is 'equalised', which the page does not compute"
    size = sum(file.stat().st_size for file in ModelFolder(folder).network_files())
    if size > MOST_BYTES:
        return f"its network has {size / 1e6:.1f} MB, and at most {MOST_BYTES / 1e6:.1f} MB are handed to visitors"
    return None


def runtime_files(folder: Path) -> dict[str, Path]:
    """The files of ONNX Runtime in a packaged model's folder, by name; empty unless all of them are there."""
    files = {name: folder / RUNTIME / name for name in (SCRIPT, PACKED_PROGRAM)}
    return files if all(file.is_file() for file in files.values()) else {}
