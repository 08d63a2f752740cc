"""Every fact is on the record once, in a chain of its source's partition, and heads are signed."""

from __future__ import annotations

import json
import re
from base64 import b64encode, urlsafe_b64decode
from types import NoneType
from typing import Any, get_args

import pytest
import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from services.audit.app import build
from services.audit.chain.handlers import on_record
from services.audit.chain.rules import (
    CHAINS,
    FIELDS,
    LAST,
    NOTICES,
    RECORDS_PER_HEAD,
    TOLD,
    Chain,
    LastHeads,
    Told,
)
from services.audit.chain.signer import Signer
from services.audit.settings import Settings
from shared.audit.keys import derived_key, read_key
from shared.contracts.audit import (
    HASH_BEGINS,
    NOTHING_BEFORE,
    RECORD_AT,
    RECORD_ENDS,
    FactRecorded,
    Head,
    HeadsSigned,
    LookTaken,
    Notice,
    Recorded,
    Statement,
    hash_of,
    signed_bytes,
)
from shared.contracts.catalogue import AUDIT, FACTS, OTHER_SYSTEMS, TABLE, subscriptions
from shared.contracts.complaints import ComplaintConfirmed
from shared.contracts.deadletters import DeadLetterDiscarded
from shared.contracts.event import fingerprint
from shared.contracts.vault import CustomerKeyCreated
from shared.kernel import Decision
from shared.ops import token
from shared.runtime.engine.store import Line
from shared.runtime.engine.view import Arrival, View
from shared.runtime.kafka.inbox import Record
from shared.runtime.privacy.seal import Vault
from shared.testing.builders import event, record
from shared.testing.clock import START
from shared.testing.memory_store import MemoryStore
from tests.suites.services import MASTER, Aboard, demo_roster
from tests.unit.test_rebuild import (
    MemoryLog,
    Sailing,
    Voyage,
    comparable,
    differing,
    rebuild_of,
    rebuilt,
)

TOPIC = ComplaintConfirmed.TOPIC


async def chained(aboard: Aboard) -> dict[str, list[bytes]]:
    """The `data` of every record, by chain in order, as audit put it into its outbox."""
    found: dict[str, list[bytes]] = {}
    _, lines = await aboard.stores["audit"].pending(100_000, 10**9)
    for line in map(Line.decode, lines):
        if line.topic == FactRecorded.TOPIC:
            data = line.value.partition(b'"data":')[2][:-1]
            chain = json.loads(data)["record"]["chain"]
            assert line.partition == int(chain.rpartition("/")[2])
            found.setdefault(chain, []).append(data)
    return found


async def records(aboard: Aboard, chain: str = f"{TOPIC}/7") -> list[dict[str, Any]]:
    return [json.loads(data)["record"] for data in (await chained(aboard)).get(chain, ())]


def confirmed(offset: int, **attributes: Any) -> Record:
    fact = ComplaintConfirmed(complaint_id=f"co-{offset}", confirmed_at="2026-06-03T14:00:00Z")
    own = {"source": "/complaints", "sequence": f"{offset + 100:020}"}
    return record(fact, offset, fingerprint("e", str(offset)), **{**own, **attributes})


@pytest.fixture
async def aboard(tmp_path) -> Aboard:
    return await Aboard(tmp_path, recording=True).begin()


@pytest.mark.parametrize("seed", range(3))
async def test_every_fact_of_every_service_is_on_the_record_once_and_in_the_order_of_its_partition(
    tmp_path, seed
):
    """INV-02: whatever people do, and each chain is whole."""
    sailing = await Sailing(tmp_path, recording=True).begin()
    await Voyage(sailing, seed).sail(80)
    chains = await chained(sailing)
    for number, producer in enumerate(sailing.stores, start=1):
        if producer == AUDIT:
            continue
        for topic in subscriptions(AUDIT):
            wanted = [
                one["id"]
                for one in await sailing.events(producer)
                if FACTS[one["type"]].TOPIC == topic
            ]
            told = [json.loads(data)["record"] for data in chains.get(f"{topic}/{number}", ())]
            assert [one["event_id"] for one in told] == wanted
            assert all(one["source"] == f"/{producer}" for one in told)
    assert len(chains) > 6
    for name, found in chains.items():
        before = NOTHING_BEFORE
        for number, data in enumerate(found, start=1):
            one, body = json.loads(data), data[RECORD_AT : data.rindex(RECORD_ENDS)]
            assert data.startswith(HASH_BEGINS)
            assert (one["record"]["number"], one["record"]["chain"]) == (number, name)
            assert one["record"]["previous"] == before
            before = one["hash"]
            assert hash_of(body) == before
            assert rfc8785.dumps(one) == data
    assert await sailing.dead(AUDIT) == []


@pytest.mark.parametrize("seed", range(2))
async def test_no_employee_and_no_word_of_a_customer_is_on_the_record(tmp_path, seed):
    """INV-07: a pseudonym in place of each employee, in fields, keys and names of accounts."""
    sailing = await Sailing(tmp_path, recording=True).begin()
    await Voyage(sailing, seed).sail(80)
    _, lines = await sailing.stores[AUDIT].pending(100_000, 10**9)
    whole = b"\n".join(lines).decode()
    assert '"who":"em-' in whole
    assert '"employee/em-' in whole
    ids = [*demo_roster().employees, "e-new", "Kari", "kari@example.org", "soup", "v1."]
    assert [name for name in ids if re.search(rf"(?<![a-z0-9-]){re.escape(name)}", whole)] == []


def test_every_recorded_fact_about_an_employee_says_the_site_that_their_pseudonym_is_of():
    """Without it one employee has two pseudonyms, and a look by the second is not shown to them."""
    named = {"employee_id", "colleague_id", "till"}
    of_employees = {fact for fact in TOLD if named & fact.model_fields.keys()}
    assert of_employees
    assert {fact.TYPE for fact in of_employees if "site" not in fact.model_fields} == set()


async def test_an_operator_or_a_manager_is_on_the_record_by_a_pseudonym_as_employees_are(aboard):
    """INV-07: whoever decided on a dead letter, and whoever took a look."""
    letter = {"consumer": "audit", "topic": TOPIC, "partition": 0, "offset": 3, "burial": 1}
    discarded = DeadLetterDiscarded(**letter, by="op-7", why="not_needed")
    await aboard.feed(AUDIT, discarded.TOPIC, [record(discarded, 0, fingerprint("d"))])
    await noticed(aboard, 1)
    _, lines = await aboard.stores[AUDIT].pending(100_000, 10**9)
    told = [line for line in map(Line.decode, lines) if line.topic == FactRecorded.TOPIC]
    assert [line for line in told if b"op-7" in line.value] == []
    (one,) = await records(aboard, f"{discarded.TOPIC}/0")
    names, month = Vault(MASTER).pseudonyms, one["time"][:7]
    assert one["details"]["by"] == names.employee("", month, "op-7")


def test_an_employee_has_one_pseudonym_per_site_and_month():
    names = Vault(MASTER).pseudonyms
    one = names.employee("a", "2026-06", "e-1")
    others = {
        names.employee(*of)
        for of in [("b", "2026-06", "e-1"), ("a", "2026-07", "e-1"), ("a", "2026-06", "e-2")]
    }
    assert names.employee("a", "2026-06", "e-1") == one
    assert len({one, *others}) == 4


def test_the_record_has_a_place_for_every_field_of_every_fact():
    """Add a new fact's fields to FIELDS: which may managers read, and how?"""
    named = {
        name
        for facts in (NOTICES, *subscriptions(AUDIT).values())
        for fact in facts
        for name in fact.model_fields
    }
    assert named == FIELDS.keys()


#: Names of two closed lists, both of which may be read.
TWICE = {"channel", "reason", "safety"}


def test_a_name_means_the_same_in_every_fact():
    """Otherwise one fact's secret would be told because another's field of the same name may be."""
    forms: dict[str, set[str]] = {}
    for fact in (fact for facts in (NOTICES, *subscriptions(AUDIT).values()) for fact in facts):
        for name, field in fact.model_fields.items():
            parts = [part for part in get_args(field.annotation) if part is not NoneType]
            form = str(field.annotation)
            if NoneType in get_args(field.annotation):
                form = str(getattr(parts[0], "__origin__", parts[0]))
            forms.setdefault(name, set()).add(form)
    assert {name for name, found in forms.items() if len(found) > 1} == TWICE
    assert {FIELDS[name] for name in TWICE} <= {Told.AS_IS, Told.OWN_PLACE}


def test_every_fact_of_every_owner_is_recorded_and_none_of_audit_and_none_in_clear_text():
    for row in TABLE:
        assert (AUDIT in row.consumers) is (row.producer not in (AUDIT, OTHER_SYSTEMS))


async def test_what_comes_again_is_recorded_once(aboard):
    for batch in ([confirmed(0), confirmed(1)], [confirmed(0), confirmed(1), confirmed(2)]):
        await aboard.feed(AUDIT, TOPIC, batch, 7)
    repeated = confirmed(3)._replace(value=confirmed(2).value)
    await aboard.feed(AUDIT, TOPIC, [repeated, confirmed(4)], 7)
    assert [one["offset"] for one in await records(aboard)] == [0, 1, 2, 4]


async def test_what_is_missing_in_a_source_is_itself_a_record(aboard):
    bad = Record(5, b"{")
    await aboard.feed(AUDIT, TOPIC, [confirmed(0), confirmed(3), bad, confirmed(6)], 7)
    found = await records(aboard)
    assert [(one.get("missing"), one.get("after"), one.get("before")) for one in found] == [
        (None, None, None),
        (2, 0, 3),
        (None, None, None),
        (2, 3, 6),
        (None, None, None),
    ]
    assert [one["number"] for one in found] == [1, 2, 3, 4, 5]


async def test_a_gap_of_a_compacted_topic_is_none(aboard):
    keys = [record(CustomerKeyCreated(customer_ref=f"r-{n}", wrapped="v1.a"), n) for n in (2, 9)]
    await aboard.feed(AUDIT, CustomerKeyCreated.TOPIC, keys, 7)
    found = await records(aboard, f"{CustomerKeyCreated.TOPIC}/7")
    assert [one["what"] for one in found] == [CustomerKeyCreated.TYPE] * 2


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "recovery.complaint.invented.v1"},
        {"type": "recovery.complaint.invented.v2", "data": {"name": "Kari"}},
        {"data": {"complaint_id": "Kari"}},
        {"subject": None, "time": None, "correlationid": None},
        {"subject": "not an id", "type": 'a "quoted" type'},
    ],
)
async def test_a_fact_that_this_build_cannot_read_is_recorded_without_its_data(aboard, changes):
    one = event(
        ComplaintConfirmed(complaint_id="co-1", confirmed_at="2026-06-03T14:00:00Z"),
        "e",
        source="/complaints",
        subject="co-1",
    )
    body = {name: value for name, value in {**one, **changes}.items() if value is not None}
    await aboard.feed(AUDIT, TOPIC, [Record(0, json.dumps(body).encode())], 7)
    (found,) = await records(aboard)
    assert found["what"] == body["type"]
    if body["type"] != ComplaintConfirmed.TYPE or "data" in changes:
        assert found["details"] == {}
    assert "Kari" not in json.dumps(found)
    (data,) = (await chained(aboard))[f"{TOPIC}/7"]
    assert rfc8785.dumps(json.loads(data)) == data


def test_the_stored_form_of_a_record_is_canonical_whatever_it_holds():
    details = st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True),
        st.one_of(st.booleans(), st.integers(-(2**53) + 1, 2**53 - 1), st.text(max_size=9)),
        max_size=4,
    )

    @given(details, st.from_regex(r"[^\x00-\x1f\x7f-\x9f]{1,9}", fullmatch=True))
    def written(found, source):
        sorted_details = {name: found[name] for name in sorted(found)}
        one = Recorded.model_validate({**EXAMPLE, "details": sorted_details, "source": source})
        body = FactRecorded.of(one, START).written().encode()
        assert rfc8785.dumps(json.loads(body)) == body
        assert FactRecorded.model_validate_json(body).written().encode() == body

    written()


EXAMPLE = {
    "chain": "recovery.complaints.v1/0",
    "correlation": "c",
    "event_id": "e",
    "key": "k",
    "number": 1,
    "offset": 0,
    "previous": NOTHING_BEFORE,
    "time": "2026-06-03T14:00:00.123456Z",
    "what": "x",
}


@pytest.mark.parametrize("seed", range(3))
async def test_records_that_were_lost_with_the_outbox_are_made_again_with_the_same_hashes(
    tmp_path, seed
):
    """INV-06: Redis was lost, and of the last records some partitions had theirs on Kafka already."""
    sailing = await Sailing(tmp_path, recording=True).begin()
    await Voyage(sailing, seed).sail(60)
    before, log = await chained(sailing), await MemoryLog.of(sailing, AUDIT)
    own = [place for place in log.records if place.topic == FactRecorded.TOPIC]
    for number, place in enumerate(own):
        log.records[place] = log.records[place][: len(log.records[place]) - number]
    lost = sum(map(len, before.values())) - len(
        {one.value for place in own for one in log.records[place]}
    )
    assert lost > 2
    store = MemoryStore()
    await rebuild_of(sailing, AUDIT, log, store).run("again")
    assert await store.open_generation(store.kept.sequence)
    settings = sailing.apps[AUDIT].parts.settings
    sailing.apps[AUDIT] = build(settings, now=sailing.clock, store=store)  # another process
    sailing.stores[AUDIT] = store
    for place, records in log.records.items():
        await sailing.feed(AUDIT, place.topic, records, place.partition)
    again = await chained(sailing)
    assert sum(map(len, again.values())) == lost
    for name, found in again.items():
        assert [json.loads(one)["hash"] for one in found] == [
            json.loads(one)["hash"] for one in before[name][-len(found) :]
        ]


@pytest.mark.parametrize("seed", range(3))
async def test_chains_and_heads_made_again_are_those_that_were(tmp_path, seed):
    """INV-06: documents, timers, fences and answers of audit, and its notices."""
    sailing = await Sailing(tmp_path, recording=True).begin()
    await Voyage(sailing, seed).sail(60)
    await noticed(sailing, 1, 2)
    await noticed(sailing, 3)
    made = await rebuilt(sailing, AUDIT)
    store = sailing.stores[AUDIT]
    assert len(store.kept.indexes[CHAINS]) > 6
    assert differing(comparable(made, sailing), comparable(store, sailing)) == []


# ---- heads ---------------------------------------------------------------------------------------


async def heads(aboard: Aboard) -> list[HeadsSigned]:
    return [
        HeadsSigned.model_validate(one["data"])
        for one in await aboard.events(AUDIT)
        if one["type"] == HeadsSigned.TYPE
    ]


def public_key():
    return derived_key(Vault(MASTER).derive).public_key()


async def test_heads_of_all_chains_are_signed_a_minute_after_a_record_and_not_again_without_one(
    aboard,
):
    await aboard.feed(AUDIT, TOPIC, [confirmed(n) for n in range(5)], 7)
    await aboard.ring(AUDIT)
    assert await heads(aboard) == []
    aboard.later(minutes=2)
    await aboard.ring(AUDIT)
    (signed,) = await heads(aboard)
    statement = signed_bytes(signed.statement)
    assert rfc8785.dumps(json.loads(statement)) == statement
    signature = urlsafe_b64decode(signed.signature + "==")
    public_key().verify(signature, statement)
    with pytest.raises(InvalidSignature):
        public_key().verify(signature, statement + b" ")
    chains = await chained(aboard)
    assert {head.chain: (head.number, head.hash) for head in signed.statement.heads} == {
        name: (len(found), json.loads(found[-1])["hash"]) for name, found in chains.items()
    }
    assert [head.offset for head in signed.statement.heads if head.chain == f"{TOPIC}/7"] == [4]
    aboard.later(minutes=5)
    await aboard.ring(AUDIT)
    assert len(await heads(aboard)) == 1


async def test_heads_name_the_heads_before_them(aboard):
    for n in range(3):
        await aboard.feed(AUDIT, TOPIC, [confirmed(n)], 7)
        aboard.later(minutes=2)
        await aboard.ring(AUDIT)
    before = NOTHING_BEFORE
    for number, signed in enumerate(await heads(aboard), start=1):
        assert (signed.statement.number, signed.statement.previous) == (number, before)
        before = hash_of(signed_bytes(signed.statement))


async def test_heads_are_signed_at_once_after_so_many_records_of_one_chain(aboard):
    many = [confirmed(n) for n in range(RECORDS_PER_HEAD + 1)]
    await aboard.feed(AUDIT, TOPIC, many, 7)
    await aboard.ring(AUDIT)
    (signed,) = await heads(aboard)
    assert RECORDS_PER_HEAD + 1 in {head.number for head in signed.statement.heads}


async def test_heads_are_signed_when_somebody_asks(aboard):
    await aboard.feed(AUDIT, TOPIC, [confirmed(0)], 7)
    async with aboard.http(AUDIT, aboard.bearer("m-1", kind="manager")) as phone:
        for _ in range(2):
            answer = await phone.post("/v1/heads", headers={"Idempotency-Key": "now"})
            assert answer.status_code == 201
    async with aboard.http(AUDIT) as phone:
        refused = await phone.post("/v1/heads", headers={"Idempotency-Key": "now"})
    assert refused.status_code == 403
    (signed,) = await heads(aboard)
    assert answer.json() == json.loads(signed.written())


async def test_a_chain_whose_document_is_gone_goes_on_from_the_signed_heads(aboard):
    await aboard.feed(AUDIT, TOPIC, [confirmed(n) for n in range(3)], 7)
    aboard.later(minutes=2)
    await aboard.ring(AUDIT)
    del aboard.stores[AUDIT].kept.documents[Chain.key(f"{TOPIC}/7")]
    await aboard.feed(AUDIT, TOPIC, [confirmed(3)], 7)
    found = await chained(aboard)
    last = json.loads(found[f"{TOPIC}/7"][3])["record"]
    assert last["number"] == 4
    assert last["previous"] == json.loads(found[f"{TOPIC}/7"][2])["hash"]


async def test_signed_heads_name_a_chain_for_good_also_when_its_document_is_gone(aboard):
    await aboard.feed(AUDIT, TOPIC, [confirmed(n) for n in range(3)], 7)
    aboard.later(minutes=2)
    await aboard.ring(AUDIT)
    del aboard.stores[AUDIT].kept.documents[Chain.key(f"{TOPIC}/7")]
    for minutes in range(2):
        await aboard.feed(AUDIT, TOPIC, [confirmed(9)], minutes)
        aboard.later(minutes=2)
        await aboard.ring(AUDIT)
    _, *later = [
        {head.chain: head.number for head in signed.statement.heads}
        for signed in await heads(aboard)
    ]
    assert [named[f"{TOPIC}/7"] for named in later] == [3, 3]
    assert later[1].keys() - later[0].keys() == {f"{TOPIC}/1"}
    await aboard.feed(AUDIT, TOPIC, [confirmed(3)], 7)
    found = await chained(aboard)
    gone_on = json.loads(found[f"{TOPIC}/7"][3])["record"]
    assert gone_on["number"] == 4
    assert gone_on["previous"] == json.loads(found[f"{TOPIC}/7"][2])["hash"]


async def test_a_statement_of_too_many_heads_is_refused_before_it_is_signed():
    one = Head(chain="recovery.x.v1/0", hash="a" * 64, number=1, offset=0)
    with pytest.raises(ValueError, match="at most 1500"):
        Statement(
            heads=(one,) * 1501, number=1, previous=NOTHING_BEFORE, signed_at="2026-06-03T14:00:00Z"
        )


def test_a_key_of_its_own_signs_if_there_is_one_and_what_is_no_key_is_refused_at_start(tmp_path):
    key = Ed25519PrivateKey.generate()
    path = tmp_path / "audit.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    signed = Signer(read_key(path))(b"x")
    key.public_key().verify(urlsafe_b64decode(signed.signature + "=="), b"x")
    given = {
        "KAFKA_BOOTSTRAP_SERVERS": "nowhere.invalid:1",
        "REDIS_URL": "redis://nowhere.invalid",
        "master_key": b64encode(MASTER).decode(),
        "jwks": tmp_path / token.JWKS_FILE,
        "signing_key": path,
    }
    token.demo_key(tmp_path)
    assert build(Settings(**given)) is not None
    path.write_text("no key")
    with pytest.raises(ValueError, match="not a private key"):
        Settings(**given)


def test_the_last_heads_are_one_document():
    assert LastHeads.key(LAST) == "heads:last"


# ---- notices -------------------------------------------------------------------------------------

OWN = f"{Notice.TOPIC}/0"


def notice(number: int) -> LookTaken:
    return LookTaken(
        look_id=f"lk-{number}",
        person="em-" + "a" * 32,
        site="ms-aurora",
        purpose="a test",
        by="op-7",
        looked_at=START,
    )


async def noticed(aboard: Aboard, *numbers: int) -> None:
    """One decision with these notices."""

    async def decide(view: View) -> Decision:
        names = Vault(MASTER).pseudonyms.employee
        return Decision(await on_record([notice(number) for number in numbers], view, names))

    settler = aboard.apps[AUDIT].parts.settler
    await settler.settle_internal(f"command/look/{numbers}", "c", decide)


async def test_what_audit_says_itself_is_on_the_record_once_in_a_chain_of_its_own(aboard):
    """INV-02: and nobody audits it again."""
    await aboard.feed(AUDIT, TOPIC, [confirmed(0)], 7)
    await noticed(aboard, 1, 2)
    await noticed(aboard, 3)
    types = await aboard.types(AUDIT)
    assert types[-6:] == ["fact.recorded", "look.taken"] * 3, "each behind its record"
    await aboard.carry()
    found = (await chained(aboard))[OWN]
    before = NOTHING_BEFORE
    for number, data in enumerate(found, start=1):
        one = json.loads(data)
        assert (one["record"]["number"], one["record"]["offset"]) == (number, number - 1)
        assert (one["record"]["what"], one["record"]["key"]) == (LookTaken.TYPE, f"lk-{number}")
        assert one["record"]["previous"] == before
        before = one["hash"]
        assert rfc8785.dumps(one) == data
    assert len(found) == 3
    aboard.later(minutes=2)
    await aboard.ring(AUDIT)
    signed = (await heads(aboard))[-1].statement.heads
    assert {head.chain: (head.number, head.hash) for head in signed}[OWN] == (3, before)


async def test_a_notice_of_a_records_decision_goes_into_the_chain_of_its_partition(aboard):
    view = aboard.apps[AUDIT].parts.settler.view()
    view.arrival = Arrival(TOPIC, 7, 3, 2)
    names = Vault(MASTER).pseudonyms.employee
    recorded, told = await on_record([notice(1)], view, names)
    assert isinstance(recorded, FactRecorded)
    assert (recorded.record.chain, recorded.lies_in()) == (f"{Notice.TOPIC}/7", 7)
    assert told == notice(1)


async def test_a_notice_after_records_that_a_lost_store_took_with_it_goes_on_behind_signed_heads(
    aboard,
):
    """Otherwise another record would have the number of one that is signed."""
    await noticed(aboard, 1, 2)
    aboard.later(minutes=2)
    await aboard.ring(AUDIT)
    (signed,) = await heads(aboard)
    first = json.loads((await chained(aboard))[OWN][0])
    documents = aboard.stores[AUDIT].kept.documents
    key = Chain.key(OWN)
    lost = Chain(number=1, hash=first["hash"], offset=0).model_dump_json().encode()
    documents[key] = documents[key]._replace(body=lost)
    await noticed(aboard, 3)
    last = json.loads((await chained(aboard))[OWN][-1])["record"]
    assert last["number"] == 3
    assert last["previous"] == next(h.hash for h in signed.statement.heads if h.chain == OWN)
