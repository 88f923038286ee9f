"""DVC's private parts, in this file only; tests/dataset/fetch/test_dvc_internals.py says what an upgrade has broken.

DVC 3.67 has no public way to do any of the three. To record an import that is already on disk, `dvc commit`, `dvc
update` and `dvc import-url --no-download` all ask the server for its headers first, and fail where DVC's own HTTP
client cannot reach it (UCF's host has had a broken certificate chain); `dvc.api` only reads. `dvc exp run -S` edits
params.yaml, but if it is killed it leaves git's index locked, and the next run fails. And nothing says whether
`dvc.lock` can be read, but commands that then fail.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from dvc.utils import strictyaml
from dvc.utils.serialize import modify_yaml

from actreel.base.atomic import written_aside


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
