"""What operators do with dead letters, on a real broker and with the service that refused them."""

from __future__ import annotations

import json
import stat
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from devstack.stack import ROOT
from shared.contracts.catalogue import dead_letters
from shared.contracts.complaints import ComplaintReceived
from shared.contracts.deadletters import DeadLetterFact, DeadLetterReplayed, Purpose
from shared.contracts.intake import ComplaintRaised
from shared.contracts.policy import PolicyPublished
from shared.contracts.reasons import Reason
from shared.ops import dlq, policy
from shared.ops.__main__ import app
from shared.ops.fingerprint import KEY_VARIABLE
from tests.system import auditor
from tests.system.world import MASTER, World, complaint, until, world

SITE = "ms-letters"
#: Escapes that would clear a terminal, and turn the text around.
HOSTILE = "soup \x1b[2J\u202e"


#: Letters that a stranger wrote: no place of ours, and later burials of what nobody sent again.
FORGED = (
    {"origin-partition": "999999"},
    {"origin-offset": "9999999999999999999"},
    {"origin-topic": "RECOVERY \x1b[31m"},
    {"burial": "5000"},
    {"burial": "3"},
)


class Ops:
    """The commands, as an operator calls them."""

    def __init__(self, run: World) -> None:
        self.run = run

    def __call__(self, *words: str, by: str | None = "op-7", key: bool = True) -> Result:
        env = {"KAFKA_BOOTSTRAP_SERVERS": self.run.stack.bootstrap}
        env |= {"SERVICE_CHECK_OPERATOR": by or "", KEY_VARIABLE: b64encode(MASTER).decode()}
        return CliRunner().invoke(
            app, ["dlq", *words], env=env if key else {**env, KEY_VARIABLE: ""}
        )

    def told(self, *words: str, **more: Any) -> Any:
        answer = self(*words, "--json", **more)
        assert answer.exit_code == 0, answer.stderr
        return json.loads(answer.stdout)

    def letters(self, *words: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.told("list", *words)["letters"]
        return found


@pytest.fixture(scope="module")
def ops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ops]:
    """Complaints refused five of a site without a policy and two that are no JSON; the policy came later."""
    directory = tmp_path_factory.mktemp("dlq")
    with world(directory) as run:
        run.start("complaints").wait_ready()
        now = datetime.now(UTC)
        for number in range(5):
            raised = complaint(f"e-{number}", site=SITE, at=now, text=f"{HOSTILE} {number}")
            run.publish([raised], partition=number % 2)
        run.publish([b"\x1b]0;x\x07 no json", b"nor this"], partition=3)
        run.settle_down("complaints")
        text = (ROOT / "policy/demo.yaml").read_text(encoding="utf-8")
        path = directory / "policy.yaml"
        path.write_text(text.replace("site: ms-aurora", f"site: {SITE}"), encoding="utf-8")
        policy.publish(path, run.stack.bootstrap)
        run.settle_down("complaints")
        # What a stranger wrote there is nobody's dead letter.
        hostile = [
            ("origin-topic", b"x\x1b[2J"),
            ("origin-partition", b"\xff"),
            ("reason", b"\x07"),
        ]
        run.publish([b"?"], dead_letters("complaints"), hostile)
        for changed in FORGED:
            place = {"origin-topic": ComplaintRaised.TOPIC, "origin-partition": "0"}
            named = {"reason": "unknown_site", **place, "origin-offset": "0", "burial": "1"}
            headers = [(name, text.encode()) for name, text in {**named, **changed}.items()]
            run.publish([b"v1.AAAA"], dead_letters("complaints"), headers)
        run.publish([b'{"id": "1", "type": "another"}'], DeadLetterFact.TOPIC)
        yield Ops(run)


def received(run: World) -> list[dict[str, Any]]:
    facts = auditor.of(auditor.facts(run.read(ComplaintReceived.TOPIC)), ComplaintReceived.TYPE)
    return [one for one in facts if one["site"] == SITE]


def test_they_are_listed_with_reason_place_and_count(ops: Ops) -> None:
    found = ops.told("list", "--limit", "3")
    assert found["counts"] == [
        {"service": "complaints", "reason": reason, "state": "open", "count": count}
        for reason, count in (("malformed_bytes", 2), ("unknown_site", 5))
    ]
    assert len(found["letters"]) == 3
    assert found["strange"] == {"complaints": len(FORGED) + 1}
    (last,) = ops.letters("--reason", "malformed_bytes", "--limit", "1")
    assert last["name"] == f"complaints/{ComplaintRaised.TOPIC}/3/1"
    assert (last["burial"], last["state"], last["cut"]) == (1, "open", None)
    plain = ops("list", "--service", "complaints")
    assert plain.stdout.count("/data/site") == 5
    assert plain.stdout.splitlines()[-2:] == [
        "complaints: 2 open, malformed_bytes",
        "complaints: 5 open, unknown_site",
    ]
    assert plain.stderr == "complaints: 6 passed over, not written by the service\n"
    assert ops("list", "--service", "notifier").stdout == "no dead letters\n"


def test_the_status_of_all_services_is_one_screen(ops: Ops) -> None:
    """Of one that runs, and of two that never did; nothing has to run for it."""
    stack = ops.run.stack
    ops.run.publish([b"{", '{"text": "Kjøtt"}'.encode("latin-1")], partition=2)
    ops.run.settle_down("complaints")
    env = {"KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap, "REDIS_URL": stack.redis_url}
    answer = CliRunner().invoke(app, ["status", "--json"], env=env)
    told = json.loads(answer.stdout)
    assert told["policies"] == {"ms-aurora": 1, SITE: 1}
    found = {one["service"]: one for one in told["services"]}
    ours = found["complaints"]
    assert (ours["store"], ours["outbox_lines"], ours["timers_due"]) == ("ours", 0, 0)
    assert ours["dead_letters"] == {"invalid_utf8": 1, "malformed_bytes": 3, "unknown_site": 5}
    assert ours["reads"][ComplaintRaised.TOPIC] == {"behind": 0, "lag": 0, "cut": 0}
    assert found["notifier"]["store"] == "stale"
    assert found["notifier"]["reads"][PolicyPublished.TOPIC]["behind"] is None
    assert found["notifier"]["reads"][PolicyPublished.TOPIC]["lag"] == 2
    assert answer.exit_code == 1, "two stores are of nobody yet"
    plain = CliRunner().invoke(app, ["status"], env=env).stdout.splitlines()
    assert plain[1].split()[:2] == ["complaints", "ours"]
    assert plain[1].endswith("1 invalid_utf8, 3 malformed_bytes, 5 unknown_site")
    assert plain[-1] == f"policies: ms-aurora 1, {SITE} 1"
    away = CliRunner().invoke(
        app, ["status", "--json"], env={**env, "REDIS_URL": "redis://127.0.0.1:1"}
    )
    assert {one["store"] for one in json.loads(away.stdout)["services"]} == {"away"}
    names = [f"complaints/{ComplaintRaised.TOPIC}/2/{offset}" for offset in range(2)]
    ops.told("discard", *names, "--why", "not_needed")


def test_one_is_opened_only_with_a_purpose_and_that_is_on_the_record_before(
    ops: Ops, tmp_path: Path
) -> None:
    name = f"complaints/{ComplaintRaised.TOPIC}/3/0"
    closed = ops("show", name, key=False)
    assert closed.exit_code == 0
    assert "no json" not in closed.stdout
    assert ops("show", name, "--open").exit_code == 2
    assert ops.told("show", name)["decisions"] == []
    opened = ops("show", name, "--open", "--why", "investigation", "--ticket", "INC-1")
    assert "\\x1b]0;x\\x07 no json" in opened.stdout
    assert opened.stdout.isprintable() or set(
        filter(lambda c: not c.isprintable(), opened.stdout)
    ) == {"\n"}
    (done,) = ops.told("show", name)["decisions"]
    assert (done["what"], done["by"], done["why"]) == ("opened", "op-7", "investigation")
    assert done["ticket"] == "INC-1"
    path = tmp_path / "letter"
    ops.told("show", name, "--open", "--why", "investigation", "--to", str(path), by="op-8")
    assert path.read_bytes() == b"\x1b]0;x\x07 no json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = ops("show", name, "--open", "--why", "investigation", "--to", str(path))
    assert (again.exit_code, again.stderr) == (1, f"cannot write {path}: File exists\n")


def test_a_discarded_one_stays_so(ops: Ops) -> None:
    name = f"complaints/{ComplaintRaised.TOPIC}/3/1"
    (done,) = ops.told("discard", name, "--why", "not_needed")
    assert (done["what"], done["by"], done["name"]) == ("discarded", "op-7", name)
    late = ops("replay", name, "--why", "cause_removed", by="op-8")
    assert (late.exit_code, late.stderr) == (1, f"{name} was discarded by op-7 already\n")
    assert name in [one["name"] for one in ops.letters("--state", "discarded")]


def test_two_operators_who_send_the_same_ones_again_have_each_taken_once(ops: Ops) -> None:
    """INV-04: and each is told whose decision counts."""
    broker, now = ops.run.stack.bootstrap, datetime.now(UTC)
    chosen = dlq.chosen_by((), "complaints", Reason.UNKNOWN_SITE, 100, broker, now)

    def replay(by: str) -> dict[str, str]:
        who = dlq.Who(by, Purpose.CAUSE_REMOVED, None)
        counts = dlq.decide(DeadLetterReplayed, chosen, who, broker, now)
        return {done.fact.key(): done.fact.by for done in counts}

    with ThreadPoolExecutor(2) as both:
        one, other = both.map(replay, ("op-7", "op-8"))
    assert len(one) == 5
    assert one == other
    until(lambda: len(received(ops.run)) >= 5, "the complaints are received")
    ops.run.settle_down("complaints")
    assert len(received(ops.run)) == 5
    assert len(ops.letters("--state", "replayed")) == 5
    late = ops("replay", next(iter(one)), "--why", "cause_removed", by="op-9")
    assert (late.exit_code, late.stdout) == (1, "")


def test_what_is_refused_again_is_open_again_under_the_next_number(ops: Ops) -> None:
    name = f"complaints/{ComplaintRaised.TOPIC}/3/0"
    answer = ops("replay", name, "--why", "publisher_asked")
    assert (answer.exit_code, answer.stdout.splitlines()[0]) == (0, f"{name}: replayed by op-7")
    until(lambda: ops.letters("--reason", "malformed_bytes"), "it is buried again")
    (one,) = ops.letters()
    assert (one["name"], one["burial"], one["reason"]) == (name, 2, "malformed_bytes")
    states = [one["state"] for one in ops.told("show", name)["burials"]]
    assert states == ["replayed", "open"]
    ops.told("discard", name, "--why", "not_needed")
    assert ops.letters() == []


def test_nothing_that_a_person_wrote_is_in_what_operators_did(ops: Ops) -> None:
    """INV-07"""
    for read in ops.run.read(DeadLetterFact.TOPIC):
        assert b"soup" not in read.value


def test_one_that_is_not_there_is_no_wrong_call(ops: Ops) -> None:
    name = f"complaints/{ComplaintRaised.TOPIC}/0/99999"
    for words in (("show", name), ("discard", name, "--why", "not_needed")):
        answer = ops(*words)
        says = f"there is no dead letter {name} of the last 14 days\n"
        assert (answer.exit_code, answer.stderr) == (1, says)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("list", "--service", "x\x1b"), "x\\x1b is no service: "),
        (("show", "complaints/recovery.intake.v1/0"), "is no dead letter's name"),
        (("replay", "--why", "sent_again"), "name the dead letters, or choose them"),
        (("replay", "a/b/1/2"), "say why, with --why: "),
        (("discard", "a", "--by", "Kari Nordmann", "--why", "not_needed"), "--by must be an id"),
        (("show", "complaints/recovery.intake.v1/0/0", "--to", "x"), "--to needs --open"),
    ],
)
def test_a_wrong_call_is_told_in_one_sentence(ops: Ops, words: tuple[str, ...], says: str) -> None:
    answer = ops(*words)
    assert answer.exit_code == 2
    assert says in answer.stderr
    assert answer.stderr.count("\n") == 1
    assert "\x1b" not in answer.stderr
