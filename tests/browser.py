"""A real Chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

PROGRAMS = ("chromium-headless-shell", "chromium")
"""Debian's builds of one Chromium. The first has no windows: it takes a third less processor time."""


@contextmanager
def chromium(arguments: Sequence[str] = ()) -> Iterator[Browser]:
    """A browser; skips the test where none is installed, and fails it on CI.

    As long as it is open, its thread has a running event loop: no asynchronous test may run beside it.

    Args:
        arguments: Further ones of its command line.
    """
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        missing = f"chromium is not installed. Install it: apt-get install {PROGRAMS[0]}"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu", "--in-process-gpu", *arguments]
        )
        yield browser
        browser.close()
