"""Ports for servers that are started here and must have an address before they listen."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress

#: Below the range from which systems take ports for outgoing connections (32768 on Linux, 49152 on
#: macOS). In that range a port that was free is perhaps a client's own by the time a server wants it, and a
#: client that retries a killed server's port may connect to itself.
PORTS = range(20_000, 32_000)
PORT_ATTEMPTS_MAX = 200


class NoFreePort(Exception):
    """Every port that was tried is taken."""


def free_port() -> int:
    """A loopback port nobody listens on now; raises NoFreePort."""
    for _ in range(PORT_ATTEMPTS_MAX):
        port = secrets.choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise NoFreePort(f"between {PORTS.start} and {PORTS.stop}")
