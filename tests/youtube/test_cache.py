from __future__ import annotations

import os
import time
from pathlib import Path

from actreel.youtube.cache import VideoCache


def test_the_least_recently_used_are_evicted(tmp_path: Path) -> None:
    cache = VideoCache(tmp_path / "cache", max_bytes=250)
    source = tmp_path / "source"
    source.write_bytes(bytes(100))
    for age, key in [(3, "first"), (2, "second")]:
        cache.copy_in(key, source, key)
        then = time.time() - age
        os.utime(tmp_path / "cache" / key.encode().hex(), (then, then))
    assert cache.copy_out("first", tmp_path / "out") == "first"  # and so it is the latest
    cache.copy_in("third", source, "third")
    assert [cache.copy_out(key, tmp_path / "out") for key in ("first", "second", "third")] == ["first", None, "third"]
    assert not (tmp_path / "cache" / b"second".hex()).exists()
    source.write_bytes(bytes(251))
    cache.copy_in("huge", source, "huge")
    assert cache.copy_out("huge", tmp_path / "nothing") is None
    assert not (tmp_path / "nothing").exists()
    assert cache.copy_out("first", tmp_path / "out") == "first"


def test_ids_that_differ_in_case_are_kept_apart(tmp_path: Path) -> None:
    cache = VideoCache(tmp_path / "cache", max_bytes=1000)
    (tmp_path / "source").write_bytes(b"video")
    for key in ("abc", "ABC"):
        cache.copy_in(key, tmp_path / "source", key)
    assert len({entry.name.casefold() for entry in (tmp_path / "cache").iterdir()}) == 2
