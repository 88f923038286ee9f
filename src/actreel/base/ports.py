"""Ports to listen at: `python -m actreel.base.ports PORT COMMAND` says if one is taken."""

from __future__ import annotations

import argparse
import errno
import socket

from actreel.base.console import exit_cleanly
from actreel.errors import ConfigError


def main(arguments: list[str] | None = None) -> None:
    """Checks that a program can listen at a port of this machine."""
    parser = argparse.ArgumentParser(prog="python -m actreel.base.ports", description=main.__doc__)
    parser.add_argument("port", type=port_number)
    parser.add_argument("command", help="of the program that wants it, to which PORT=... is added")
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    options = parser.parse_args(arguments)
    check_free(options.host, options.port, options.command)


def port_number(text: str) -> int:
    """An argument type: the number of a port."""
    if not text.isdecimal() or not 0 < int(text) < 2**16:
        raise argparse.ArgumentTypeError(f"must be a number from 1 to 65535. Received: '{text}'")
    return int(text)


def check_free(host: str, port: int, command: str) -> None:
    """Checks that a program can listen at an address.

    Args:
        host: A name or address of this machine.
        port: The port.
        command: The make target that wants it, for the message.

    Raises:
        ConfigError: It cannot; the message has the command for the next port.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do
            probe.bind((host, port))
    except OSError as error:
        reason = "it is in use" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
        other = port + 1 if port < 2**16 - 1 else port - 1
        raise ConfigError(
            f"No program can listen at {host}, port {port}: {reason}. Try another port: {command} PORT={other}"
        ) from error


if __name__ == "__main__":
    exit_cleanly(main)
