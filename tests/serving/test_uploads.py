"""Uploads on a slow disk; what forms are refused is in test_api.py and test_hostile.py."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

from fastapi import Request
from starlette.types import Message

from serving.uploads import receive_clip

VIDEO = bytes(range(256)) * 4000


def test_a_disk_that_stands_still_holds_up_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "video"
    os.mkfifo(path)  # a write to it waits until somebody reads
    goes_on = threading.Event()
    read: list[bytes] = []

    def read_late() -> None:
        with path.open("rb") as pipe:
            goes_on.wait(30)
            read.append(pipe.read())

    form = b'--b\r\nContent-Disposition: form-data; name="video"; filename="a.avi"\r\n\r\n' + VIDEO + b"\r\n--b--\r\n"
    parts = [form[start : start + 2**16] for start in range(0, len(form), 2**16)]

    async def receive() -> Message:
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def run() -> str:
        headers = [(b"content-type", b"multipart/form-data; boundary=b")]
        request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
        receiving = asyncio.create_task(receive_clip(request, path, 2 * len(VIDEO), signals_alone=False))
        for _ in range(20):  # would not get here if the write were on the event loop
            await asyncio.sleep(0.005)
        assert not receiving.done()
        goes_on.set()
        return (await receiving).title

    reader = threading.Thread(target=read_late)
    reader.start()
    threading.Timer(5, goes_on.set).start()  # or the test would never end where it fails
    started = asyncio.run(asyncio.wait_for(run(), 30))
    reader.join()
    assert started == "a.avi"
    assert read == [VIDEO]
