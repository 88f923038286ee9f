"""Decoder processes: limited, killable, replaced, and without secrets."""

from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path

import httpx
import psutil
import pytest

from actreel.config import ClipSpec
from actreel.inference.classifier import ClassifierCard, Provenance
from serving.sandbox.processes import Decoder, DecoderDiedError, DecoderPool, Done, Frames, Plan, Thumbnail
from serving.settings import Settings
from tests.conftest import grey_frames, patience, write_video_file
from tests.serving.conftest import Server, wait_for
from tests.serving.routes.test_jobs import ended, submit


def ask(client: httpx.Client, video: Path) -> httpx.Response:
    return client.post("/predict_file", files={"video": video.read_bytes()})


def test_a_killed_decoder_is_replaced_without_a_failed_request(narrow: Server, films: Path) -> None:
    with narrow.client() as client:
        for _ in range(3):
            for decoder in wait_for(lambda: narrow.decoders):
                decoder.kill()
            assert ask(client, films / "grey.avi").json()["label"] == "middle"


def test_a_decoder_killed_in_the_middle_is_tried_once_more(narrow: Server, halted: psutil.Process, films: Path) -> None:
    with ThreadPoolExecutor() as callers, narrow.client() as client:
        answer = callers.submit(ask, client, films / "grey.avi")
        wait_for(lambda: list((narrow.state / "workers").glob("*/request-*/video")))
        halted.kill()
        assert answer.result().json()["label"] == "middle"
    assert "a decoder died" in narrow.log
    wait_for(lambda: narrow.leftovers() == [])


def test_a_decoder_knows_no_secret_and_has_limits(locked: Server) -> None:
    decoder = locked.only_decoder()
    environment = decoder.environ()
    assert not [name for name in environment if name.startswith("ACTREEL")]
    assert "sesame" not in str(environment)
    memory = Settings().decoder_memory_bytes
    assert decoder.rlimit(psutil.RLIMIT_AS) == (memory, memory)
    assert decoder.rlimit(psutil.RLIMIT_FSIZE) == (0, 0)
    assert decoder.rlimit(psutil.RLIMIT_CORE) == (0, 0)
    assert decoder.rlimit(psutil.RLIMIT_NOFILE)[0] <= 64
    assert 0 < decoder.rlimit(psutil.RLIMIT_CPU)[0] < 120


@pytest.mark.parametrize(("side", "messages"), [(32, 1), (160, 6)])
def test_small_frames_are_batched_and_large_ones_are_sent_hop_by_hop(tmp_path: Path, side: int, messages: int) -> None:
    spec = ClipSpec(num_frames=20, height=side, width=side)
    provenance = Provenance(dataset="", data_version="", run_id="", git_commit="", trained_at="")
    card = ClassifierCard(labels=("a", "b"), clip=spec, clip_duration_s=2, provenance=provenance)
    film = write_video_file(tmp_path / "film.avi", grey_frames([90] * 150))

    async def watch() -> list[Plan | Frames | Thumbnail | Done]:
        decoder = await Decoder.start(card, Settings())
        async with aclosing(decoder.decode(film, 120, 0)) as said:
            heard = [message async for message in said]
        await decoder.kill()
        return heard

    begun, *sent, end = asyncio.run(watch())
    assert isinstance(begun, Plan)
    assert isinstance(end, Done)
    frames = [message.pixels for message in sent if isinstance(message, Frames)]
    assert (begun.windows.num_parts, len(frames)) == (60, messages)
    assert sum(map(len, frames)) == 60 * side * side * 3


def test_calls_and_jobs_have_a_decoder_each_and_no_more(server: Server, films: Path) -> None:
    with ThreadPoolExecutor(6) as callers, server.client() as client:
        jobs = [submit(client, films / "long.avi") for _ in range(3)]
        calls = [callers.submit(ask, client, films / "long.avi") for _ in range(6)]
        most = 0
        while not all(call.done() for call in calls):
            most = max(most, len(server.decoders))
            time.sleep(0.005)  # looking takes processor time that the decoders need
        assert [call.result().status_code for call in calls] == [200] * 6
        assert [ended(client, job)["state"] for job in jobs] == ["done"] * 3
    assert most == 2
    wait_for(lambda: len(server.decoders) == 1)


def test_a_full_service_answers_429(narrow: Server, halted: psutil.Process, films: Path) -> None:
    with ThreadPoolExecutor() as callers, narrow.client() as client:
        calls = [callers.submit(ask, client, films / "grey.avi") for _ in range(2)]
        wait_for(lambda: len(list((narrow.state / "workers").glob("*/request-*/video"))) == 2)
        answer = ask(client, films / "grey.avi")
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "busy")
        assert answer.headers["retry-after"] == "1"
        assert client.get("/model").status_code == 200, "pages are still served"
        halted.kill()
        assert [call.result().status_code for call in calls] == [200, 200]
        assert ask(client, films / "grey.avi").status_code == 200


PLAN = {"say": "plan", "plan": {"clip_frames": 2, "hop": 1, "num_windows": 1}}


@pytest.mark.parametrize(
    "said",
    [
        b"no json\n",
        b"{}\n",
        b'{"say": "sing"}\n',
        b'{"say": "plan"}\n',
        json.dumps(PLAN | {"info": {"fps": "many"}}).encode() + b"\n",
        b'{"say": "frames", "bytes": 191}\n' + bytes(191),
        b'{"say": "frames", "bytes": -1}\n',
        b'{"say": "frames"}\n',
        b'{"say": "frames", "bytes": 120000000}\n' + bytes(120_000_000),
        b'{"say": "thumbnail", "number": 8, "bytes": 1}\nx',
        b'{"say": "thumbnail", "number": -1, "bytes": 1}\nx',
        b'{"say": "done"}\n',
        b'{"say": "' + b"x" * 2**21,
        b'{"say": "frames", "bytes": 192}\nshort',
    ],
    ids=range(14),
)
def test_each_invalid_message_of_a_decoder_ends_it(said: bytes, tmp_path: Path) -> None:
    (tmp_path / "said").write_bytes(said)

    async def listen() -> None:
        process = await asyncio.create_subprocess_exec(
            "sh",
            "-c",
            'read request; cat "$0"',
            str(tmp_path / "said"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        decoder = Decoder(process, CARD)
        try:
            async with aclosing(decoder.decode(tmp_path, 1, 8)) as messages:
                async for message in messages:
                    pytest.fail(f"believed: {message}"[:200])
        finally:
            assert not decoder.reusable
            async with asyncio.timeout(20):
                await decoder.kill()

    with pytest.raises(DecoderDiedError):
        asyncio.run(listen())


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> list[Decoder]:
    """Decoders are processes that only wait, so that hundreds can be started; all that were."""
    started: list[Decoder] = []

    async def start(*_: object) -> Decoder:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec("cat", stdin=pipe, stdout=pipe)
        started.append(Decoder(process, CARD))
        return started[-1]

    monkeypatch.setattr(Decoder, "start", start)
    return started


def alive(decoders: list[Decoder]) -> list[Decoder]:
    return [decoder for decoder in decoders if psutil.pid_exists(decoder.pid) and decoder.reusable]


CARD = ClassifierCard(
    labels=("a", "b"),
    clip=ClipSpec(num_frames=2, height=8, width=8),
    provenance=Provenance(dataset="", data_version="", run_id="", git_commit="", trained_at=""),
)


def test_a_pool_never_has_more_decoders_than_calls_and_jobs_can_use(
    cheap: list[Decoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = Decoder.ended

    async def hear_late(decoder: Decoder) -> None:
        await ended(decoder)
        await asyncio.sleep(0.002)

    monkeypatch.setattr(Decoder, "ended", hear_late)  # as on a busy machine
    most = []

    async def use(pool: DecoderPool, is_job: bool) -> None:
        for _ in range(30):
            async with pool.lease(is_job):
                most.append(len(alive(cheap)))
                await asyncio.sleep(0.001)  # calls and jobs end at once, so that a decoder too many is killed
                most.append(len(alive(cheap)))

    async def run() -> None:
        pool = DecoderPool(CARD, Settings())
        await pool.start()
        await asyncio.gather(*(use(pool, is_job) for is_job in [False, True] * 2))
        async with asyncio.timeout(patience(5)):
            while len(alive(cheap)) != 1:
                await asyncio.sleep(0.01)
        await pool.close()

    asyncio.run(run())
    assert max(most) == 2


def test_the_next_decoder_is_started_when_one_ends_and_no_other_waits(cheap: list[Decoder]) -> None:
    async def run() -> None:
        pool = DecoderPool(CARD, Settings())
        await pool.start()
        async with asyncio.timeout(patience(10)):
            for killed_in_use in (False, True):
                before = len(cheap)
                if killed_in_use:
                    async with pool.lease(is_job=False) as decoder:
                        await decoder.kill()
                else:
                    await cheap[-1].kill()
                while len(cheap) == before:
                    await asyncio.sleep(0.01)
            async with pool.lease(is_job=True), pool.lease(is_job=False) as decoder:
                await decoder.kill()
            while len(alive(cheap)) != 1:
                await asyncio.sleep(0.01)
        await pool.close()
        assert alive(cheap) == []

    asyncio.run(run())
