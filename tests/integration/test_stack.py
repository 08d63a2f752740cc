"""The local stack: it answers, it survives kill -9, and it leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaTimeoutError
from kafka.net.inet import KafkaNetSocket
from redis import Redis
from typer.testing import CliRunner

from devstack import pids, stack
from devstack.stack import app, free_port

DEADLINE_S = 30.0
# More than the buffers of a connection take at once, and less than a broker refuses unread.
UNSENT_BYTES = 60 * 2**20
# Long enough for one try to connect at least.
NOBODY_ANSWERS_MS = 1000


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder for a stack of the test's own, whatever the environment offers."""
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)
    if os.environ.get("STACK") == "docker":
        pytest.skip("about processes of our own; STACK=docker has none")
    yield tmp_path
    stack.down(tmp_path, at_once=True)


def gone(numbers: dict[str, int]) -> bool:
    return not any(pids.find(pid) for pid in numbers.values())


def test_kafka_keeps_what_it_confirmed_when_it_is_killed_and_started_again(stack: stack.Stack):
    if not stack.can_be_killed:
        pytest.skip(f"a broker from {stack.source} is not ours to kill or keeps nothing")
    with closing(KafkaAdminClient(bootstrap_servers=stack.bootstrap)) as admin:
        admin.create_topics({"stack-test": {"num_partitions": 1}}, wait_for_metadata=True)
    with closing(KafkaProducer(bootstrap_servers=stack.bootstrap)) as producer:
        producer.send("stack-test", b"before").get(timeout=DEADLINE_S)
    before = stack.pids

    stack.kill_kafka()
    stack.start_kafka()

    partition = TopicPartition("stack-test", 0)
    with closing(KafkaConsumer(bootstrap_servers=stack.bootstrap)) as consumer:
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        found: list[bytes] = []
        assert pids.wait_until(
            lambda: bool(
                found.extend(r.value for rs in consumer.poll(200).values() for r in rs) or found
            ),
            DEADLINE_S,
        )
    assert found == [b"before"]
    if before:
        assert stack.pids["kafka"] != before["kafka"]


def test_a_client_of_kafka_that_is_closed_with_unsent_bytes_leaves_no_socket_open(
    stack: stack.Stack,
):
    unsent = (UNSENT_BYTES).to_bytes(4, "big") + bytes(UNSENT_BYTES)
    with closing(KafkaConsumer(bootstrap_servers=stack.bootstrap)) as consumer:
        consumer.topics()
        connections = consumer._client._manager._conns.values()
        transports = [each.transport for each in connections if each.transport and not each.closed]
        sockets = [each._sock for each in transports]
        for transport in transports:
            transport._net.call_soon_threadsafe(lambda to=transport: to.write(unsent))
        assert pids.wait_until(lambda: any(each._writing for each in transports), DEADLINE_S)
    assert {each.fileno() for each in sockets} == {-1}


def test_a_client_of_kafka_that_reaches_nobody_leaves_no_socket_open(
    monkeypatch: pytest.MonkeyPatch,
):
    made: list[socket.socket] = []
    make = KafkaNetSocket.socket

    def noted(self: KafkaNetSocket, *kind: int) -> socket.socket:
        made.append(make(self, *kind))
        return made[-1]

    monkeypatch.setattr(KafkaNetSocket, "socket", noted)
    nobody = f"127.0.0.1:{free_port()}"
    with pytest.raises(KafkaTimeoutError):
        KafkaConsumer(bootstrap_servers=nobody, bootstrap_timeout_ms=NOBODY_ANSWERS_MS)
    assert made
    assert {each.fileno() for each in made} == {-1}


def test_redis_keeps_what_it_answered_when_it_is_killed_and_started_again(stack: stack.Stack):
    if stack.source == "environment":
        pytest.skip("a Redis from the environment is not ours to kill")
    with closing(Redis.from_url(stack.redis_url)) as client:
        client.set("stack-test", "before")
        assert client.config_get("appendfsync")["appendfsync"] == "always"
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"

    stack.kill_redis()
    stack.start_redis()

    with closing(Redis.from_url(stack.redis_url)) as client:
        assert client.get("stack-test") == b"before"
        client.delete("stack-test")


def test_a_stack_is_up_then_down_then_up_again_with_its_data(own: Path):
    assert stack.status(own) == stack.Status(None)

    first = stack.up(own)
    started = first.pids
    assert set(started) == {"kafka", "redis"}
    assert stack.status(own).up
    assert f"REDIS_URL={first.redis_url}" in (own / "stack.env").read_text().splitlines()
    assert stack.up(own) == first, "a second up finds the first"
    with closing(Redis.from_url(first.redis_url)) as client:
        client.set("kept", "yes")

    stack.down(own)
    assert gone(started)
    assert stack.status(own) == stack.Status(None)
    stack.down(own)

    with (
        stack.running(own) as second,
        closing(Redis.from_url(second.redis_url, decode_responses=True)) as client,
    ):
        assert client.get("kept") == "yes"
        started = second.pids
    assert gone(started)


def test_an_ephemeral_stack_leaves_neither_process_nor_file(own: Path):
    with stack.running(own, ephemeral=True) as started:
        numbers = started.pids
        assert len(numbers) == 2
        with closing(KafkaAdminClient(bootstrap_servers=started.bootstrap)) as admin:
            features = admin.describe_features()
        assert features["transaction.version"]["finalized"], "as Kafka formats a new cluster"
    assert gone(numbers)
    assert not list(own.glob("ephemeral-*"))


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux alone makes this promise")
def test_an_ephemeral_stack_dies_with_the_program_that_was_killed(own: Path):
    program = (
        "import sys, time, pathlib; from devstack import stack\n"
        "with stack.running(pathlib.Path(sys.argv[1]), ephemeral=True) as s:\n"
        "    print(*s.pids.values(), flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(own)], stdout=subprocess.PIPE, text=True, cwd=stack.ROOT
    ) as child:
        assert child.stdout is not None
        line = child.stdout.readline()
        numbers = {name: int(pid) for name, pid in zip("kr", line.split(), strict=True)}
        child.send_signal(signal.SIGKILL)

    assert pids.wait_until(lambda: gone(numbers), DEADLINE_S)
    with stack.running(own, ephemeral=True):
        assert len(list(own.glob("ephemeral-*"))) == 1, "the next one cleans up after it"


def test_a_look_at_a_broker_that_accepts_and_never_answers_leaves_no_thread_behind(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(stack, "ANSWER_TIMEOUT_S", 0.2)
    before = threading.active_count()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not stack._kafka_answers(f"127.0.0.1:{silent.getsockname()[1]}")
    assert threading.active_count() == before


def test_a_pid_that_belongs_to_somebody_else_by_now_is_left_alone(tmp_path: Path):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        (tmp_path / "redis.pid").write_text(f"{other.pid} 1\n")
        stack.down(tmp_path)
        assert other.poll() is None
        assert not (tmp_path / "redis.pid").exists()
        other.communicate(b"\n")


def test_a_server_that_cannot_start_says_why_and_nothing_stays(
    own: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stack, "REDIS_SETTINGS", {"appendfsync": "perhaps"})
    with pytest.raises(stack.StackError, match=r"(?s)redis ended.*perhaps"):
        stack.up(own)
    assert not list(own.glob("*.pid"))


def test_an_environment_that_names_only_one_server_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    with pytest.raises(stack.StackError, match="set both"):
        stack.status(tmp_path)


def test_a_stack_from_the_environment_is_not_ours_to_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    seen = stack.status(tmp_path)
    assert seen.stack is not None
    assert not seen.up
    for act in (seen.stack.kill_kafka, seen.stack.kill_redis, seen.stack.start_redis):
        with pytest.raises(stack.StackError, match="not ours"):
            act()


def test_the_command_says_down_with_status_one(own: Path):
    answer = CliRunner().invoke(app, ["status", "--directory", str(own)])
    assert (answer.exit_code, answer.stdout) == (1, "down\n")


def test_the_containers_have_the_settings_of_the_processes():
    compose = yaml.safe_load(stack.COMPOSE_FILE.read_text())["services"]
    kafka = compose["kafka"]["environment"]
    for name, value in stack.KAFKA_SETTINGS.items():
        assert kafka["KAFKA_" + name.replace(".", "_").upper()] == value
    redis = " ".join(compose["redis"]["command"])
    for name, value in stack.REDIS_SETTINGS.items():
        assert f"--{name} {value or chr(34) * 2}" in redis
