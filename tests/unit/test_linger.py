"""The demo's last act: it stays up until Ctrl-C, whoever is told of it."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from demo.__main__ import linger
from demo.show import Show


@pytest.mark.usefixtures("interruptible")
def test_a_ctrl_c_that_another_thread_was_told_of_ends_it(monkeypatch, capsys):
    """The kernel tells any thread of a process; only the main one can act on it."""
    sleep = time.sleep

    def told() -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    def sleep_while_another_is_told(seconds: float) -> None:
        threading.Thread(target=told).start()
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", sleep_while_another_is_told)
    linger(Show(), [], "a.b.c", "http://localhost:1")
    assert "stopping" in capsys.readouterr().out
