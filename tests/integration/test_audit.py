"""Audit on a real Kafka and Redis: everything is on the record, also after kills, and its export verifies."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from kafka.admin import KafkaAdminClient
from redis import Redis

from devstack import stack
from devstack.stack import ROOT
from services.audit.app import DOMAIN
from shared.audit import export
from shared.audit.keys import derived_key
from shared.audit.topic import Topics
from shared.contracts.audit import FactRecorded, HeadsSigned, Notice
from shared.contracts.catalogue import AUDIT, subscriptions
from shared.ops import token
from shared.runtime.kafka.watch import has_partitions_of
from shared.runtime.privacy.seal import Vault
from tests.system import auditor
from tests.system.world import EMPLOYEES, MASTER, SITE, World, complaint, until, world
from tests.unit.test_audit_reading import cut, flip, insert, swap

COMPLAINTS = 40
TRIALS = 100


def operator(
    everything: World, *words: str, of: Sequence[str] = ("shared.ops", "audit")
) -> subprocess.CompletedProcess[str]:
    """An operator's command. Blocks."""
    return subprocess.run(
        [sys.executable, "-m", *of, *words],
        cwd=ROOT,
        env={
            **os.environ,
            **everything.services.environment,
            "KAFKA_BOOTSTRAP_SERVERS": everything.stack.bootstrap,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def recorded(everything: World) -> Counter[tuple[str, int, int]]:
    """How often each record of a source is on the record, by its place; repeats of a relay count once."""
    source = Topics({"bootstrap_servers": everything.stack.bootstrap})
    found: Counter[tuple[str, int, int]] = Counter()
    for partition in source.partitions():
        for line in source.records(partition):
            record = json.loads(line)["record"]
            topic, _, number = record["chain"].partition("/")
            assert int(number) == partition
            if "offset" in record and topic != Notice.TOPIC:
                found[topic, partition, record["offset"]] += 1
    return found


def of_owners(everything: World) -> set[tuple[str, int, int]]:
    """The place of every fact of every owner, repeats of a relay left out."""
    found: set[tuple[str, int, int]] = set()
    seen: set[tuple[str, str]] = set()
    for read in everything.read(*subscriptions(AUDIT)):
        event = read.event
        name = (event["source"], event.get("sequence") or event["id"])
        if name not in seen:
            found.add((read.topic, read.partition, read.offset))
        seen.add(name)
    return found


def test_every_fact_is_recorded_once_whatever_is_killed_and_an_export_verifies(tmp_path):
    """INV-02, INV-06, INV-09: audit is killed with records in hand, and loses its Redis keys."""
    with (
        world(tmp_path) as everything,
        closing(Redis.from_url(everything.stack.redis_url)) as redis,
    ):
        everything.start("complaints").wait_ready()
        audit = everything.start(AUDIT, crash_at="committed:3")
        everything.publish(complaint(f"e-{n}", at=datetime.now(UTC)) for n in range(COMPLAINTS))
        until(lambda: audit.process.poll() is not None, "audit to be killed")
        audit = everything.start(AUDIT)
        audit.wait_ready()
        everything.settle_down("complaints", AUDIT)
        wanted = of_owners(everything)
        assert len(wanted) > 2 * COMPLAINTS
        assert recorded(everything) == dict.fromkeys(wanted, 1)

        audit.stop()
        for key in redis.scan_iter(f"{AUDIT}:*"):
            redis.delete(key)
        command = [sys.executable, "-m", "shared.ops", "rebuild", AUDIT]
        environment = {**os.environ, **everything.services.environment}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout
        everything.publish(complaint(f"f-{n}", at=datetime.now(UTC)) for n in range(COMPLAINTS))
        audit = everything.start(AUDIT)
        audit.wait_ready()
        manager = token.sign(
            everything.key, subject="m-1", kind="manager", site=SITE, now=datetime.now(UTC)
        )
        everything.settle_down("complaints", AUDIT)
        looked(everything)
        signed = httpx.post(
            f"{everything.url(AUDIT)}/v1/heads",
            headers={"Authorization": f"Bearer {manager}", "Idempotency-Key": "now"},
            timeout=30.0,
        )
        assert signed.status_code == 201, signed.text
        everything.settle_down(AUDIT)
        assert recorded(everything) == dict.fromkeys(of_owners(everything), 1)
        assert auditor.out_of_order(auditor.exact(everything, DOMAIN)) == []
        verified_offline(everything, tmp_path)


def looked(everything: World) -> None:
    """A look at one employee is on the record, among what is shown of them, and they see it."""
    words = ["tail", "--employee", EMPLOYEES[0], "--site", SITE, "--by", "op-7"]
    why = "a test of looks"
    assert operator(everything, *words, of=["services.audit"]).returncode == 2
    told = operator(everything, *words, "--purpose", why, of=["services.audit"])
    assert (told.returncode, "look taken (lk-" in told.stdout) == (0, True), told.stderr
    with everything.phone(AUDIT, EMPLOYEES[0]) as phone:
        (look,) = phone.get("/v1/me/looks").json()["looks"]
    assert (look["purpose"], look["by"]) == (why, "op-7")


def verified_offline(everything: World, tmp_path: Path) -> None:
    """The export of the topic verifies, by the command, and random changes of it are found."""
    key, there = tmp_path / "key.pem", tmp_path / "export"
    key.write_text(operator(everything, "key").stdout)
    made = operator(everything, "export", str(there))
    assert made.returncode == 0, made.stderr
    told = operator(everything, "verify", str(there), "--key", str(key))
    assert (told.returncode, "all as signed" in told.stdout) == (0, True), told.stdout
    public = public_key()
    assert export.verify(there, [public]).unanchored == {}
    read_in_java(everything, there, key, tmp_path)
    (held,) = published_heads(everything, tmp_path)
    assert export.verify(there, [public], published=[held]).findings == []
    chance, files = random.Random(1), sorted((there / export.CHAINS).iterdir())
    files = [path for path in files if len(path.read_bytes().splitlines()) > 2]
    for trial in range(TRIALS):
        path, change = chance.choice(files), chance.choice([flip, cut, swap, insert])
        whole = path.read_bytes()
        lines = whole.splitlines()
        change(chance, lines, len(lines))
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        findings = export.verify(there, [public]).findings
        assert any(one.chain == export.chain_of(path) for one in findings), (trial, change)
        path.write_bytes(whole)
    one = json.loads(next(line for line in export.lines(files[0])))["record"]["key"]
    story = operator(everything, "explain", one)
    assert (story.returncode, one in story.stdout) == (0, True), story.stderr
    assert operator(everything, "explain", "nothing").returncode == 1
    tail = operator(everything, "tail", "--kind", "complaint.received")
    assert len(tail.stdout.splitlines()) == 2 * COMPLAINTS


def published_heads(everything: World, tmp_path: Path) -> list[Path]:
    """The heads that were signed last, as the command writes them; the same file if it is given again."""
    for _ in range(2):
        made = operator(everything, "heads", "--out", str(tmp_path / "published"))
        assert made.returncode == 0, made.stderr
    return list((tmp_path / "published").iterdir())


def read_in_java(everything: World, there: Path, key: Path, tmp_path: Path) -> None:
    """The example verifies an export, finds a change in it and follows the topic; with Java and Maven alone."""
    java = stack.java()
    compiler = shutil.which("javac")
    if java is None or compiler is None or shutil.which("mvn") is None:
        return
    pom = ROOT / "tests/integration/java/pom.xml"
    jars = f"{stack.maven_jars(pom, 'the CloudEvents SDK for Java', 'cloudevents')}/*"
    source, classes = ROOT / "examples/record/Record.java", tmp_path / "classes"
    subprocess.run([compiler, "-d", classes, "-cp", jars, source], check=True, timeout=120)

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(classes), jars])
        command = [java, "-XX:TieredStopAtLevel=1", "-cp", path, "Record", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    told = run("verify", there, key)
    assert (told.returncode, "all as signed" in told.stdout) == (0, True), told.stderr
    followed = run("follow", everything.stack.bootstrap, 3).stdout.splitlines()
    assert len(followed) == export.verify(there, [public_key()]).records
    path = max((there / export.CHAINS).iterdir(), key=lambda one: one.stat().st_size)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"recovery.complaint.", b"recovery.complaimt.", 1))
    wrong = run("verify", there, key)
    path.write_bytes(whole)
    assert (wrong.returncode, "not as it was recorded" in wrong.stderr) == (1, True), wrong.stderr


def public_key() -> Ed25519PublicKey:
    return derived_key(Vault(MASTER).derive).public_key()


def test_audit_reads_nothing_before_its_topic_has_as_many_partitions_as_every_source(tmp_path):
    with world(tmp_path) as everything:
        where, sources = everything.stack.bootstrap, [HeadsSigned.TOPIC]
        asked = (where, FactRecorded.TOPIC, sources)
        assert asyncio.run(has_partitions_of(*asked)) is True
        admin = KafkaAdminClient(bootstrap_servers=where)
        admin.create_partitions({HeadsSigned.TOPIC: 5})
        admin.close()
        until(lambda: not asyncio.run(has_partitions_of(*asked)), "the fifth partition")
        assert asyncio.run(has_partitions_of(where, "recovery.nothing.v1", sources)) is False
