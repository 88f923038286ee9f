"""Schemathesis sends requests that fit the OpenAPI document and some that do not: none is answered with a 5xx."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.serving.conftest import Server

CHECKS = "not_a_server_error,content_type_conformance,response_schema_conformance,unsupported_method"


def test_no_call_answers_5xx_or_breaks_its_own_document(server: Server, tmp_path: Path) -> None:
    run = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "run", f"{server.address}/docs.json", "--checks", CHECKS,
            "--phases", "examples,coverage,fuzzing", "--max-examples", "5", "--seed", "1", "--no-color",
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    tested = re.search(r"Tested: (\d+)", run.stdout)
    assert tested is not None
    assert int(tested[1]) >= 11, run.stdout
    assert "Traceback" not in server.log
