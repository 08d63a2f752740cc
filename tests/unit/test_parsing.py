"""The border where bytes become events: what is malformed stops here, with a reason."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from shared.contracts.compensation import Charges, Option
from shared.contracts.intake import TEXT_MAX, ComplaintRaised
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.faults import Rejected
from shared.runtime.kafka.inbox import (
    EVENT_BYTES_MAX,
    Handler,
    Inbox,
    Record,
    Unread,
    deciding,
)
from shared.testing.builders import event, outbox, record
from shared.testing.memory_store import MemoryStore
from tests.suites.services import raised
from tests.suites.tally import INBOX, STRICT, Heard, settler

INTAKE = Inbox(ComplaintRaised.TOPIC, [Handler(ComplaintRaised)], strict=True)
HEARD = Heard(name="a")


def changed(**attributes: object) -> bytes:
    return to_json({**event(HEARD, "e-1"), **attributes})


BAD = [
    (None, Reason.MALFORMED_BYTES),
    (b"", Reason.MALFORMED_BYTES),
    (b"{", Reason.MALFORMED_BYTES),
    (b"\x00\x01", Reason.MALFORMED_BYTES),
    (b'{"id":NaN}', Reason.MALFORMED_BYTES),
    (b'{"id":-Infinity}', Reason.MALFORMED_BYTES),
    (b"[" * 100_000, Reason.MALFORMED_BYTES),
    (b'{"id":"\xff"}', Reason.INVALID_UTF8),
    (b'"' + b"x" * EVENT_BYTES_MAX, Reason.TOO_LARGE),
    (b"[]", Reason.SCHEMA_INVALID),
    (b"5", Reason.SCHEMA_INVALID),
    (b"null", Reason.SCHEMA_INVALID),
    (changed(id=""), Reason.MISSING_ID),
    (changed(id=None), Reason.MISSING_ID),
    (changed(id=7), Reason.SCHEMA_INVALID),
    (changed(id="x" * 257), Reason.SCHEMA_INVALID),
    (changed(type="recovery.other.v1"), Reason.UNKNOWN_TYPE),
    (changed(type=None), Reason.UNKNOWN_TYPE),
    (changed(type=[1]), Reason.UNKNOWN_TYPE),
    (changed(specversion="0.3"), Reason.SCHEMA_INVALID),
    (changed(source=""), Reason.SCHEMA_INVALID),
    (changed(time="yesterday"), Reason.SCHEMA_INVALID),
    (changed(time="2026-06-03T14:00:00"), Reason.SCHEMA_INVALID),
    (changed(time=1e300), Reason.SCHEMA_INVALID),
    (changed(datacontenttype="text/xml"), Reason.SCHEMA_INVALID),
    (changed(sequence="-1"), Reason.SCHEMA_INVALID),
    (changed(data=None), Reason.SCHEMA_INVALID),
    (changed(data={"name": "no spaces"}), Reason.SCHEMA_INVALID),
    (changed(data={"name": "a\n"}), Reason.SCHEMA_INVALID),
]


@pytest.mark.parametrize(("value", "reason"), BAD)
async def test_bad_bytes_are_one_dead_letter_and_the_next_record_is_settled(value, reason):
    """INV-04: nothing that came in disappears."""
    with pytest.raises(Rejected, match=reason.value):
        STRICT.parse(Record(0, value))
    store = MemoryStore()
    await store.begin_generation("first", 0)
    await settler(store).settle_records(STRICT, 0, [Record(0, value), record(HEARD, 1)])
    letter, counted = await outbox(store)
    assert dict(letter.headers)["reason"] == reason
    assert counted.topic == "recovery.tally.v1"


def test_a_type_nobody_handles_is_somebody_elses_where_the_topic_is_not_ours_alone():
    assert INBOX.parse(Record(0, changed(type="recovery.other.v1"))) is None


async def noted(event, view) -> Decision:
    raise NotImplementedError


OTHERWISE = Inbox(
    Heard.TOPIC, [Handler(Heard, deciding(noted))], otherwise=Handler(Unread, deciding(noted))
)


@pytest.mark.parametrize(
    "value",
    [
        changed(type="recovery.other.v1"),
        changed(data={"name": "no spaces"}),
        changed(type="recovery.other.v1", data={"x": [1]}),
    ],
)
def test_a_fact_that_cannot_be_read_is_an_event_without_data_where_somebody_asks_for_it(value):
    found = OTHERWISE.parse(Record(0, value))
    assert found is not None
    assert type(found.event.data) is Unread
    assert found.event.id == "e-1"


@pytest.mark.parametrize(
    ("value", "reason"), [one for one in BAD if one[1] is not Reason.UNKNOWN_TYPE and one[0]]
)
def test_what_is_no_event_is_no_fact_that_cannot_be_read(value, reason):
    data_alone = value in (changed(data={"name": "no spaces"}), changed(data={"name": "a\n"}))
    if data_alone:
        assert OTHERWISE.parse(Record(0, value)) is not None
        return
    with pytest.raises(Rejected, match=reason.value):
        OTHERWISE.parse(Record(0, value))


async def test_a_tombstone_on_a_topic_of_ours_is_not_for_us_and_no_dead_letter():
    assert INBOX.parse(Record(0, None)) is None
    with pytest.raises(Rejected, match=Reason.MALFORMED_BYTES.value):
        INBOX.parse(Record(0, b""))
    store = MemoryStore()
    await store.begin_generation("first", 0)
    await settler(store).settle_records(INBOX, 0, [Record(0, None), record(HEARD, 1)])
    assert [line.topic for line in await outbox(store)] == ["recovery.tally.v1"]


@pytest.mark.parametrize(
    "data",
    [
        {"text": ""},
        {"text": "x" * (TEXT_MAX + 1)},
        {"site": "a b"},
        {"site": "x" * 129},
        {"channel": "pigeon"},
        {"contact": {"email": "a@b, c@d"}},
        {"contact": {"email": "a@b\nBcc: c@d"}},
        {"contact": {"phone": "call me"}},
        {"customer": ""},
        {"occurred_at": "2026-06-03T14:00:00"},
        {"occurred_at": "+10000-01-01T00:00:00Z"},
    ],
)
def test_a_complaint_out_of_bounds_is_refused_and_its_words_are_not_in_the_reason(data):
    body = event(raised(), "e-1")
    body["data"] |= data
    with pytest.raises(Rejected, match=Reason.SCHEMA_INVALID.value) as found:
        INTAKE.parse(Record(0, to_json(body)))
    assert all(where.startswith("/data/") for where in found.value.where)


def test_a_date_far_ahead_is_a_date_here_and_the_rules_judge_it():
    parsed = INTAKE.parse(record(raised(), 0, time="9999-12-31T23:59:59Z"))
    assert parsed is not None


@pytest.mark.parametrize("lone", [b'"\\ud800"', b'"\\udfff tail"'])
def test_half_a_character_is_refused_and_never_an_error_of_ours(lone):
    value = to_json(event(HEARD, "@@")).replace(b'"@@"', lone)
    with pytest.raises(Rejected):
        STRICT.parse(Record(0, value))


def binary(**changes: bytes | None) -> Record:
    headers: dict[str, bytes | None] = {
        "ce_id": b"e-1", "ce_source": b"/s", "ce_specversion": b"1.0",
        "ce_type": Heard.TYPE.encode(), "traceparent": b"x", "content-type": b"application/json",
    }  # fmt: skip
    return Record(0, b'{"name":"a"}', tuple({**headers, **changes}.items()))


def test_binary_mode_and_structured_mode_are_the_same_event():
    in_binary, in_structure = STRICT.parse(binary()), STRICT.parse(record(HEARD, 0, "e-1"))
    assert in_binary is not None
    assert in_structure is not None
    assert in_binary.event.data == in_structure.event.data
    assert in_binary.event.id == in_structure.event.id


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ce_id": None}, Reason.MISSING_ID),
        ({"ce_id": b""}, Reason.MISSING_ID),
        ({"ce_type": None}, Reason.UNKNOWN_TYPE),
        ({"ce_source": None}, Reason.SCHEMA_INVALID),
        ({"ce_specversion": b"\xff"}, Reason.SCHEMA_INVALID),
    ],
)
def test_a_header_without_a_value_is_a_missing_one(changes, reason):
    with pytest.raises(Rejected, match=reason.value):
        STRICT.parse(binary(**changes))


@pytest.mark.parametrize("amount", [-1, 0, 1.0, "1", True, 10**12 + 1, None])
def test_a_charge_is_a_whole_number_of_minor_units_within_bounds(amount):
    with pytest.raises(ValidationError):
        TypeAdapter(Charges).validate_python({"site/s/NOK/2026-06-03": amount})


@pytest.mark.parametrize("currency", ["nok", "NO", "NOKK", "kr", "", None])
def test_a_currency_is_three_capital_letters(currency):
    with pytest.raises(ValidationError):
        Option(item="i", kind="apology", value_minor=0, cost_minor=0, currency=currency)
