"""Brings an encoder's weights from the internet, or from a file, to where the pipeline finds them."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import yaml

from actreel.base.atomic import written_aside
from actreel.base.faults import reading
from actreel.base.places import ENCODERS, check_project
from actreel.dataset.fetch.adopt import check_file
from actreel.dataset.fetch.download import download
from actreel.dataset.fetch.partial import Advice, PartialFile
from actreel.errors import ConfigError, FetchError, ModelError
from actreel.project.encoder_sources import SOURCES, EncoderSource
from actreel.training.onnx_files import read_encoder

log = logging.getLogger(__name__)

ATTEMPTS = 4
"""Attempts in a row without a new byte before the next address is tried."""


def keras_weights() -> Path:
    """The folder in which Keras looks for weights before it downloads them."""
    return Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models"


def find_source(name: str) -> EncoderSource:
    """The encoder of this name that can be pulled.

    Raises:
        ConfigError: There is none.
    """
    for source in SOURCES:
        if source.name == name:
            return source
    raise ConfigError(
        f"an encoder to pull must be one of {', '.join(each.name for each in SOURCES)}. Received: '{name}'. An ONNX "
        "file of your own needs no pulling: actreel encoders list /path/to/FILE.onnx"
    )


def pull(
    source: EncoderSource, *, mirrors: Sequence[str] = (), file: Path | None = None, first_pause_s: float = 1.0
) -> Path:
    """Brings an encoder to where `model.weights` finds it, and checks it; does nothing if it is there.

    Args:
        source: The encoder.
        mirrors: Addresses to try before those of the table.
        file: The file itself, fetched on another machine; copied in place of a download.
        first_pause_s: As for `download`.

    Returns:
        Where it is now.

    Raises:
        FetchError: No address gives it, or it is not the expected file.
        ModelError: It is an ONNX file that cannot be used as an encoder.
    """
    if not source.of_keras:
        check_project(Path())
    folder = keras_weights() if source.of_keras else ENCODERS
    target = folder / source.file
    sha256 = source.sha256 or _seen_before(target)
    if not source.pinned and sha256 is None:
        log.warning(
            f"No digest of {source.name} is known beforehand: what comes now is trusted, its sha256 is kept in "
            f"'{_record_of(target)}', and whatever comes later must be the same."
        )
    folder.mkdir(parents=True, exist_ok=True)
    if file is None:
        origin = _download(source, [*mirrors, *source.urls], target, sha256, first_pause_s)
    else:
        origin = _copy(source, file, target, sha256)
    if not source.of_keras:
        with written_aside(target.with_suffix(".yaml")) as aside:
            aside.write_text(yaml.safe_dump(dict(source.settings), sort_keys=False), encoding="utf-8")
        try:
            read_encoder(target)
        except ModelError:
            if not source.pinned and not _record_of(target).exists():
                target.unlink()  # it came first, and is no such file
            raise
    _record(source, target, origin)
    return target


def _download(
    source: EncoderSource, urls: Sequence[str], target: Path, sha256: str | None, first_pause_s: float
) -> str:
    """Tries each address in turn; returns the one that gave the file."""
    failed = []
    advice = Advice(
        f"Try another address: actreel encoders pull {source.name} --mirror https://… Or bring the file from another "
        f"machine: actreel encoders pull {source.name} --from FILE",
        f"delete '{_record_of(target)}'",
    )
    for url in urls:
        part = PartialFile(target)
        if part.remote is not None and part.remote.url != url and not (source.pinned or sha256):
            # Nothing would tell that the second half is of another file.
            part.path.unlink()
        try:
            download(
                url, target, size=source.size, md5=source.md5, sha256=sha256, first_pause_s=first_pause_s,
                most_failures=ATTEMPTS, advice=advice,
            )  # fmt: skip
            return url
        except FetchError as error:
            if target.exists():
                raise  # what is there is another file, whatever the next address gives
            failed.append(str(error))
            if part.size and part.size == (part.remote.total if part.remote else None):
                part.path.unlink()  # whole, and wrong
            log.warning(f"{source.name} cannot be had from {url}: {error}")
    raise FetchError(f"none of {len(urls)} addresses gives {source.name}. The last one: {failed[-1]}")


def _copy(source: EncoderSource, file: Path, target: Path, sha256: str | None) -> str:
    if not file.is_file():
        raise FetchError(f"--from needs the file {source.file} of {source.name}. Received: '{file}'")
    check_file(file, source.size, source.md5, "--from", sha256)
    with written_aside(target) as aside:
        shutil.copyfile(file, aside)
    return str(file.absolute())


def _record_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.source.json")


def _seen_before(target: Path) -> str | None:
    """The sha256 of the file that came first, or None if none has come yet."""
    record = _record_of(target)
    if not record.exists():
        return None
    with reading(record, f"Delete it and pull again: rm '{record}'"):
        return str(json.loads(record.read_text(encoding="utf-8"))["sha256"])


def _record(source: EncoderSource, target: Path, origin: str) -> None:
    """Keeps where the file came from, unless that is known already."""
    if _record_of(target).exists():
        return
    with target.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    values = {
        "name": source.name, "from": origin, "sha256": digest, "size": target.stat().st_size,
        "licence": source.licence, "page": source.page, "pulled_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip
    with written_aside(_record_of(target)) as aside:
        aside.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
