"""The services as local processes: started with one environment, watched, ended by pid.

Used by the demo, the tests and the bench; in production an orchestrator does this.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from devstack.pids import private_folder

#: The demo's role mailboxes.
MAILBOXES = Path(__file__).parents[1] / "policy" / "mailboxes.yaml"
#: A service is up in about two seconds; a loaded machine may need many times that.
READY_TIMEOUT_S = 90.0
#: Time to stop, as most supervisors allow; timers in hand get twenty seconds of it.
STOP_TIMEOUT_S = 30.0


class NotReady(Exception):
    """A service ended or was not ready in time; its log says why."""


@dataclass
class Service:
    """One running service process."""

    name: str
    process: subprocess.Popen[str]
    log: Path
    url: str = ""
    #: Where /metrics, /docs and /openapi.json are; known as soon as `url` is.
    ops_url: str = ""

    def wait_url(self, deadline: float) -> str:
        """The address it listens on, read from its first line of output; raises NotReady."""
        if not self.url:
            assert self.process.stdout is not None
            line = self.process.stdout.readline()
            if not line:
                self._give_up()
            self.url, *rest = json.loads(line)["urls"]
            self.ops_url = rest[0] if rest else ""
        if time.monotonic() > deadline:
            self._give_up()
        return self.url

    def wait_ready(self, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Poll `/ready` until it can settle; raises NotReady."""
        deadline = time.monotonic() + timeout_s
        url = self.wait_url(deadline)
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                self._give_up()
            try:
                if httpx.get(f"{url}/ready", timeout=2.0).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
        self._give_up()

    def _give_up(self) -> None:
        last = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
        raise NotReady("\n".join([f"{self.name} is not ready; {self.log} ends:", *last]))

    def kill(self) -> None:
        """End it at once, with SIGKILL."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ask it to stop and wait; kills it only when it does not. Returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode


@dataclass
class Services:
    """Starts services with a common environment and ends all of them."""

    directory: Path
    environment: Mapping[str, str]
    running: list[Service] = field(default_factory=list)
    #: The tree of another version; without it services are those of the working directory.
    tree: Path | None = None

    def start(
        self, name: str, *, module: str = "", python: str = sys.executable, **settings: str
    ) -> Service:
        """Start one; settings are environment variables without their prefix. Does not wait.

        `module` is another program with the same behaviour: its first line is JSON with its URLs, it
        answers /ready and stops on SIGTERM. `python` is the interpreter of another virtual environment.
        """
        private_folder(self.directory)
        log = self.directory / f"{name}-{len(self.running)}.log"
        chosen = {"ops_port": "0", **settings}
        own = {f"SERVICE_CHECK_{key.upper()}": value for key, value in chosen.items()}
        with log.open("w", encoding="utf-8") as file:
            process = subprocess.Popen(
                [python, "-m", module or f"services.{name}"],
                cwd=self.tree,
                env={**os.environ, **self.environment, **own},
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
            )
        service = Service(name, process, log)
        self.running.append(service)
        return service

    def stop(self) -> None:
        """End everything that was started."""
        for service in self.running:
            if service.process.poll() is None:
                service.process.send_signal(signal.SIGTERM)
        for service in self.running:
            service.stop()
            if service.process.stdout is not None:
                service.process.stdout.close()


def master_key(directory: Path) -> str:
    """The local master key, made at the first call, readable by its owner only."""
    path = directory / "master.key"
    if not path.exists():
        private_folder(directory)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(b64encode(secrets.token_bytes(32)).decode())
    return path.read_text(encoding="ascii")


def environment(directory: Path, bootstrap: str, redis_url: str) -> dict[str, str]:
    """The environment every local service needs; keys lie in `directory`."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "REDIS_URL": redis_url,
        "SERVICE_CHECK_MASTER_KEY": master_key(directory),
        "SERVICE_CHECK_JWKS": str(directory / "jwks.json"),
        "SERVICE_CHECK_MAILBOXES": str(MAILBOXES),
    }
