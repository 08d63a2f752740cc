"""The rendered manifests of `dev` as containers on a network of their own, with what a cluster would add.

Strimzi's part (users, passwords, topics), cert-manager's (certificates) and a kubelet's (files of volumes, a restart
after a kill) are played here; Kafka, the store, the services and the jobs are real and run as the manifests say.
"""

from __future__ import annotations

import ipaddress
import itertools
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml
from cryptography import x509
from joserfc.jwk import OKPKey
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from devstack import pids
from devstack.mailbox import Mailbox
from devstack.stack import ROOT, RUN_DIRECTORY
from shared.contracts.catalogue import OPERATOR, SERVICES
from shared.ops import token
from shared.ops.manifests import WEB, hashed, store_users
from shared.runtime.wires import Broker
from tests.live.kafka import Kafka
from tests.live.pods import Document, PodmanFailed, Sources, podman, words
from tests.suites.certificates import Authority
from tests.system.world import until

RENDERED = ROOT / "deploy/k8s/rendered/dev.yaml"
IMAGE = "service-check:dev"
#: More than one where a test is about them; else one of each, as in `dev`.
REPLICAS = {"complaints-api": 2}
FACES = ("api", "stream")
#: Proxies of a cluster hear so long after its deletion that a pod goes; `preStop` must be longer.
HEARD_AFTER_S = 3.0
START_S = 300.0
#: As a kubelet asks at a start.
PROBE_S = 1.0
#: What the services need, and nobody asks whether it is ready.
SERVERS = ("kafka", "valkey")
#: Containers and network of a run have its name in front.
PREFIX = "service-check-live-"


@dataclass
class Pod:
    """A container of a workload, at an address that it keeps."""

    name: str
    workload: str
    address: str
    #: Whether proxies send requests to it.
    listed: bool = False

    @property
    def url(self) -> str:
        """Where its face answers."""
        return f"http://{self.address}:8080"


@dataclass
class Cluster:
    """The running containers, and what a test needs to reach, change and end them."""

    name: str
    folder: Path
    policy: Path
    roster: Path
    mailbox: Mailbox
    key: OKPKey
    documents: list[Document]
    sources: Sources
    authority: Authority
    kafka: Kafka
    addresses: Iterator[str]
    pods: dict[str, Pod] = field(default_factory=dict)
    #: What ended containers wrote.
    logs: list[str] = field(default_factory=list)
    #: How often pods of a workload ended by themselves and were started again.
    ended: Counter[str] = field(default_factory=Counter)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    # ---- reading the manifests -----------------------------------------------------------------

    def documents_of(self, kind: str) -> list[Document]:
        """The documents of a kind."""
        return [one for one in self.documents if one["kind"] == kind]

    def document(self, kind: str, name: str) -> Document:
        """The document of this name."""
        (found,) = [one for one in self.documents_of(kind) if one["metadata"]["name"] == name]
        return found

    def _aliases(self, labels: Document) -> list[str]:
        """The names by which Services make pods with these labels known."""
        return [
            f"--network-alias={one['metadata']['name']}"
            for one in self.documents_of("Service")
            if one["spec"]["selector"].items() <= labels.items()
        ]

    # ---- reaching what runs --------------------------------------------------------------------

    def urls(self, service: str) -> list[str]:
        """The addresses that proxies send a service's requests to."""
        found = [one for one in list(self.pods.values()) if one.workload == f"{service}-api"]
        return [one.url for one in found if one.listed]

    def of(self, workload: str) -> list[Pod]:
        """The pods of a workload."""
        return [one for one in list(self.pods.values()) if one.workload == workload]

    def redis(self, service: str) -> Redis:
        """A connection to the store as the user of a service, with a short timeout."""
        return Redis(
            host=self.of("valkey")[0].address,
            username=service,
            password=self.sources.secrets[f"{service}-store"]["password"],
            ssl=True,
            ssl_ca_certs=str(self.authority.ca),
            socket_timeout=5,
            socket_connect_timeout=5,
            retry=Retry(NoBackoff(), 0),
        )

    def as_admin(self) -> Broker:
        """How an administrator reaches Kafka."""
        return self.kafka.as_admin()

    # ---- starting and ending -------------------------------------------------------------------

    def start(self) -> None:
        """Start everything and wait until it is ready. Blocks."""
        self._start_kafka()
        self._start_store()
        self.publish()
        for service in SERVICES:
            for face in FACES:
                for _ in range(REPLICAS.get(f"{service}-{face}", 1)):
                    self.begin(f"{service}-{face}")
        self.wait_all_ready()
        for pod in self.pods.values():
            pod.listed = True

    def _start_kafka(self) -> None:
        (kafka,) = self.documents_of("Kafka")
        data, tls = self._claim("kafka", 1000), self.folder / "kafka-tls"
        tls.mkdir()
        place = x509.IPAddress(ipaddress.ip_address(self.kafka.address))
        names = x509.DNSName("localhost"), x509.DNSName(self.kafka.name)
        shutil.copy(self.authority.server("kafka", place, *names), tls / "broker.pem")
        shutil.copy(self.authority.ca, tls / "ca.pem")
        self._run(
            Pod(f"{self.name}-kafka", "kafka", self.kafka.address),
            f"--network-alias={self.kafka.name}",
            *self.kafka.words(kafka["spec"]["kafka"]["config"], data, tls),
        )
        until(self._kafka_answers, "Kafka to answer", START_S)
        self.kafka.set_up(self.documents_of("KafkaUser"), self.documents_of("KafkaTopic"))

    def _kafka_answers(self) -> bool:
        """Whether the broker has told its log that it started."""
        (pod,) = self.of("kafka")
        self._must_run(pod)
        return "Kafka Server started" in podman_logs(pod.name)

    def _start_store(self) -> None:
        store = self.document("StatefulSet", "valkey")
        (certificate,) = self.documents_of("Certificate")
        pod = Pod(f"{self.name}-valkey", "valkey", next(self.addresses))
        names = [x509.DNSName(one) for one in certificate["spec"]["dnsNames"]]
        place = x509.IPAddress(ipaddress.ip_address(pod.address))
        pair = self.authority.server("valkey", place, *names).read_text(encoding="utf-8")
        ca = self.authority.ca.read_text(encoding="utf-8")
        secret = {"tls.crt": pair, "tls.key": pair, "ca.crt": ca}
        self.sources.secrets[certificate["spec"]["secretName"]] = secret
        group = store["spec"]["template"]["spec"]["securityContext"]["fsGroup"]
        (claim,) = store["spec"]["volumeClaimTemplates"]
        self._run_pod(
            pod,
            store["spec"]["template"],
            claims={claim["metadata"]["name"]: self._claim("valkey", group)},
        )

    def publish(self) -> None:
        """Publish policy and roster by the job of the manifests, container after container. Blocks."""
        job = self.document("CronJob", "publish")["spec"]["jobTemplate"]["spec"]["template"]
        spec = job["spec"]
        for container in (*spec["initContainers"], *spec["containers"]):
            number = next(self._numbers)
            folder = self.folder / f"volumes/publish-{number}"
            podman(
                "run", "--rm", f"--name={self.name}-publish-{number}",
                f"--network={self.name}", f"--ip={next(self.addresses)}",
                *words(spec, container, self.sources, folder, {}),
            )  # fmt: skip

    @contextmanager
    def operating(self) -> Iterator[Callable[..., tuple[int, str]]]:
        """The operator's pod in a `with` block: gives an operator command, and returns its status and what it said."""
        template = self.document("CronJob", "operator")["spec"]["jobTemplate"]["spec"]["template"]
        (container,) = template["spec"]["containers"]
        number = next(self._numbers)
        name, folder = f"{self.name}-operator-{number}", self.folder / f"volumes/operator-{number}"
        network = (f"--network={self.name}", f"--ip={next(self.addresses)}")
        more = words(template["spec"], container, self.sources, folder, {})
        podman("run", "--detach", f"--name={name}", *network, *more)

        def give(*command: str) -> tuple[int, str]:
            done = subprocess.run(
                ["podman", "exec", name, "python", "-m", "shared.ops", *command],
                capture_output=True, text=True, check=False, timeout=START_S,
            )  # fmt: skip
            return done.returncode, done.stdout + done.stderr

        try:
            yield give
        finally:
            podman("rm", "--force", "--time=0", name)

    @contextmanager
    def replacing_passwords(self) -> Iterator[None]:
        """Give every service other passwords at the store and at Kafka, in the runbook's steps.

        The block replaces their processes. The store takes both passwords meanwhile, Kafka the new ones alone. Blocks.
        """
        made = self.sources.secrets
        (store,) = self.of("valkey")
        file = self.folder / f"volumes/{store.name}/users/users.acl"
        others = {one: hashed(made[f"{one}-store"]["password"]) for one in (OPERATOR, WEB)}
        before = {service: made[f"{service}-store"]["password"] for service in SERVICES}
        after, at_kafka = ({one: secrets.token_hex(24) for one in SERVICES} for _ in range(2))
        with self.operating() as give:

            def accept(passwords: dict[str, str], number: int) -> None:
                file.write_text(store_users(others | passwords), encoding="utf-8")
                status, said = give("store", "reload-users")
                assert (status, said.count(f": {number} password")) == (
                    0,
                    len(SERVICES) + len(others) * (number == 1),
                ), said

            accept({one: hashed(before[one], after[one]) for one in SERVICES}, 2)
            self.kafka.replace_passwords(at_kafka)
            for service in SERVICES:
                made[f"{service}-store"] = {"password": after[service]}
                made[service] = {"password": at_kafka[service]}
            yield
            accept({one: hashed(after[one]) for one in SERVICES}, 1)

    def stop_services(self) -> list[Pod]:
        """Stop every process of a service; returns their pods, which `podman start` starts again. Blocks."""
        found = [pod for pod in self.pods.values() if pod.workload not in SERVERS]
        podman("stop", "--time=45", *(pod.name for pod in found), timeout_s=START_S)
        return found

    def begin(self, workload: str) -> Pod:
        """Start one more pod of a Deployment, without waiting."""
        name = f"{self.name}-{workload}-{next(self._numbers)}"
        pod = Pod(name, workload, next(self.addresses))
        self._run_pod(pod, self.document("Deployment", workload)["spec"]["template"])
        return pod

    def _run_pod(self, pod: Pod, template: Document, claims: dict[str, Path] | None = None) -> None:
        (container,) = template["spec"]["containers"]
        folder = self.folder / f"volumes/{pod.name}"
        self._run(
            pod,
            *self._aliases(template["metadata"]["labels"]),
            *words(template["spec"], container, self.sources, folder, claims or {}),
        )

    def _run(self, pod: Pod, *rest: str) -> None:
        self.pods[pod.name] = pod
        network = (f"--network={self.name}", f"--ip={pod.address}")
        podman("run", "--detach", f"--name={pod.name}", *network, *rest)

    def _claim(self, name: str, owner: int) -> Path:
        """The folder of a lasting volume."""
        place = self.folder / "claims" / name
        place.mkdir(parents=True)
        os.chown(place, owner, owner)
        return place

    def wait_ready(self, pod: Pod) -> None:
        """Wait until a pod says so; raises AssertionError with the end of its log if it does not. Blocks."""
        deadline = time.monotonic() + START_S
        answer = "nothing was asked"
        while answer != "200":
            if pod.workload in SERVERS:
                self._must_run(pod)
                return
            if not runs(
                pod.name
            ):  # a service that cannot go on ends, and a kubelet starts it again
                self.ended[pod.workload] += 1
                podman("start", pod.name)
            try:
                found = httpx.get(f"{pod.url}/ready", timeout=5.0)
                answer = str(found.status_code)
            except httpx.HTTPError as error:
                answer = repr(error)
            if time.monotonic() > deadline:
                said = podman_logs(pod.name)[-4000:]
                raise AssertionError(
                    f"{pod.name} is not ready within {START_S:.0f} s: {answer}\n{said}"
                )
            time.sleep(PROBE_S)

    def _must_run(self, pod: Pod) -> None:
        if not runs(pod.name):
            raise AssertionError(f"{pod.name} ended: {podman_logs(pod.name)[-4000:]}")

    def roll(self, workload: str) -> list[int]:
        """Replace the pods of a Deployment one after the other, as a new version does; returns exit statuses.

        Each successor is ready first. What is deleted waits out `preStop` while proxies hear of it. Blocks.
        """
        spec = self.document("Deployment", workload)["spec"]
        assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
        pod_spec = spec["template"]["spec"]
        pause_s = pod_spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        left_s = pod_spec["terminationGracePeriodSeconds"] - pause_s
        found = []
        for old in self.of(workload):
            new = self.begin(workload)
            self.wait_ready(new)
            new.listed = True
            deleted = time.monotonic()
            time.sleep(HEARD_AFTER_S)
            old.listed = False
            time.sleep(max(0.0, deleted + pause_s - time.monotonic()))
            podman("stop", f"--time={left_s}", old.name)
            found.append(int(podman("inspect", "--format={{.State.ExitCode}}", old.name)))
            self.logs.append(podman_logs(old.name))
            del self.pods[old.name]
            podman("rm", "--volumes", old.name)
        return found

    def kill(self, pod: Pod) -> None:
        """Kill -9 a container and start it again at once, as a kubelet does; does not wait until it is ready."""
        podman("kill", "--signal=KILL", pod.name)
        podman("wait", pod.name)
        podman("start", pod.name)

    def wait_all_ready(self) -> None:
        """Wait until every pod says that it is ready. Blocks."""
        for pod in list(self.pods.values()):
            self.wait_ready(pod)

    def said(self) -> list[str]:
        """What all containers wrote, ended ones too, and the metrics of those that run. Blocks."""
        found = [*self.logs, *(podman_logs(one.name) for one in self.pods.values())]
        for pod in self.pods.values():
            if pod.workload not in SERVERS:
                found.append(httpx.get(f"http://{pod.address}:9000/metrics", timeout=10.0).text)
        return found


def runs(name: str) -> bool:
    """Whether a container runs now."""
    return podman("inspect", "--format={{.State.Running}}", name) == "true"


def podman_logs(name: str) -> str:
    """Both outputs of a container."""
    done = subprocess.run(
        ["podman", "logs", name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    return done.stdout.decode(errors="replace")


def remove(name: str) -> None:
    """Remove the containers whose names begin so, and the network of this name. Blocks."""
    found = podman("ps", "--all", "--format={{.Names}}").splitlines()
    for one in found:
        if one.startswith(f"{name}-"):
            podman("rm", "--force", "--volumes", "--time=0", one)
    with suppress(PodmanFailed):
        podman("network", "rm", name)


def remove_leftovers() -> None:
    """Remove what runs left behind whose process was killed."""
    for left in RUN_DIRECTORY.glob(f"{PREFIX}*"):
        if pids.recall(left / "owner.pid") is None:
            remove(left.name)
            shutil.rmtree(left)


def _made_secrets(folder: Path) -> dict[str, dict[str, str]]:
    """The secrets of a trial cluster, by the operator's command; the demo's key is in the folder then."""
    command = [sys.executable, "-m", "shared.ops", "manifests", "secrets", f"--run-dir={folder}"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {one["metadata"]["name"]: one["stringData"] for one in yaml.safe_load_all(said)}


@contextmanager
def running(policy: Path, roster: Path) -> Iterator[Cluster]:
    """A cluster from nothing, with this policy and roster; everything is removed at the end. Blocks."""
    remove_leftovers()
    name = f"{PREFIX}{secrets.token_hex(3)}"
    folder = RUN_DIRECTORY / name
    pids.private_folder(folder)
    owner = pids.find(os.getpid())
    assert owner is not None
    pids.remember(owner, folder / "owner.pid")
    try:
        podman("network", "create", name)
        (network,) = json.loads(podman("network", "inspect", name))
        (subnet,) = network["subnets"]
        gateway = subnet["gateway"]
        hosts = map(str, ipaddress.ip_network(subnet["subnet"]).hosts())
        addresses = iter([one for one in hosts if one != gateway])  # pods begin in several threads
        _hold(name, next(addresses))
        with Mailbox(gateway) as mailbox:
            yield from _started(name, folder, policy, roster, mailbox, addresses)
    finally:
        remove(name)
        shutil.rmtree(folder)


def _hold(network: str, address: str) -> None:
    """Run a container that does nothing: this machine has an address in a network while it has a container."""
    command = ("--entrypoint=sleep", IMAGE, "infinity")
    where = (f"--network={network}", f"--ip={address}")
    podman("run", "--detach", f"--name={network}-holder", *where, *command)


def _started(
    name: str, folder: Path, policy: Path, roster: Path, mailbox: Mailbox, addresses: Iterator[str]
) -> Iterator[Cluster]:
    documents: list[Any] = list(
        yaml.load_all(RENDERED.read_text(encoding="utf-8"), yaml.CSafeLoader)
    )
    authority = Authority(folder)
    made: dict[str, dict[str, str]] = _made_secrets(folder)
    users = {
        one["metadata"]["name"]: secrets.token_hex(24)
        for one in documents
        if one["kind"] == "KafkaUser"
    }
    made |= {user: {"password": password} for user, password in users.items()}
    made["service-check-cluster-ca-cert"] = {"ca.crt": authority.ca.read_text(encoding="utf-8")}
    config_maps = {
        one["metadata"]["name"]: one["data"] for one in documents if one["kind"] == "ConfigMap"
    }
    (chosen,) = [one for one in config_maps.values() if "smtp-host" in one]
    chosen |= {"smtp-host": mailbox.host, "smtp-port": str(mailbox.port)}
    config_maps["site"] = {
        "policy.yaml": policy.read_text(encoding="utf-8"),
        "roster.yaml": roster.read_text(encoding="utf-8"),
    }
    broker = chosen["kafka-bootstrap-servers"].partition(":")[0]
    cluster = Cluster(
        name,
        folder,
        policy,
        roster,
        mailbox,
        token.demo_key(folder),
        documents,
        Sources(made, config_maps),
        authority,
        Kafka(next(addresses), broker, authority.ca, users),
        addresses,
    )
    cluster.start()
    yield cluster
