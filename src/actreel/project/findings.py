"""What a check of the machine finds."""

from __future__ import annotations

from dataclasses import dataclass

REINSTALL = "rm -rf .venv && make setup"


@dataclass(frozen=True)
class Finding:
    """What one check finds.

    Attributes:
        ok: Whether all is well.
        needed: Whether something that is needed is broken, if it is not.
        said: What was found.
        fix: The command that repairs it; None if there is nothing to repair, or `said` has it.
    """

    ok: bool
    needed: bool
    said: str
    fix: str | None = None


def fine(said: str) -> Finding:
    """All is well."""
    return Finding(True, False, said)


def note(said: str, fix: str | None = None) -> Finding:
    """Something is not as it could be, and nothing that is needed is broken."""
    return Finding(False, False, said, fix)


def fault(said: str, fix: str | None = None) -> Finding:
    """Something that is needed is broken."""
    return Finding(False, True, said, fix)
