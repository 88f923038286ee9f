"""A port that is taken; tests/test_makefile.py runs it as make does."""

from __future__ import annotations

import argparse
import socket

import pytest

from actreel.base.ports import check_free, main, port_number
from actreel.errors import ConfigError


def test_a_port_in_use_is_a_sentence_with_the_command_for_another() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"port {port}: it is in use. Try another port: make ui PORT={port + 1}"):
            main([str(port), "make ui"])
    check_free("127.0.0.1", port, "make ui")


def test_an_address_of_another_machine_is_a_sentence() -> None:
    with pytest.raises(ConfigError, match=r"192.0.2.1, port 65535: Cannot assign requested address.* PORT=65534"):
        check_free("192.0.2.1", 65535, "make serve")


@pytest.mark.parametrize("text", ["0", "65536", "-1", "http", ""])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="1 to 65535"):
        port_number(text)
