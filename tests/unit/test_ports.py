"""Ports of servers that are started for the demo and the tests."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from devstack.stack import free_port

#: First and last port that the system gives to outgoing connections.
OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")


@pytest.mark.skipif(not OUTGOING.exists(), reason="only Linux says which ports it gives")
def test_a_free_port_is_none_that_a_client_is_given_before_its_server_starts():
    first, last = map(int, OUTGOING.read_text().split())
    assert not [port for port in (free_port() for _ in range(100)) if first <= port <= last]


def test_two_servers_that_start_together_are_not_given_one_port(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Kafka does not start with two listeners on one port."""
    first = free_port()
    drawn = iter([first, first, first + 1, first + 2])
    monkeypatch.setattr(secrets, "choice", lambda _ports: next(drawn))
    assert free_port() != first
