"""Every line that a service writes is JSON: as it starts and stops, while the world is away, and if it cannot start."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from devstack.processes import Service
from devstack.stack import ROOT, free_port
from tests.system.world import until, world


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    with world(tmp_path_factory.mktemp("world")) as made:
        yield made


def lines_of(service: Service) -> list[dict[str, Any]]:
    """Everything a service wrote before it ended; fails at a line that is no object in JSON."""
    assert service.process.stdout is not None
    first = json.dumps({"urls": [service.url]}) if service.url else ""
    written = [first, service.process.stdout.read(), service.log.read_text(encoding="utf-8")]
    return [json.loads(line) for line in "\n".join(written).splitlines() if line]


def names_of(service: Service) -> set[str]:
    return {line.get("event", "") for line in lines_of(service)}


def told(service: Service, name: str) -> bool:
    return name in service.log.read_text(encoding="utf-8")


def test_a_service_that_starts_and_stops_while_the_broker_dies_writes_json(here):
    service = here.start("complaints")
    service.wait_ready()
    assert service.stop() == 0
    assert {"listening", "streaming", "stopped"} <= names_of(service)

    # A broker that answers nothing is what the Kafka client's threads say most about.
    service = here.start("complaints")
    service.wait_ready()
    here.stack.kill_kafka()
    until(lambda: told(service, '"library"'), "a library's line")
    service.stop()
    assert {"listening", "library"} <= names_of(service)


def test_a_service_without_a_broker_or_a_store_writes_json(here):
    nowhere = f"127.0.0.1:{free_port()}"
    known = here.services.environment
    here.services.environment = {
        **known,
        "KAFKA_BOOTSTRAP_SERVERS": nowhere,
        "REDIS_URL": f"redis://{nowhere}/0",
    }
    try:
        service = here.start("notifier")
        until(lambda: told(service, "store_not_usable"), "a look at the store")
        assert service.stop() == 0
        assert {"listening", "kafka_away", "library", "stopped"} <= names_of(service)
    finally:
        here.services.environment = known


CANNOT_START = {
    "a wrong setting": ({"SERVICE_CHECK_PORT": "many", "SERVICE_CHECK_SHARD": "?"}, 2, 2),
    "no keys of the issuer": ({"SERVICE_CHECK_JWKS": "/nowhere"}, 2, 1),
    "no settings at all": (None, 2, 3),
}


def run(environment: Mapping[str, str]) -> tuple[int, list[dict[str, Any]]]:
    done = subprocess.run(
        [sys.executable, "-m", "services.audit"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, [json.loads(line) for line in (done.stdout + done.stderr).splitlines()]


@pytest.mark.parametrize("why", CANNOT_START)
def test_a_service_that_cannot_start_says_in_json_which_settings_are_wrong(here, why):
    wrong, status, sentences = CANNOT_START[why]
    ended, lines = run({} if wrong is None else {**here.services.environment, **wrong})
    said = [line["says"] for line in lines if line["event"] == "wrong_setting"]
    assert (ended, len(said) >= sentences) == (status, True), lines
    assert all(name in " ".join(said) for name in wrong or {}), said


def test_a_service_whose_port_is_taken_says_in_json_where_it_failed(here):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended, lines = run({**here.services.environment, "SERVICE_CHECK_PORT": port})
    assert (ended, lines[-1]["event"], lines[-1]["error"]) == (1, "unhandled", "OSError")
