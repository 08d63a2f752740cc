"""The life of a complaint, apart from what the customer is given for it: pure rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from datetime import datetime
from typing import ClassVar, NamedTuple

from shared.contracts.complaints import (
    Category,
    ComplaintClaimed,
    ComplaintClosed,
    ComplaintConfirmed,
    ComplaintCorrected,
    ComplaintFact,
    ComplaintForgotten,
    ComplaintReceived,
    ComplaintReferred,
    ComplaintReopened,
    ComplaintRepeated,
    ComplaintTriaged,
    ComplaintUnfounded,
    ComplaintWithdrawn,
    CustomerReturned,
    Flag,
    HandoverAccepted,
    HandoverDeclined,
    HandoverOffered,
    InfoAsked,
    InfoReceived,
    Language,
    ResolutionRecorded,
    SafetyFound,
    Severity,
    promise_id_of,
    reference_of,
)
from shared.contracts.intake import Disruption
from shared.contracts.lifecycle import MOVES, OPEN, State, may
from shared.contracts.roster import employee_name
from shared.kernel import Document, Fold, Schema, Slice, Timer, score_at

#: The timers before and at the end of each promised time, and the one after what was done.
WARN, OVERDUE, CLOSE = "warn", "overdue", "close"
#: Promises kept per complaint: a timer that fires late needs the promise of its own round.
PROMISES_MAX = 8
#: How open complaints are listed.
SEVEREST_FIRST = (Severity.SEVERE, Severity.MODERATE, Severity.MILD)
#: Larger than any time in seconds, so that what hurts more comes first whenever it is due. Scores stay below
#: 2^53, which is what a sorted set holds exactly.
RANK = 10**12
#: Begins the `sender_ref` of a customer who raises complaints with a token of their own.
PERSON = "pe-"
#: Stands before a department's id in the name of its list; no employee's id begins so.
DEPARTMENT = "@"


class Promise(NamedTuple):
    """By when a customer is given or offered something, in one round; `broken` once it passed unkept."""

    round: int
    by: datetime
    #: Only what was given or said after this moment counts; None in the first round.
    since: datetime | None = None
    broken: bool = False
    #: The promise of a merged complaint that stands here, by its id; None if it is the complaint's own.
    of: str | None = None


class Complaint(Document):
    """One complaint; words and contact sealed, and empty once its customer was erased."""

    KIND: ClassVar[str] = "complaint"
    SCHEMA: ClassVar[Schema] = Schema(5, read_by=5)

    state: State
    customer_ref: str
    site: str
    language: Language
    text: str
    contact: str | None = None
    category: Category = Category.OTHER
    #: What it is about in particular; None if that is not known, and in older documents.
    subcategory: str | None = None
    severity: Severity = Severity.MILD
    safety: bool = False
    #: What somebody must know of or treat with care; empty in older documents.
    flags: tuple[Flag, ...] = ()
    promised_by: datetime | None = None
    #: What was promised first; neither a question nor a merge changes it. None in older documents.
    promised_first: datetime | None = None
    employee_id: str | None = None
    #: Who is asked to take it over, by id; None if nobody is, or a department.
    asked_colleague: str | None = None
    asked_department: str | None = None
    #: Who had it until the customer said no, and was off shift then; None if it stayed with who had it.
    passed_from: str | None = None
    round: int = 0
    #: Hash of what was raised; None if an earlier build recorded it, or if it was told on the spot.
    content: str | None = None
    #: Whether a message reaches the customer; None in older documents.
    reachable: bool | None = None
    #: The latest ones, one per round.
    promises: tuple[Promise, ...] = ()
    #: The promise of this round as it was before that of a merged complaint took its place; None if none did.
    own_promise: Promise | None = None
    #: From when on the promise waits for the customer's answer; None while it does not wait.
    waits_since: datetime | None = None
    #: When what was done was recorded last, and when the complaint is closed without an answer.
    resolved_at: datetime | None = None
    closes_at: datetime | None = None
    #: When the customer leaves; None if it is not known.
    stay_ends_at: datetime | None = None
    #: The customer's segment; None if it is not known.
    segment: str | None = None
    #: When the customer bought again after it was handled; None if nobody told us.
    returned_at: datetime | None = None
    #: None in older documents.
    received_at: datetime | None = None
    #: When it left the open ones; None while it is open, and in older documents.
    ended_at: datetime | None = None
    #: The customer was erased.
    forgotten: bool | None = None
    #: What the customer tells us, and staff find it by; None in older documents.
    reference: str | None = None
    #: Where it happened, sealed, and by what it is found; None if it was not told, and in older documents.
    place: str | None = None
    place_ref: str | None = None
    #: What it is found by if somebody names the customer's mail address or telephone; empty in older documents.
    contact_refs: tuple[str, ...] = ()
    #: The complaint that goes on for this one; None while it stands by itself.
    merged_into: str | None = None
    #: The complaints that this one goes on for.
    merged_ids: tuple[str, ...] = ()
    #: The outside body that looks at it, by its id in the policy; None if none does.
    referred_to: str | None = None
    #: The customer who raised it with a token of their own; None if somebody else did, and in older documents.
    sender_ref: str | None = None
    #: The words are in a language that triage does not read.
    unsupported_language: bool = False
    #: What goes wrong, where another system announced it; None where the customer, or somebody for them, said it.
    disruption: Disruption | None = None
    #: The customer answered our question by a score alone, so that the words are ours.
    score_only: bool = False
    #: An employee put right its category or severity; None if nobody did, and in older documents.
    corrected: bool | None = None

    @property
    def promise(self) -> Promise | None:
        """The promise of the current round."""
        return next((one for one in self.promises if one.round == self.round), None)

    def promise_id(self, complaint_id: str) -> str | None:
        """The id of the promise of the current round; None until there is one."""
        return None if self.promised_by is None else promise_id_of(complaint_id, self.round)

    @property
    def overdue(self) -> bool:
        """Whether the promise of the current round was broken, or an own one whose place it took."""
        own = (one for one in self.promises if one.round == self.round and one.of is None)
        return any(one is not None and one.broken for one in (self.promise, self.own_promise, *own))

    def repeats(self, content: str) -> bool:
        """Whether the hash is that of the first complaint; true if that one has no hash."""
        return self.content in (None, content)


def promised(fact: ComplaintTriaged) -> Sequence[Timer]:
    """The timers of the first promise; none if it was kept on the spot, which no gift does where safety is concerned."""
    if fact.answered and not fact.safety:
        return ()
    return clock(fact.complaint_id, 0, fact.promised_by, fact.warn_at)


def promised_again(fact: ComplaintReopened) -> Sequence[Timer]:
    """The timers of a later promise; what was done before did not help."""
    return (
        *clock(fact.complaint_id, fact.round, fact.promised_by, fact.warn_at),
        Timer(CLOSE, fact.complaint_id, None),
    )


def sooner(fact: ComplaintCorrected | SafetyFound) -> Sequence[Timer]:
    """The timers of a promise that is sooner than it was."""
    if fact.promised_by is None or fact.round is None:
        return ()
    return clock(fact.complaint_id, fact.round, fact.promised_by, fact.warn_at)


def waits(fact: InfoAsked) -> Sequence[Timer]:
    """No timer while the promise waits for the customer."""
    return clock(fact.complaint_id, fact.round, None, None)


def goes_on(fact: InfoReceived) -> Sequence[Timer]:
    """The timers of a promise that waited."""
    if fact.promised_by is None:
        return ()
    return clock(fact.complaint_id, fact.round, fact.promised_by, fact.warn_at)


def closes(fact: ResolutionRecorded) -> Sequence[Timer]:
    """The timer by which the complaint is closed."""
    return (Timer(CLOSE, fact.complaint_id, fact.closes_at),)


def ends(fact: ComplaintConfirmed | ComplaintWithdrawn | ComplaintReferred) -> Sequence[Timer]:
    """Nothing is left to close."""
    return (Timer(CLOSE, fact.complaint_id, None),)


def clock(
    complaint_id: str, number: int, due: datetime | None, warn_at: datetime | None
) -> Sequence[Timer]:
    """The timers of the promise of one round; with a `due` of None they are removed."""
    promise_id = promise_id_of(complaint_id, number)
    overdue = Timer(OVERDUE, promise_id, due)
    if due is not None and warn_at is None:
        return (overdue,)
    return (Timer(WARN, promise_id, warn_at), overdue)


def received(_: Complaint | None, fact: ComplaintReceived) -> Complaint:
    """A new complaint."""
    return Complaint(
        state=State.RECEIVED,
        customer_ref=fact.customer_ref,
        site=fact.site,
        language=fact.language,
        text=fact.text,
        contact=fact.contact,
        content=fact.content,
        received_at=fact.received_at,
        reference=reference_of(fact.complaint_id),
        place=fact.place,
        place_ref=fact.place_ref,
        contact_refs=fact.contact_refs,
        disruption=fact.disruption,
        score_only=fact.score_only,
    )


def _moved(complaint: Complaint, fact: ComplaintFact, **changes: object) -> Complaint:
    """The complaint where its fact moves it; nobody is asked any more to take over one that ended."""
    state = MOVES[type(fact)].to
    over = {} if state in OPEN else {"asked_colleague": None, "asked_department": None}
    return complaint.model_copy(update={"state": state, **over, **changes})


def triaged(complaint: Complaint, fact: ComplaintTriaged) -> Complaint:
    """The complaint has its category and its promise."""
    return _moved(
        complaint,
        fact,
        category=fact.category,
        severity=fact.severity,
        safety=fact.safety,
        subcategory=fact.subcategory,
        flags=fact.flags,
        unsupported_language=fact.unsupported_language,
        reachable=fact.has_contact,
        sender_ref=sender_of(fact),
        stay_ends_at=fact.stay_ends_at,
        segment=fact.segment,
        promised_by=fact.promised_by,
        promised_first=fact.promised_by,
        promises=(Promise(round=0, by=fact.promised_by),),
    )


def sender_of(fact: ComplaintTriaged) -> str | None:
    """The customer who raised a complaint with a token of their own; None if an employee or a system raised it."""
    sender_ref = fact.sender_ref
    return sender_ref if sender_ref is not None and sender_ref.startswith(PERSON) else None


def claimed(complaint: Complaint, fact: ComplaintClaimed) -> Complaint:
    """An employee owns it. While its customer is asked something, nothing else changes."""
    owned: dict[str, object] = {
        "employee_id": fact.employee_id,
        "asked_colleague": None,
        "asked_department": None,
    }
    if not may(complaint.state, ComplaintClaimed):
        return complaint.model_copy(update=owned)
    return _moved(complaint, fact, ended_at=None, **owned)


def offered(complaint: Complaint, fact: HandoverOffered) -> Complaint:
    """Somebody is asked to take it over, and nobody else any more."""
    return complaint.model_copy(
        update={"asked_colleague": fact.colleague_id, "asked_department": fact.department}
    )


def accepted(complaint: Complaint, fact: HandoverAccepted) -> Complaint:
    """It has another owner."""
    return complaint.model_copy(
        update={
            "employee_id": fact.employee_id,
            "asked_colleague": None,
            "asked_department": None,
        }
    )


def declined(complaint: Complaint, _: HandoverDeclined) -> Complaint:
    """Nobody is asked any more."""
    return complaint.model_copy(update={"asked_colleague": None, "asked_department": None})


def waiting(complaint: Complaint, fact: InfoAsked) -> Complaint:
    """The promise waits."""
    return _moved(complaint, fact, waits_since=fact.asked_at)


def heard(complaint: Complaint, fact: InfoReceived) -> Complaint:
    """The promise goes on, with the time that was left."""
    by, own = fact.promised_by, complaint.own_promise
    if by is not None and own is not None and not own.broken and complaint.promise is not None:
        # It waited as well, for as long as the promise that stands in its place.
        own = own._replace(by=own.by + (by - complaint.promise.by))
    promises = tuple(
        one._replace(by=by) if by is not None and one == complaint.promise else one
        for one in complaint.promises
    )
    return _moved(
        complaint,
        fact,
        waits_since=None,
        promises=promises,
        own_promise=own,
        promised_by=by or complaint.promised_by,
    )


def resolved(complaint: Complaint, fact: ResolutionRecorded) -> Complaint:
    """Something was done about the cause."""
    return _moved(
        complaint,
        fact,
        waits_since=None,
        resolved_at=fact.recorded_at,
        closes_at=fact.closes_at,
        ended_at=fact.recorded_at,
    )


def corrected(complaint: Complaint, fact: ComplaintCorrected) -> Complaint:
    """Another category, severity or flags, and a sooner promise if those have one; found danger stays found."""
    return _sooner(complaint, fact).model_copy(
        update={
            "category": fact.category,
            "subcategory": fact.subcategory,
            "severity": fact.severity,
            "flags": in_order({*complaint.flags, *fact.flags_added} - {*fact.flags_removed}),
            "corrected": complaint.corrected or _was_wrong(complaint, fact) or None,
        }
    )


def _was_wrong(complaint: Complaint, fact: ComplaintCorrected) -> bool:
    """Whether a correction changes what the complaint is about, or how bad it is."""
    before = (complaint.category, complaint.subcategory, complaint.severity)
    return before != (fact.category, fact.subcategory, fact.severity)


def endangered(complaint: Complaint, fact: SafetyFound) -> Complaint:
    """Somebody's safety is concerned, which may make the promise sooner; what it is about stays."""
    flags = in_order({*complaint.flags, *fact.flags})
    update = {"safety": True, "severity": Severity.SEVERE, "flags": flags}
    return _sooner(complaint, fact).model_copy(update=update)


def in_order(flags: Set[Flag]) -> tuple[Flag, ...]:
    """Flags in the order in which they are listed everywhere."""
    return tuple(one for one in Flag if one in flags)


def _sooner(complaint: Complaint, fact: ComplaintCorrected | SafetyFound) -> Complaint:
    """The complaint with the promise of a fact, which is its own then, also if that of a merged one stood here."""
    by = fact.promised_by
    if by is None:
        return complaint
    promises = tuple(
        one._replace(by=by, of=None) if one == complaint.promise else one
        for one in complaint.promises
    )
    return complaint.model_copy(
        update={
            "promised_by": by,
            "promises": _with_broken(promises, complaint.own_promise),
            "own_promise": None,
        }
    )


def _with_broken(promises: tuple[Promise, ...], own: Promise | None) -> tuple[Promise, ...]:
    """The promises with the own one behind them if it was broken, in place of one broken before it in that round."""
    if own is None or not own.broken:
        return promises
    others = (one for one in promises if (one.round, one.broken, one.of) != (own.round, True, None))
    return (*others, own)[-PROMISES_MAX:]


def confirmed(complaint: Complaint, fact: ComplaintConfirmed) -> Complaint:
    """The customer said it helped."""
    return _moved(complaint, fact, waits_since=None, ended_at=fact.confirmed_at)


def closed(complaint: Complaint, fact: ComplaintClosed) -> Complaint:
    """The customer said nothing."""
    return _moved(complaint, fact)


def withdrawn(complaint: Complaint, fact: ComplaintWithdrawn) -> Complaint:
    """The customer took it back."""
    return _moved(complaint, fact, waits_since=None, ended_at=fact.withdrawn_at)


def unfounded(complaint: Complaint, fact: ComplaintUnfounded) -> Complaint:
    """It was none."""
    return _moved(complaint, fact, waits_since=None, ended_at=fact.found_at)


def referred(complaint: Complaint, fact: ComplaintReferred) -> Complaint:
    """An outside body looks at it."""
    return _moved(
        complaint, fact, waits_since=None, ended_at=fact.referred_at, referred_to=fact.body
    )


def reopened(complaint: Complaint, fact: ComplaintReopened) -> Complaint:
    """The customer said it did not help; who is asked to take it over stays asked if its owner stays."""
    promise = Promise(round=fact.round, by=fact.promised_by, since=fact.reopened_at)
    passed = fact.passed_from is not None
    return _moved(
        complaint,
        fact,
        employee_id=fact.employee_id,
        passed_from=fact.passed_from,
        asked_colleague=None if passed else complaint.asked_colleague,
        asked_department=None if passed else complaint.asked_department,
        round=fact.round,
        promised_by=fact.promised_by,
        promises=(*_with_broken(complaint.promises, complaint.own_promise), promise)[
            -PROMISES_MAX:
        ],
        own_promise=None,
        waits_since=None,
        ended_at=None,
        referred_to=None,
    )


def forgotten(complaint: Complaint, _: ComplaintForgotten) -> Complaint:
    """The customer was erased: no words, no contact, and nothing to compare a repeat with."""
    return complaint.model_copy(
        update={
            "text": "",
            "contact": None,
            "place": None,
            "place_ref": None,
            "contact_refs": (),
            "content": None,
            "stay_ends_at": None,
            "segment": None,
            "returned_at": None,
            "reachable": False,
            "forgotten": True,
        }
    )


def returned(complaint: Complaint, fact: CustomerReturned) -> Complaint:
    """The customer bought again, which is counted once for this complaint."""
    return complaint.model_copy(update={"returned_at": fact.purchased_at})


def of_customer(customer_ref: str) -> str:
    """The sorted set of a customer's complaints."""
    return f"customer/{customer_ref}"


def complaint_of(fact: ComplaintFact) -> str:
    """Returns the complaint's id."""
    return fact.complaint_id


def stands(complaint: Complaint) -> Mapping[str, int]:
    """Where it is found: by customer, reference, place and contact, by what was put right, and in the lists of its site.

    Nowhere once it is forgotten.
    """
    if complaint.forgotten:
        return {}
    site, at = complaint.site, score_at(complaint.received_at) if complaint.received_at else 0
    own = {of_customer(complaint.customer_ref): at}
    if complaint.reference is not None:
        own[by_reference(site)] = reference_score(complaint.reference)
    if complaint.place_ref is not None:
        own[at_place(site, complaint.place_ref)] = -at
    if complaint.corrected:
        own[put_right_at(site)] = -at
    for contact_ref in complaint.contact_refs:
        own[of_contact(site, contact_ref)] = -at
    return {**own, **listed(complaint)}


def listed(complaint: Complaint) -> Mapping[str, int]:
    """The lists that a complaint is in: open ones by what hurts most and is due first, ended ones the latest first."""
    site = complaint.site
    if complaint.state in (State.RECEIVED, State.MERGED):
        return {}
    if complaint.state not in OPEN:
        ended = complaint.ended_at or complaint.received_at
        lists = [done_at(site), done_at(site, complaint.category)]
        return dict.fromkeys(lists, -score_at(ended) if ended else 0)
    lists = [open_at(site), open_at(site, complaint.category)]
    if complaint.employee_id is not None:
        lists.append(owned_by(site, complaint.employee_id))
    if complaint.passed_from is not None:
        lists.append(passed_from(site, complaint.passed_from))
    if complaint.asked_colleague is not None:
        lists.append(offered_to(site, complaint.asked_colleague))
    if complaint.asked_department is not None:
        lists.append(offered_to(site, f"{DEPARTMENT}{complaint.asked_department}"))
    if complaint.overdue:
        lists.append(overdue_at(site))
    return dict.fromkeys(lists, urgency(complaint))


def urgency(complaint: Complaint) -> int:
    """The score by which open complaints are listed: danger first, then severity, then the promised time.

    One that waits for its customer comes behind all others.
    """
    if complaint.waits_since is not None:
        rank = len(Severity) + 1
    elif complaint.safety:
        rank = 0
    else:
        rank = 1 + SEVEREST_FIRST.index(complaint.severity)
    promised_by = complaint.promised_by
    return rank * RANK + (int(promised_by.timestamp()) if promised_by is not None else 0)


def open_at(site: str, category: Category | None = None) -> str:
    """The open complaints of a site; of one category, if that is given."""
    return f"open/{site}" if category is None else f"open/{_within(site, category)}"


def overdue_at(site: str) -> str:
    """The open complaints of a site whose promise was broken."""
    return f"overdue/{site}"


def done_at(site: str, category: Category | None = None) -> str:
    """The complaints of a site for which nobody is to do anything more; of one category, if that is given."""
    return f"done/{site}" if category is None else f"done/{_within(site, category)}"


def by_reference(site: str) -> str:
    """All complaints of a site that are not forgotten, by reference."""
    return f"reference/{site}"


def reference_score(reference: str) -> int:
    """Where complaints of a reference stand: its characters as a number, which is below 2^53 for six of them."""
    return int.from_bytes(reference.encode())


def put_right_at(site: str) -> str:
    """The complaints of a site whose category or severity an employee put right, the latest first."""
    return f"corrected/{site}"


def at_place(site: str, place_ref: str) -> str:
    """The complaints about a place, the latest first."""
    return f"place/{_within(site, place_ref)}"


def of_contact(site: str, contact_ref: str) -> str:
    """The complaints of whoever has a mail address or a telephone, the latest first."""
    return f"contact/{_within(site, contact_ref)}"


def _within(site: str, name: str) -> str:
    """A name within a site, with a blank between, which neither contains."""
    return f"{site} {name}"


def owned_by(site: str, employee_id: str) -> str:
    """The open complaints of an employee."""
    return f"mine/{employee_name(site, employee_id)}"


def passed_from(site: str, employee_id: str) -> str:
    """The open complaints that passed from an employee who was off shift to a colleague."""
    return f"passed/{employee_name(site, employee_id)}"


def offered_to(site: str, who: str) -> str:
    """The open complaints that an employee is asked to take over, or a department: its id behind `DEPARTMENT`."""
    return f"offered/{employee_name(site, who)}"


SLICE = Slice(
    {
        ComplaintReceived: (Fold(Complaint, complaint_of, received),),
        ComplaintRepeated: (),
        ComplaintTriaged: (Fold(Complaint, complaint_of, triaged),),
        ComplaintClaimed: (Fold(Complaint, complaint_of, claimed),),
        HandoverOffered: (Fold(Complaint, complaint_of, offered),),
        HandoverAccepted: (Fold(Complaint, complaint_of, accepted),),
        HandoverDeclined: (Fold(Complaint, complaint_of, declined),),
        InfoAsked: (Fold(Complaint, complaint_of, waiting),),
        InfoReceived: (Fold(Complaint, complaint_of, heard),),
        ResolutionRecorded: (Fold(Complaint, complaint_of, resolved),),
        ComplaintCorrected: (Fold(Complaint, complaint_of, corrected),),
        SafetyFound: (Fold(Complaint, complaint_of, endangered),),
        ComplaintConfirmed: (Fold(Complaint, complaint_of, confirmed),),
        ComplaintClosed: (Fold(Complaint, complaint_of, closed),),
        ComplaintWithdrawn: (Fold(Complaint, complaint_of, withdrawn),),
        ComplaintUnfounded: (Fold(Complaint, complaint_of, unfounded),),
        ComplaintReferred: (Fold(Complaint, complaint_of, referred),),
        ComplaintReopened: (Fold(Complaint, complaint_of, reopened),),
        ComplaintForgotten: (Fold(Complaint, complaint_of, forgotten),),
        CustomerReturned: (Fold(Complaint, complaint_of, returned),),
    },
    timers={
        ComplaintTriaged: promised,
        ComplaintReopened: promised_again,
        InfoAsked: waits,
        InfoReceived: goes_on,
        ComplaintCorrected: sooner,
        SafetyFound: sooner,
        ResolutionRecorded: closes,
        ComplaintConfirmed: ends,
        ComplaintWithdrawn: ends,
        ComplaintReferred: ends,
    },
    indexes={Complaint: stands},
)
