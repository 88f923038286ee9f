from __future__ import annotations

import time
from pathlib import Path

import pytest

from serving.tickets import VALID_S, Tickets


def test_a_ticket_is_valid_for_a_while_with_all_workers_of_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = Tickets.shared(tmp_path), Tickets.shared(tmp_path)
    ticket = one.issue()
    assert other.accepts(ticket)
    assert ticket != one.issue()
    assert [path.name for path in tmp_path.iterdir()] == ["tickets"]
    assert (tmp_path / "tickets").stat().st_mode & 0o077 == 0, "other users cannot read the secret"
    later = time.time() + VALID_S + 2
    monkeypatch.setattr(time, "time", lambda: later)
    assert not other.accepts(ticket)


def test_nothing_else_is_a_ticket(tmp_path: Path) -> None:
    tickets = Tickets.shared(tmp_path)
    expires, nonce, signature = tickets.issue().split(".")
    longer = f"{int(expires) + 1000}.{nonce}.{signature}"
    for forged in ("", ".", "..", "actreel.camera", longer, f"{expires}.{nonce}.", f"{expires}.{nonce}.\u00e9"):
        assert not tickets.accepts(forged), forged
    assert not Tickets(b"another secret").accepts(f"{expires}.{nonce}.{signature}")
