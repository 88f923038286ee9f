"""The project that a service is for: `actreel` is run in its folder, in processes of their own.

Teaching needs MLflow and what trains, which no worker of the service imports.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from actreel.youtube.access import PREFIX
from serving.answers import Served
from serving.settings import Settings

PROGRAM = (sys.executable, "-c", "from actreel.cli import main; main()")
"""`actreel`; not the console script, which may be another installation's."""

LOWER_PRIORITY = 10

_ERROR = re.compile(r"^error: (.+)\Z", re.MULTILINE | re.DOTALL)
_WARNING = re.compile(r"^warning: (.+)$", re.MULTILINE)

log = logging.getLogger(__name__)


class CommandError(Exception):
    """A command of the project failed; the text says why, for the operator."""


@dataclass(frozen=True)
class Project:
    """The project that trained the served model.

    Attributes:
        folder: Its folder.
        feedback_dir: Where feedback is kept.
        model: The registered model that is taught.
    """

    folder: Path
    feedback_dir: Path
    model: str

    @classmethod
    def of(cls, settings: Settings, served: Served) -> Self | None:
        """The operator's project, or None if nothing can be taught from the page; a warning then says why."""
        if settings.project_dir is None:
            return None
        model = served.labels.get("registered_model", "")
        why = ""
        if settings.api_key is None:
            why = f"{PREFIX}API_KEY is not set, and teaching needs the operator's key"
        elif not model:
            why = "the served model is not registered"
        elif find_spec("tensorflow") is None:
            why = f"the training code is not installed in {sys.prefix}; start the service with: make serve"
        if why:
            log.warning(f"{PREFIX}PROJECT_DIR is set, but the page does not offer teaching: {why}")
            return None
        return cls(settings.project_dir, settings.feedback_dir.absolute(), model)

    async def run(self, *words: str) -> tuple[dict[str, Any], list[str]]:
        """Runs `actreel WORDS --json` to its end; a caller that is cancelled has it killed, with all that it started.

        Args:
            words: A command with its arguments.

        Returns:
            What it answered, and the sentences that it warned with.

        Raises:
            CommandError: It failed.
        """
        process = await asyncio.create_subprocess_exec(
            *PROGRAM, *words, "--json", cwd=self.folder, env=self._environment(), start_new_session=True,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            with suppress(ProcessLookupError, PermissionError):
                os.setpriority(os.PRIO_PGRP, process.pid, LOWER_PRIORITY)  # visitors' videos come first
            answer, said = (each.decode("utf-8", "replace") for each in await process.communicate())
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError, PermissionError):  # macOS refuses to signal a zombie
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if process.returncode == 0:
            return json.loads(answer), _WARNING.findall(said)
        if error := _ERROR.search(said):
            raise CommandError(error[1].strip())
        log.error(f"'actreel {words[0]}' ended with status {process.returncode}:\n{said}")
        raise CommandError(f"'actreel {words[0]}' failed. The service's log says how.")

    def _environment(self) -> dict[str, str]:
        """Without the service's own settings, such as its key."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        return {**own, f"{PREFIX}FEEDBACK_DIR": str(self.feedback_dir)}
