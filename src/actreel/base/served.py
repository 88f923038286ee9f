"""What `make serve` serves: a copy of a Bento, found through a link, and the process that serves it.

`serving.release` writes this folder, and `actreel status` reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import yaml

from actreel.base.processes import command_line

CURRENT = "current"
"""The link to the copy that is served."""
PID_FILE = "pid"
MANIFEST = "bento.yaml"


def is_bento(folder: Path) -> bool:
    """Whether a folder holds a Bento."""
    return (folder / MANIFEST).is_file()


def read_manifest(bento: Path) -> Mapping[str, Any]:
    """A Bento's manifest: its `name` and `version`, its `labels`, and more.

    Raises:
        OSError: It is missing.
        ValueError: It is damaged.
    """
    try:
        manifest = yaml.safe_load((bento / MANIFEST).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    if not isinstance(manifest, dict):
        raise ValueError(f"it holds {type(manifest).__name__}")
    return manifest


def tag_in(manifest: Mapping[str, Any]) -> str:
    """A Bento's tag: `name:version`."""
    return f"{manifest['name']}:{manifest['version']}"


def labels_in(manifest: Mapping[str, Any]) -> Mapping[str, str]:
    """A Bento's labels; they name the registered model in it and its version."""
    return manifest.get("labels") or {}


def find_server(home: Path) -> psutil.Process | None:
    """The server that runs from the copies in `home`, or None."""
    with suppress(FileNotFoundError, ValueError, psutil.Error):
        server = psutil.Process(int((home / PID_FILE).read_text(encoding="utf-8")))
        if str((home / CURRENT).absolute()) in command_line(server):  # another process may have got its number since
            return server
    return None


def address_of(server: psutil.Process) -> str:
    """Where a server of ours can be asked, on this machine."""
    command = command_line(server)
    host, port = (command[command.index(option) + 1] for option in ("--host", "--port"))
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"{'https' if '--ssl-certfile' in command else 'http'}://{host}:{port}"
