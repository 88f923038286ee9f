"""Encoders pulled from servers that behave badly, and from a file."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from actreel.base.places import ENCODERS
from actreel.config import ClipSpec
from actreel.errors import ConfigError, FetchError, ModelError
from actreel.project.encoder_sources import EncoderSource
from actreel.project.pulling import ATTEMPTS, find_source, pull
from actreel.training.onnx_encoder import OwnEncoder
from tests.loopback import Loopback, serving
from tests.training.onnx_files.files import PIXELS, image_encoder

TARGET = ENCODERS / "tiny.onnx"


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A network that is an encoder once its settings are beside it."""
    return image_encoder(tmp_path_factory.mktemp("network") / "e.onnx", settings=None).read_bytes()


@pytest.fixture
def servers(content: bytes) -> Iterator[tuple[Loopback, Loopback]]:
    """Two servers of the same file."""
    with serving(content) as first, serving(content) as second:
        yield first, second


@pytest.fixture
def source(servers: tuple[Loopback, Loopback]) -> EncoderSource:
    """An encoder whose digest nobody knows beforehand."""
    return EncoderSource(
        "tiny", "tiny.onnx", tuple(server.url for server in servers), "MIT", "https://example.org", settings=PIXELS
    )


def fetch(source: EncoderSource) -> Path:
    return pull(source, first_pause_s=0.001)


@pytest.mark.usefixtures("settings_folder")
def test_a_broken_transfer_is_resumed_and_the_encoder_can_be_used(
    servers: tuple[Loopback, Loopback], source: EncoderSource, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    servers[0].breaks.extend([100, 200, 0])
    assert fetch(source) == TARGET
    assert TARGET.read_bytes() == content
    assert servers[0].sent == len(content), "nothing came twice"
    assert not servers[1].requests
    assert OwnEncoder.read(str(TARGET), ClipSpec(num_frames=4, height=8, width=8)).wrapped.size == 8
    assert "No digest of tiny is known beforehand" in caplog.text
    record = json.loads((ENCODERS / "tiny.onnx.source.json").read_text(encoding="utf-8"))
    assert (record["from"], record["licence"]) == (servers[0].url, "MIT")
    assert record["sha256"] == hashlib.sha256(content).hexdigest()
    asked = len(servers[0].requests)
    assert fetch(source) == TARGET
    assert len(servers[0].requests) == asked, "it is there"


@pytest.mark.usefixtures("settings_folder")
def test_the_next_address_is_tried_and_gives_the_whole_file_where_no_digest_is_known(
    servers: tuple[Loopback, Loopback], source: EncoderSource, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    servers[0].breaks.append(300)
    servers[0].statuses.extend([0, *[503] * ATTEMPTS])
    fetch(source)
    assert TARGET.read_bytes() == content
    assert servers[1].sent == len(content)
    assert f"tiny cannot be had from {servers[0].url}: no progress after {ATTEMPTS} attempts" in caplog.text


@pytest.mark.usefixtures("settings_folder")
def test_with_a_digest_the_next_address_goes_on_where_the_first_broke_off(
    servers: tuple[Loopback, Loopback], source: EncoderSource, content: bytes
) -> None:
    servers[0].breaks.append(300)
    servers[0].statuses.extend([0, 404])
    fetch(replace(source, sha256=hashlib.sha256(content).hexdigest()))
    assert TARGET.read_bytes() == content
    assert servers[1].sent == len(content) - 300


@pytest.mark.usefixtures("settings_folder")
def test_a_server_that_does_not_tell_the_length_is_passed_over_unless_the_size_is_known(
    servers: tuple[Loopback, Loopback], source: EncoderSource, content: bytes
) -> None:
    servers[0].claimed = 0
    fetch(source)
    assert servers[1].sent == len(content)
    TARGET.unlink()
    fetch(replace(source, size=len(content)))
    assert servers[1].sent == len(content)


@pytest.mark.usefixtures("settings_folder")
def test_a_wrong_file_of_one_address_does_not_spoil_the_next(
    servers: tuple[Loopback, Loopback], source: EncoderSource, content: bytes
) -> None:
    servers[0].content = bytes(len(content))
    fetch(replace(source, sha256=hashlib.sha256(content).hexdigest(), size=len(content)))
    assert TARGET.read_bytes() == content


@pytest.mark.usefixtures("settings_folder")
def test_what_comes_later_must_be_what_came_first(servers: tuple[Loopback, Loopback], source: EncoderSource) -> None:
    fetch(source)
    TARGET.unlink()
    for server in servers:
        server.content = server.content + b"\xba\x3e\x00"  # a field that no reader knows
    with pytest.raises(FetchError, match=r"none of 2 addresses gives tiny\. The last one: the file's sha256 must be"):
        fetch(source)
    assert not TARGET.exists()


@pytest.mark.usefixtures("settings_folder")
def test_what_is_no_network_is_not_kept(servers: tuple[Loopback, Loopback], source: EncoderSource) -> None:
    servers[0].content = b"<html>Sign in</html>"
    with pytest.raises(ModelError, match=r"must be an ONNX file"):
        fetch(source)
    assert not TARGET.exists()
    servers[0].content = servers[1].content
    fetch(source)


@pytest.mark.usefixtures("settings_folder")
def test_a_file_from_another_machine_is_checked_and_copied(
    source: EncoderSource, content: bytes, tmp_path: Path
) -> None:
    stick = tmp_path / "stick" / "model.onnx"
    with pytest.raises(FetchError, match=r"--from needs the file tiny\.onnx of tiny\. Received: '.*model\.onnx'"):
        pull(source, file=stick)
    stick.parent.mkdir()
    stick.write_bytes(content)
    with pytest.raises(FetchError, match=r"sha256 must be 0000"):
        pull(replace(source, sha256="0" * 64), file=stick)
    assert not TARGET.exists()
    pull(source, file=stick)
    stick.unlink()
    assert TARGET.read_bytes() == content


def test_weights_of_keras_come_to_where_keras_looks(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    mine = tmp_path / "mine.h5"
    mine.write_bytes(content)
    source = find_source("mobilenet_v2")
    assert pull(source, file=mine) == tmp_path / "models" / source.file
    assert not list((tmp_path / "models").glob("*.yaml"))
    with pytest.raises(FetchError, match="md5 must be 4d473c1dd8becc155b73f8504c6f6626"):
        pull(find_source("resnet50"), file=mine)
    with pytest.raises(ConfigError, match=r"must be one of mobilenet_v2, .*Received: 'movinet'"):
        find_source("movinet")
