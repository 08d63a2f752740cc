"""What a record says of a fact, how records are chained, and when the heads of chains are signed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple, Self

from shared.contracts.audit import (
    HEADS_MAX,
    NOTHING_BEFORE,
    Chained,
    Detail,
    FactRecorded,
    GapRecorded,
    Head,
    HeadsSigned,
    Missed,
    Notice,
    Recorded,
    Statement,
    hash_of,
    signed_bytes,
)
from shared.contracts.catalogue import AUDIT, produced, subscriptions, topics
from shared.contracts.event import SUBJECT_PATTERN, Event
from shared.contracts.months import month_of
from shared.contracts.roster import OWN_ACCOUNT
from shared.kernel import Decision, Document, Fact, Fold, Slice, Timer

#: The pseudonym of an employee, by site, month and id.
Pseudonym = Callable[[str, str, str], str]
#: Heads are signed once in so many records of a chain, and after each minute with records: some seconds
#: later, when no commit of that minute is under way any more, as it would set the timer once more.
RECORDS_PER_HEAD = 1_000
HEAD_EVERY = timedelta(minutes=1)
HEAD_AFTER = timedelta(seconds=10)
#: The timer that signs heads, and the sorted set of all chains.
SIGN, CHAINS = "heads", "chains"
#: The time of an event that has none, so that its record follows from the event alone.
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
#: The one document about signed heads.
LAST = "last"
#: On a compacted topic offsets without a record are no gap.
COMPACTED = frozenset(topic.name for topic in topics() if topic.cleanup == "compact")


class Told(StrEnum):
    """How a field of a fact appears on its record."""

    #: A part of the record of its own.
    OWN_PLACE = "own_place"
    #: Among the amounts.
    AMOUNT = "amount"
    #: Among the details, as it is.
    AS_IS = "as_is"
    #: Among the details, as the employee's pseudonym.
    EMPLOYEE = "employee"
    #: Among the details, by account; an employee's accounts are named by the pseudonym.
    ACCOUNTS = "accounts"
    #: Among the details, by the names of its items alone.
    ITEMS = "items"
    #: Among the details, role and whether active alone.
    LISTING = "listing"
    #: Not at all.
    LEFT_OUT = "left_out"


def _each(told: Told, names: str) -> dict[str, Told]:
    return dict.fromkeys(names.split(), told)


#: Every field of every recorded fact. A field that is not here is left out, and a test fails.
FIELDS: Mapping[str, Told] = {
    **_each(Told.OWN_PLACE, "site currency policy_version reason category employee_id"),
    **_each(
        Told.AMOUNT,
        "amount_minor bill_up_to_minor budget_minor ceiling_minor cost_minor left_minor"
        " unredeemed_minor used_minor value_minor",
    ),
    **_each(
        Told.AS_IS,
        "body burial consumer dead_offset fix department outcome dead_partition letter offset partition ticket topic"
        " about acknowledged action added_line affected again answered at_desk attempt basis because bound_by broken_before by_customer by_link channel check_id checks"
        " complaint_id complaint_ids complaints complaints_with_check confirmation_id consent customer customer_ref delight"
        " action_id after_action cause instead_of_action week"
        " customers day disruption done employees employees_idle expired first given has_contact helped incident_id"
        " intent into item kind kinds language left left_out_merged left_out_unfounded left_out_withdrawn mailbox mailboxes merged_ids message_id notice number occasion offer_id offered overdue"
        " percent promise_id promise_of reachable redemption_id regime remaining repeats_unknown round safety scope service"
        " severity question_id scale score skipped step subcategory remedy praise_id stated valid_at version version_in_force waited_s warned window"
        " draft partitions partly period run_id sequences since tried_at undecided unsupported_language up_to wishes withheld asked_by author more name month next_at rewrapped_at"
        " digest_id in_digest instead_of next_channel on_shift provider tells endpoint entry event_id webhook_id"
        " asking_id experience importance score_only touchpoint",
    ),
    **_each(
        Told.AS_IS,
        "accepted_at added_at answered_at asked_again_at asked_at attempted_at began_at cancelled_at captured_at changed_at chosen_at"
        " claimed_at closed_at closes_at corrected_at declined_at done_at due_at due_by found_at late_at recorded_at referred_at warn_at warned_at withdrawn_at"
        " certified_at complained_at confirmed_at counted_at destroyed_at disabled_at dropped_at ended_at erased_at expired_at expires_at explain_by explained_at"
        " described_at purchased_at bounced_at delivered_at failed_at forgotten_at given_at issued_at joined_at lapsed_at listed_at logged_at merged_at noted_at occurred_at"
        " named_at taken_at offered_at opened_at overdue_at passed_at praised_at promised_by published_at queued_at read_at received_at refused_at reopened_at"
        " reserved_at resumed_at retold_at retry_at rolled_back_at routed_at said_at seen_at seen_by sent_at split_at started_at"
        " suspended_at unseen_at until valid_until voided_at",
    ),
    # Of notices.
    **_each(Told.AS_IS, "look_id looked_at person purpose"),
    **_each(
        Told.AS_IS,
        "dismissed_at first_day numbers other_site persons raised_at signal signal_id",
    ),
    # A till may be an employee who stands in as one; `by` names a person as well, who looked or decided.
    **_each(Told.EMPLOYEE, "by colleague_id passed_from till"),
    **_each(Told.ACCOUNTS, "credits debits held"),
    **_each(Told.ITEMS, "alternatives options"),
    **_each(Told.LISTING, "listing"),
    # What is sealed, what a sealed thing could be found by, long texts and lists, and what counts letters. A role of which
    # a site has one employee would be that employee's name.
    **_each(
        Told.LEFT_OUT,
        "answer code code_hash flags flags_added flags_removed reasons contact contact_refs content counted counts_for ends explanation groups information line note payload place place_ref profile segment"
        " policy praised question raised_by role"
        " quiet_hours sender_ref stay_ends_at text timezone title why wrapped",
    ),
}


#: What is told among the details.
DETAILS = frozenset(Told) - {Told.OWN_PLACE, Told.AMOUNT, Told.LEFT_OUT}


class Fields(NamedTuple):
    """The fields of a type of fact by how they are told, and those among the details; sorted, as they are written."""

    told: Mapping[Told, Sequence[str]]
    details: Sequence[str]
    as_is: set[str]

    @classmethod
    def of(cls, fact: type[Fact]) -> Self:
        """The fields of this type."""
        told: dict[Told, list[str]] = {one: [] for one in Told}
        for name in sorted(fact.model_fields):
            told[FIELDS.get(name, Told.LEFT_OUT)].append(name)
        details = sorted(name for one in DETAILS for name in told[one])
        return cls(told, details, set(told[Told.AS_IS]))


#: The facts that audit makes itself.
NOTICES = tuple(fact for fact in produced(AUDIT) if issubclass(fact, Notice))
TOLD = {
    fact: Fields.of(fact) for facts in (NOTICES, *subscriptions(AUDIT).values()) for fact in facts
}
#: Of a fact whose data this build cannot read.
NOT_READ = Fields.of(Fact)


class Chain(Document):
    """The end of one chain."""

    KIND: ClassVar[str] = "chain"

    number: int = 0
    hash: str = NOTHING_BEFORE
    #: The offset of the last fact recorded.
    offset: int = -1


class LastHeads(Document):
    """The heads signed last: what a chain goes on from when its own document is forgotten."""

    KIND: ClassVar[str] = "heads"

    number: int
    hash: str
    heads: tuple[Head, ...]

    def chain(self, name: str) -> Chain | None:
        """The end of a chain as it was then: a chain outlasts its own document by the heads."""
        for head in self.heads:
            if head.chain == name:
                return Chain(number=head.number, hash=head.hash, offset=head.offset)
        return None


class Signature(NamedTuple):
    """Which key signed, and the signature."""

    key_id: str
    signature: str


Sign = Callable[[bytes], Signature]


class Source(NamedTuple):
    """Where a fact was read: its partition, its offset, and how much is missing before it."""

    topic: str
    partition: int
    offset: int
    missing: int

    @property
    def chain(self) -> str:
        """The chain it belongs to."""
        return chain_of(self.topic, self.partition)


def chain_of(topic: str, partition: int) -> str:
    """The chain of a source's partition."""
    return f"{topic}/{partition}"


def record(
    chain: Chain | None, event: Event[Fact], source: Source, pseudonym: Pseudonym, now: datetime
) -> Decision:
    """The next record of a chain, after one that says what is missing before it, if anything is."""
    chain, facts = chain or Chain(), list[Chained]()
    if source.missing > 0 and source.topic not in COMPACTED:
        gap = Missed(
            after=chain.offset,
            before=source.offset,
            chain=source.chain,
            missing=source.missing,
            number=chain.number + 1,
            previous=chain.hash,
        )
        facts.append(GapRecorded.of(gap, now))
        chain = chained(chain, facts[0])
    facts.append(FactRecorded.of(_recorded(chain, event, source, pseudonym), now))
    return Decision(facts)


def notice_recorded(
    chain: Chain | None,
    last: LastHeads | None,
    notice: Notice,
    partition: int,
    pseudonym: Pseudonym,
    now: datetime,
) -> FactRecorded:
    """The record of a notice, in the chain of notices that has this number.

    It is made with the notice, so nothing can be missing before it, and its offset counts the notices of
    the chain. Where a lost store took records with it whose heads are signed already, the chain goes on behind
    these heads: then verification says which records are gone.
    """
    name = chain_of(Notice.TOPIC, partition)
    signed = last.chain(name) if last is not None else None
    end = max(chain or Chain(), signed or Chain(), key=lambda one: one.number)
    event = Event[Fact](
        specversion="1.0",
        id=f"{name}/{end.number + 1}",
        source=f"/{AUDIT}",
        type=notice.TYPE,
        time=now,
        correlationid=notice.key(),
        data=notice,
    )
    source = Source(Notice.TOPIC, partition, end.number, 0)
    return FactRecorded.of(_recorded(end, event, source, pseudonym), now)


def _recorded(chain: Chain, event: Event[Fact], source: Source, pseudonym: Pseudonym) -> Recorded:
    fact, at = event.data, event.time or NEVER
    fields = TOLD.get(type(fact), NOT_READ)
    own = {name: getattr(fact, name) for name in fields.told[Told.OWN_PLACE]}
    site, employee = own.get("site"), own.get("employee_id")
    named = _Named(str(site or ""), month_of(at), pseudonym)
    who = named.employee(employee) if employee else None
    why = own.get("reason") or own.get("category")
    return Recorded(
        amounts={
            name: value
            for name in fields.told[Told.AMOUNT]
            if (value := getattr(fact, name)) is not None
        },
        causation=_id(event.causationid),
        chain=source.chain,
        correlation=_id(event.correlationid) or event.id,
        currency=own.get("currency"),
        details=_details(fact, fields, named),
        event_id=event.id,
        key=_key(event, employee, who),
        number=chain.number + 1,
        offset=source.offset,
        policy_version=own.get("policy_version"),
        previous=chain.hash,
        sequence=int(event.sequence) if event.sequence else None,
        site=site,
        source=event.source,
        time=at,
        what=event.type,
        who=who,
        why=str(why) if why else None,
    )


class _Named(NamedTuple):
    """Names employees of one site in one month."""

    site: str
    month: str
    pseudonym: Pseudonym

    def employee(self, employee_id: str) -> str:
        return self.pseudonym(self.site, self.month, employee_id)

    def account(self, account: str) -> str:
        """An account's name; that of an employee by the pseudonym."""
        if not account.startswith(("employee/", "stretch/")):
            return account
        found = OWN_ACCOUNT.fullmatch(account)
        if found is None:
            return f"{account.partition('/')[0]}/unknown"
        kind, site, employee_id, long_name, rest = found.groups()
        who = self.pseudonym(site or self.site, self.month, employee_id or long_name)
        return f"{kind}/{who}/{rest}"


def _details(fact: Fact, fields: Fields, named: _Named) -> dict[str, Detail]:
    told = fields.told
    found: dict[str, Any] = fact.model_dump(mode="json", include=fields.as_is, exclude_none=True)
    for name in told[Told.EMPLOYEE]:
        if (value := getattr(fact, name)) is not None:
            found[name] = named.employee(value)
    for name in told[Told.ACCOUNTS]:
        found[name] = {named.account(one): value for one, value in getattr(fact, name).items()}
    for name in told[Told.ITEMS]:
        found[name] = [option.item for option in getattr(fact, name)]
    for name in told[Told.LISTING]:
        listing = getattr(fact, name)
        found[name] = {"active": listing.active, "role": listing.role}
    return {name: _sorted(found[name]) for name in fields.details if name in found}


def _sorted(value: Any) -> Any:
    """The same with the names in each map sorted, as canonical JSON has them."""
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(one) for one in value] if isinstance(value, list) else value


def _id(text: str | None) -> str | None:
    """The text if it can be an id."""
    return text if text and SUBJECT_PATTERN.fullmatch(text) else None


def _key(event: Event[Fact], employee: str | None, who: str | None) -> str:
    """The fact's key; the pseudonym where it is the employee's id, alone or with the site."""
    key = event.data.key() if event.data.TYPE else event.subject
    if who is not None and employee is not None and key is not None and employee in key:
        return who
    return _id(key) or event.id


def chained(_: Chain | None, fact: Chained) -> Chain:
    """The chain with one more record."""
    if isinstance(fact, FactRecorded):
        offset = fact.record.offset
    else:
        assert isinstance(fact, GapRecorded)
        offset = fact.record.after
    return Chain(number=fact.record.number, hash=fact.hash, offset=offset)


def due_heads(fact: FactRecorded | GapRecorded) -> Iterable[Timer]:
    """The timer of the record's minute; for every thousandth of a chain also one that is due at once."""
    one = fact.record
    yield _after_minute(fact.recorded_at)
    if one.number % RECORDS_PER_HEAD == 0:
        yield Timer(SIGN, f"{one.chain}/{one.number}", fact.recorded_at)


@lru_cache(16)  # all records of a batch have one moment
def _after_minute(moment: datetime) -> Timer:
    minute = moment.replace(second=0, microsecond=0)
    return Timer(SIGN, f"{minute.astimezone(UTC):%Y-%m-%dT%H:%M}", minute + HEAD_EVERY + HEAD_AFTER)


def heads_signed(
    chains: Mapping[str, Chain], last: LastHeads | None, sign: Sign, now: datetime
) -> HeadsSigned:
    """The heads of all chains, signed; raises ValueError if they are too many.

    A chain whose document is forgotten keeps the head that it had in the heads before, for good.
    """
    heads = {head.chain: head for head in (() if last is None else last.heads)}
    heads |= {
        name: Head(chain=name, hash=chain.hash, number=chain.number, offset=chain.offset)
        for name, chain in chains.items()
    }
    if len(heads) > HEADS_MAX:
        raise ValueError(f"{len(heads)} chains are more than {HEADS_MAX}")
    statement = Statement(
        heads=tuple(heads[name] for name in sorted(heads)),
        number=1 if last is None else last.number + 1,
        previous=NOTHING_BEFORE if last is None else last.hash,
        signed_at=now,
    )
    key_id, signature = sign(signed_bytes(statement))
    return HeadsSigned(key_id=key_id, signature=signature, statement=statement)


def last_signed(_: LastHeads | None, fact: HeadsSigned) -> LastHeads:
    """The heads signed last."""
    statement = fact.statement
    return LastHeads(
        number=statement.number,
        hash=hash_of(signed_bytes(statement)),
        heads=statement.heads,
    )


def _chain_id(fact: FactRecorded | GapRecorded) -> str:
    return fact.record.chain


SLICE = Slice(
    {
        FactRecorded: (Fold(Chain, _chain_id, chained),),
        GapRecorded: (Fold(Chain, _chain_id, chained),),
        HeadsSigned: (Fold(LastHeads, lambda _: LAST, last_signed),),
    },
    timers={FactRecorded: due_heads, GapRecorded: due_heads},
    indexes={Chain: lambda _: {CHAINS: 0}},
)
