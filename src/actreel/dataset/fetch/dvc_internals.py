"""DVC's private parts, in this file only; tests/dataset/fetch/test_dvc_internals.py says what an upgrade has broken.

DVC 3.67 has no public way to do any of these. To record an import that is already on disk, `dvc commit`, `dvc
update` and `dvc import-url --no-download` all ask the server for its headers first, and fail where DVC's own HTTP
client cannot reach it (UCF's host has had a broken certificate chain); `dvc.api` only reads. `dvc exp run -S` edits
params.yaml, but if it is killed it leaves git's index locked, and the next run fails. Nothing says whether
`dvc.lock` can be read, but commands that then fail. And `dvc status --json` takes a process of its own, with its
warnings, and gives no order of the stages.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from dvc.utils import strictyaml
from dvc.utils.serialize import modify_yaml

from actreel.base.atomic import written_aside
from actreel.base.places import PIPELINE
from actreel.errors import ActreelError


def record_import(dvc_file: Path) -> None:
    """Writes the md5 of an imported file, and of the import itself, into its .dvc file, as `dvc commit` would.

    Args:
        dvc_file: Describes one import, whose file exists.
    """
    with Repo() as repo:
        (stage,) = repo.stage.load_file(str(dvc_file))
        (out,) = stage.outs
        with repo.lock:
            out.save()
            stage.md5 = stage.compute_md5()
            stage.dump()


def lock_is_whole(path: Path) -> bool:
    """Whether DVC can read a lock file; a run that was killed may leave it empty or cut off."""
    try:
        strictyaml.load(str(path), COMPILED_LOCKFILE_SCHEMA)
    except DvcException:
        return False
    return True


def cache_folder() -> Path:
    """The folder of DVC's cache.

    Raises:
        ActreelError: DVC does not work in this folder.
    """
    try:
        with Repo() as repo:
            return Path(repo.cache.local.path)
    except DvcException as error:
        raise ActreelError(f"DVC does not work in this folder: {error}. See: dvc doctor") from error


def edit_params(path: Path, changes: Mapping[str, Mapping[str, Any]]) -> None:
    """Changes values in sections of a YAML file, all of them or none, and keeps its comments.

    Args:
        path: The file.
        changes: New values for each key at the top of the file.
    """
    with written_aside(path) as aside:
        shutil.copyfile(path, aside)
        with modify_yaml(str(aside)) as values:
            for section, new in changes.items():
                values[section] |= dict(new)


MISSING = frozenset({"deleted", "not in cache"})
"""DVC's words for a file that is not here."""


@dataclass(frozen=True)
class Changes:
    """What DVC would do about the pipeline.

    Attributes:
        stages: For each stage that is not as it was when it last ran, in the order of the pipeline, what has changed:
            dependencies, parameters and missing outputs. A stage that DVC always runs counts only if more has changed.
        only_missing: Whether nothing has changed, but outputs of a finished run are not here, as in a new clone.
        has_remote: Whether DVC knows a remote to bring them from.
    """

    stages: Mapping[str, tuple[str, ...]]
    only_missing: bool
    has_remote: bool


def pipeline_changes() -> Changes:
    """What `dvc status` says of the stages in dvc.yaml; imports (.dvc files) are left out.

    Raises:
        ActreelError: DVC cannot tell, as for a dvc.yaml that is no YAML.
    """
    logging.getLogger("dvc").setLevel(logging.ERROR)  # it warns of every frozen import
    try:
        with Repo() as repo:
            status = repo.status()
            has_remote = bool(repo.config["remote"])
        # With PyYAML, as asking DVC for its stages again takes half a second.
        order = list(yaml.safe_load(PIPELINE.read_text(encoding="utf-8"))["stages"])
    except DvcException as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise ActreelError(f"DVC cannot tell what has changed: {reason}. See: dvc status") from error
    found = {stage: [each for each in reasons if isinstance(each, dict)] for stage, reasons in status.items()}
    found = {stage: reasons for stage, reasons in found.items() if reasons and not stage.endswith(".dvc")}
    how = [way for reasons in found.values() for reason in reasons for way in _ways(reason)]
    stages = {stage: tuple(_in_words(found[stage])) for stage in sorted(found, key=order.index)}
    return Changes(stages, bool(how) and set(how) <= MISSING, has_remote)


def _ways(reason: Mapping[str, Any]) -> Iterator[str]:
    """How each thing has changed: `modified`, `new`, `deleted`, `not in cache`."""
    for kind, changed in reason.items():
        if isinstance(changed, dict):
            yield from (how if isinstance(how, str) else "modified" for how in changed.values())
        else:
            yield kind


def _in_words(reasons: list[dict[str, Any]]) -> Iterator[str]:
    """One of DVC's reasons each: `train in params.yaml`, `src/actreel/video`, `artifacts/model is missing`."""
    for reason in reasons:
        for kind, changed in reason.items():
            if not isinstance(changed, dict):
                yield kind.removeprefix("changed ")
                continue
            for name, how in changed.items():
                if isinstance(how, dict):  # a file of parameters
                    yield from (f"{key} in {name}" for key in how)
                elif how in MISSING:
                    yield f"{name} is missing"
                else:
                    yield name
