"""Facts owned by audit: one record per fact of any owner, in chains of hashes, and signed heads.

A chain is one partition of a source; notices, which audit makes itself, have chains too. Each record names
the hash of the record before it, so whoever trusts one hash of a chain, by a signed head, can find any change
before it. `data` of these facts is canonical JSON (RFC 8785): a hash is over bytes as they are stored, and
nothing is parsed to check it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import Annotated, ClassVar, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
)

from shared.contracts.compensation import WindowId
from shared.contracts.complaints import Category, Severity
from shared.contracts.data import About, Data
from shared.contracts.event import (
    AmountMinor,
    CheckId,
    Currency,
    CustomerRef,
    EmployeeId,
    Flag,
    Id,
    Outside,
    SiteId,
    Version,
)
from shared.contracts.months import Month
from shared.kernel import Fact
from shared.money import AMOUNT_MINOR_MAX

#: What the first record of a chain names as the hash before it.
NOTHING_BEFORE = "0" * 64
#: Heads of one signature at most: an event may have 256 KB, and a head has about 150 bytes.
HEADS_MAX = 1_500
#: What the `data` of a record is around its hash and what is hashed.
HASH_BEGINS, RECORD_BEGINS, RECORD_ENDS = b'{"hash":"', b'","record":', b',"recorded_at":"'
#: Where the hashed bytes begin in the `data` of a record; they end where `RECORD_ENDS` is for the last time.
RECORD_AT = len(HASH_BEGINS) + 64 + len(RECORD_BEGINS)
#: An employee's pseudonym on the record.
PSEUDONYM = re.compile(r"em-[0-9a-f]{32}")

Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
ChainId = Annotated[
    str,
    StringConstraints(pattern=r"^recovery\.[a-z]+\.v[0-9]+/[0-9]{1,4}$", max_length=64),
    Field(
        description="The chain: topic and partition of the source; for notices a number of its own."
    ),
]
Number = Annotated[
    int, Field(strict=True, ge=1, description="Number of the record in its chain, from 1.")
]
Previous = Annotated[
    Hash, Field(description="Hash of the record before it; 64 zeros for the first of a chain.")
]
#: What a look is for, in a line. Nobody is named in it: it stays on the record, and the employee reads it.
Purpose = Annotated[
    str,
    StringConstraints(
        pattern=r"^[^\u0000-\u0020\u007f-\u009f@][^\u0000-\u001f\u007f-\u009f@]{2,199}$"
    ),
]
#: The name of a field of a fact.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
#: The longest value of a fact that a record takes over: an account's name.
Text = Annotated[str, StringConstraints(max_length=256)]
Whole = Annotated[int, Field(strict=True)]
#: What a record takes over of a fact's field.
Detail = (
    Flag
    | Whole
    | Text
    | Annotated[tuple[Text, ...], Field(max_length=64)]
    | Annotated[dict[Text, Flag | Whole | Text], Field(max_length=64)]
)


def hash_of(record: bytes) -> str:
    """The hash of a record's stored bytes: SHA-256 in hex."""
    return sha256(record).hexdigest()


@lru_cache(16)  # all records of a batch have one moment
def _written_moment(moment: datetime) -> str:
    """A moment as canonical JSON has it, without its quotes."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


class _Part(BaseModel):
    """A part of a fact.

    Its fields are declared in the order of their names, and the maps in it are sorted by whoever makes it:
    so what pydantic writes is canonical JSON. `tests/unit/test_audit_chain.py` compares both.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    @cached_property
    def body(self) -> str:
        """Its canonical JSON, which is hashed and stored: made once for both."""
        return self.model_dump_json(exclude_none=True)


class Recorded(_Part):
    """One fact of an owner, without what is sealed; employees appear by pseudonyms of the month."""

    amounts: Annotated[dict[Name, AmountMinor], Field(max_length=16)] = Field(
        {}, description="Its amounts by the fact's field, in minor units of `currency`."
    )
    causation: Id | None = Field(None, description="Id of the event or request that caused it.")
    chain: ChainId
    correlation: Id = Field(description="Id that all facts of one complaint or request share.")
    currency: Currency | None = Field(None, description="Currency code of ISO 4217 of `amounts`.")
    details: Annotated[dict[Name, Detail], Field(max_length=64)] = Field(
        {},
        description="The fact's other fields that are recorded, in the unit of each; ids of employees are pseudonyms.",
    )
    event_id: Id = Field(description="Id of the fact's event; of a notice the place in its chain.")
    key: Id = Field(
        description="The fact's key, or its employee's pseudonym where the key names an employee."
    )
    number: Number
    offset: Annotated[int, Field(strict=True, ge=0)] = Field(
        description="The fact's offset in its partition, from 0; of a notice how many are before it in its chain."
    )
    policy_version: Version | None = Field(
        None, description="Number of the version of the site's policy that decided."
    )
    previous: Previous
    sequence: Annotated[int, Field(strict=True, ge=0)] | None = Field(
        None,
        description="Number of the fact among all lines of its owner; absent if its writer numbers none.",
    )
    site: SiteId | None = Field(None, description="The site's id, as in its policy.")
    source: Outside = Field(
        description="Who made the fact: `/<service>`, or a command of the operator."
    )
    time: AwareDatetime = Field(description="When the fact's event was made.")
    what: Annotated[str, StringConstraints(max_length=128)] = Field(description="The fact's type.")
    who: Id | None = Field(
        None,
        description="The employee, by a pseudonym that is theirs at this site in this month (UTC) alone.",
    )
    why: Id | None = Field(None, description="The fact's `reason` or `category`.")


class Missed(_Part):
    """Records of a source's partition that audit never read, or could not read."""

    after: Annotated[int, Field(strict=True, ge=-1)] = Field(
        description="Offset of the last fact recorded before, from 0; -1 if there is none."
    )
    before: Annotated[int, Field(strict=True, ge=0)] = Field(
        description="Offset of the fact recorded next, from 0."
    )
    chain: ChainId
    missing: Annotated[int, Field(strict=True, ge=1)] = Field(
        description="Number of offsets between the two that were not there, or became dead letters."
    )
    number: Number
    previous: Previous


class Head(_Part):
    """The last record of a chain at some moment."""

    chain: ChainId
    hash: Hash = Field(description="The record's hash.")
    number: Number
    offset: Annotated[int, Field(strict=True, ge=-1)] = Field(
        description="Offset of the last fact recorded, from 0; -1 if there is none."
    )


class Statement(_Part):
    """What a signature is of."""

    heads: Annotated[tuple[Head, ...], Field(max_length=HEADS_MAX)] = Field(
        description="The last record of every chain, by the chain's name."
    )
    number: Annotated[int, Field(strict=True, ge=1)] = Field(
        description="How many times heads were signed, from 1."
    )
    previous: Annotated[Hash, Field(description="Hash of the heads signed before; zeros at first.")]
    signed_at: AwareDatetime = Field(description="When they were signed.")


class Chained(Fact):
    """A record of a chain. The hash is over `record` alone, which follows from the source alone."""

    TOPIC: ClassVar[str] = "recovery.audit.v1"

    hash: Annotated[Hash, Data.INTERNAL] = Field(
        description="SHA-256 of `record` as it is stored, in hex."
    )
    record: Annotated[_Part, Data.INTERNAL]
    recorded_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When audit recorded it. Not part of what is hashed."
    )

    @classmethod
    def of(cls, record: _Part, now: datetime) -> Self:
        """The fact of a record, with the record's hash."""
        return cls(hash=hash_of(record.body.encode()), record=record, recorded_at=now)

    def written(self, fields: set[str] | None = None) -> str:
        """Its canonical JSON."""
        assert fields is None, "a record is never shown in part"
        moment = _written_moment(self.recorded_at)
        return f'{{"hash":"{self.hash}","record":{self.record.body},"recorded_at":"{moment}"}}'

    def lies_in(self) -> int:
        """The partition that its source has."""
        return int(self.chain().rpartition("/")[2])

    def chain(self) -> str:
        """The chain that it belongs to."""
        raise NotImplementedError


class FactRecorded(Chained):
    """A fact of an owner is on the record."""

    TYPE: ClassVar[str] = "recovery.fact.recorded.v1"

    record: Annotated[Recorded, Data.PERSONAL] = Field(description="The record.")

    def key(self) -> str:
        """The recorded fact's own key, so facts of one key stay in order."""
        return self.record.key

    def chain(self) -> str:
        """See Chained."""
        return self.record.chain


class GapRecorded(Chained):
    """Something is missing in a source's partition before the next record of the chain."""

    TYPE: ClassVar[str] = "recovery.gap.recorded.v1"

    record: Annotated[Missed, Data.INTERNAL] = Field(description="What is missing.")

    def key(self) -> str:
        """The chain."""
        return self.record.chain

    def chain(self) -> str:
        """See Chained."""
        return self.record.chain


class Notice(Fact):
    """A fact that audit makes itself.

    The decision that makes it puts a record of it into a chain of audit's own, so nobody audits it again.
    """

    TOPIC: ClassVar[str] = "recovery.notices.v1"


class LookTaken(Notice):
    """Somebody looked at what the record says of one employee; recorded before anything was read."""

    TYPE: ClassVar[str] = "recovery.look.taken.v1"

    look_id: Annotated[Id, Data.INTERNAL] = Field(description="The look's id.")
    person: Annotated[
        str, StringConstraints(pattern=f"^{PSEUDONYM.pattern}$"), Data.PERSONAL, About.EMPLOYEE
    ] = Field(description="The employee, by a pseudonym of the record.")
    month: Annotated[Month | None, Data.INTERNAL] = Field(
        None,
        description="The month (UTC) that was looked at, if it was one; absent if all were.",
    )
    site: SiteId | None = Field(None, description="The employee's site, if the look names it.")
    purpose: Annotated[Purpose, Data.INTERNAL] = Field(description="What the look was for.")
    by: EmployeeId = Field(description="Who looked, by a pseudonymous id.")
    looked_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When.")

    def key(self) -> str:
        """The look."""
        return self.look_id


class HeadsSigned(Fact):
    """The heads of all chains, signed: what lies before them cannot be changed unnoticed.

    The signature is Ed25519 over `statement` as it is stored: canonical JSON (RFC 8785).
    """

    TYPE: ClassVar[str] = "recovery.heads.signed.v1"
    TOPIC: ClassVar[str] = "recovery.heads.v1"

    key_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$"), Data.INTERNAL] = Field(
        description="Which key signed: the first 16 hex digits of the SHA-256 of the public key."
    )
    signature: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{86}$"), Data.INTERNAL] = (
        Field(description="The signature, base64url without padding.")
    )
    statement: Annotated[Statement, Data.INTERNAL] = Field(description="What is signed.")

    def key(self) -> str:
        """One for all, so heads stay in order."""
        return "heads"


def signed_bytes(statement: Statement) -> bytes:
    """What is signed, and what the next heads' `previous` is the hash of."""
    return statement.body.encode()


class SignalKind(StrEnum):
    """What somebody should look at, after the fact. Nothing at a counter or a till depends on it."""

    OWN_CHECK_REDEEMED = "own_check_redeemed"
    REDEEMED_ELSEWHERE = "redeemed_elsewhere"
    JUST_BELOW_LIMIT = "just_below_limit"
    SHIFT_END_SPIKE = "shift_end_spike"
    SAME_CUSTOMER = "same_customer"
    UNEVEN_VALUES = "uneven_values"


class Dismissal(StrEnum):
    """Why a signal is dismissed. A closed list, because a sentence may name a person."""

    EXPLAINED = "explained"
    USUAL_HERE = "usual_here"
    LIMIT_TOO_LOW = "limit_too_low"
    FOLLOWED_UP = "followed_up"
    WRONG_DATA = "wrong_data"


#: An employee, by a pseudonym of the record.
Person = Annotated[str, StringConstraints(pattern=f"^{PSEUDONYM.pattern}$")]
SignalId = Annotated[Id, Data.INTERNAL, Field(description="The signal's id.")]


class SignalRaised(Notice):
    """The record shows something that somebody should look at. It refuses nothing and lowers no authority."""

    TYPE: ClassVar[str] = "recovery.signal.raised.v1"

    signal_id: SignalId
    site: SiteId
    signal: Annotated[SignalKind, Data.INTERNAL] = Field(description="What was looked for.")
    persons: Annotated[tuple[Person, ...], Field(max_length=2), Data.PERSONAL, About.EMPLOYEE] = (
        Field(
            (),
            description="Employees whom the sentence names, by pseudonyms of the record; of `uneven_values` the one with the lowest average value, then the one with the highest.",
        )
    )
    month: Annotated[Month | None, Data.INTERNAL] = Field(
        None,
        description="The month (UTC) whose pseudonyms `persons` are; absent where nobody is named.",
    )
    check_id: CheckId | None = Field(
        None, description="The check it is about; absent if it is about several."
    )
    customer_ref: CustomerRef | None = Field(
        None, description="The customer it is about, by a pseudonym; absent if it is about none."
    )
    other_site: Annotated[SiteId | None, Data.PUBLIC] = Field(
        None,
        description="The site at which the check was redeemed; absent if it is the check's own.",
    )
    reason: Annotated[Category | None, Data.INTERNAL] = Field(
        None, description="Category of the complaints whose checks are compared; absent otherwise."
    )
    severity: Annotated[Severity | None, Data.INTERNAL] = Field(
        None, description="Severity of the complaints whose checks are compared; absent otherwise."
    )
    currency: Currency | None = Field(
        None, description="Currency code of ISO 4217 of its amounts; absent if it is not known."
    )
    numbers: Annotated[
        dict[Name, Annotated[int, Field(strict=True, ge=0, le=AMOUNT_MINOR_MAX)]],
        Field(max_length=8),
        Data.INTERNAL,
    ] = Field(
        description="The numbers of the sentence by name: those that end in `_minor` in minor units of `currency`, those in `_percent` in per cent, `hours` and `minutes` in these, all others counts."
    )
    first_day: Annotated[WindowId | None, Data.INTERNAL] = Field(
        None,
        description="First business day whose checks were looked at; absent if it is about one check.",
    )
    day: Annotated[WindowId | None, Data.INTERNAL] = Field(
        None,
        description="Last business day whose checks were looked at; absent if it is about one check.",
    )
    raised_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(description="When it was raised.")

    def key(self) -> str:
        """The signal."""
        return self.signal_id


class SignalDismissed(Notice):
    """Somebody looked at a signal and says why nothing more is to do. It stays on the record."""

    TYPE: ClassVar[str] = "recovery.signal.dismissed.v1"

    signal_id: SignalId
    site: SiteId
    reason: Annotated[Dismissal, Data.INTERNAL] = Field(
        description="Why nothing more is to do: somebody explained it, it is usual at the site, it shows a limit that is too low, it was followed up, or its data are wrong."
    )
    by: EmployeeId = Field(description="Who dismissed it, by the subject of their token.")
    dismissed_at: Annotated[AwareDatetime, Data.INTERNAL] = Field(
        description="When it was dismissed."
    )

    def key(self) -> str:
        """The signal."""
        return self.signal_id
