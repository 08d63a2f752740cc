"""Facts and the CloudEvents 1.0 wrapper they travel in.

A fact is written strictly and read tolerantly: unknown fields of a newer producer are ignored, a
missing or malformed one is an error. `encode` writes the structured JSON form by hand because every
attribute is of a closed alphabet; the tests hold it against the official SDK.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from shared.contracts.data import About, Data
from shared.kernel import Fact
from shared.money import AMOUNT_MINOR_MAX

#: The header `content-type` of every fact. Without it the CloudEvents SDKs do not recognise an event in
#: structured mode, and the Java SDK fails at the record.
CONTENT_TYPE = "application/cloudevents+json"
#: Attributes that another system may set; in binary mode each is a header with `ce_` before its name.
OUTSIDE_ATTRIBUTES = (
    "id",
    "source",
    "specversion",
    "type",
    "time",
    "subject",
    "correlationid",
    "causationid",
    "traceparent",
)
#: Ids are printed into JSON, keys and headers unescaped; this alphabet makes that safe.
ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$"
#: Subjects and sites come from tokens and become part of keys, so they have the same alphabet.
SUBJECT_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}")
Id = Annotated[str, StringConstraints(pattern=ID_PATTERN, max_length=128)]
SiteId = Annotated[Id, Data.PUBLIC, Field(description="The site's id, as in its policy.")]
ComplaintId = Annotated[Id, Data.PERSONAL, Field(description="The complaint's id.")]
PraiseId = Annotated[Id, Data.PERSONAL, Field(description="The praise's id.")]
AskingId = Annotated[
    Id, Data.PERSONAL, Field(description="The id of a question about one passing of a touchpoint.")
]
CheckId = Annotated[Id, Data.PERSONAL, Field(description="The service check's id.")]
#: A promise's name is its complaint's and up to five characters.
PromiseId = Annotated[
    str,
    Data.PERSONAL,
    StringConstraints(pattern=ID_PATTERN, max_length=133),
    Field(description="The promise's id."),
]
CustomerRef = Annotated[Id, Data.PERSONAL, Field(description="The customer, by a pseudonym.")]
#: An employee, by the pseudonymous id of the roster.
EmployeeId = Annotated[Id, Data.PERSONAL, About.EMPLOYEE]
Version = Annotated[
    int,
    Data.PUBLIC,
    Field(ge=1, description="Number of the version of the site's policy that decided."),
]
#: The number of a line among all of its owner: decimal digits, as many as 64 bits need.
SEQUENCE_PATTERN = re.compile(r"[0-9]{1,20}")
#: JSON in any case, with or without parameters: some publishers add `; charset=utf-8`. JavaScript
#: reads this pattern too, and older engines have no flags inside a pattern.
JSON_TYPE = r"^[Aa][Pp][Pp][Ll][Ii][Cc][Aa][Tt][Ii][Oo][Nn]/[Jj][Ss][Oo][Nn]( *;.*)?$"
JsonType = Annotated[str, StringConstraints(pattern=JSON_TYPE, max_length=128)]
#: The id or source of an event, as another system writes it. CloudEvents forbids control characters.
Outside = Annotated[
    str,
    StringConstraints(min_length=1, max_length=256, pattern=r"^[^\u0000-\u001f\u007f-\u009f]+$"),
]
#: A `traceparent` of W3C Trace Context; any other text might be personal data.
TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)


def sequence_of(text: str) -> int:
    """The number in an event's `sequence`; raises ValueError where it is none."""
    if not SEQUENCE_PATTERN.fullmatch(text):
        raise ValueError("not a sequence")
    return int(text)


def trace_of(found: object) -> str | None:
    """The `traceparent` if it has the W3C's syntax, else None; an event is not refused for it."""
    return found if isinstance(found, str) and TRACEPARENT.fullmatch(found) else None


#: What is before a trace in an event that `encode` wrote. No text in it can contain this, as quotes in texts are escaped.
TRACED = b'","traceparent":"'
TRACEPARENT_CHARS = 55


def trace_in(event: bytes) -> str | None:
    """The `traceparent` of an event that `encode` wrote, read without parsing it; None if it has none."""
    at = event.find(TRACED) + len(TRACED)
    if at < len(TRACED) or event[at + TRACEPARENT_CHARS : at + TRACEPARENT_CHARS + 1] != b'"':
        return None
    return trace_of(event[at : at + TRACEPARENT_CHARS].decode("ascii", "replace"))


Currency = Annotated[
    str,
    Data.PUBLIC,
    StringConstraints(pattern=r"^[A-Z]{3}$"),
    Field(description="Currency code of ISO 4217."),
]
#: A yes or no in a request is `true` or `false`, and not a word that may mean it.
Flag = Annotated[bool, Field(strict=True)]
AmountMinor = Annotated[int, Field(strict=True, ge=0, le=AMOUNT_MINOR_MAX)]
#: Sealed text: AES-GCM nonce and ciphertext, base64url; 4/3 of the longest text allowed plus slack.
Sealed = Annotated[str, StringConstraints(pattern=r"^v1\.[A-Za-z0-9_-]+$", max_length=160_000)]


def absent(value: object) -> bool:
    """Whether an optional field has no value, so that it is not written (`exclude_if`)."""
    return value is None


F = TypeVar("F", bound=Fact)
F_co = TypeVar("F_co", bound=Fact, covariant=True)


class Event(BaseModel, Generic[F_co]):
    """A CloudEvent around a fact, as read from a topic.

    `cause` is the position of what caused the fact: `topic/partition/offset/sequence` for a stream,
    `http/<hash of key>/<hash of request>` for a request, `timer/<name>/<id>/<due>` for a timer,
    `command/<name>/<id>` for an operator's command; rebuilding reads the fences from it. `sequence` counts all lines of one owner.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    specversion: Literal["1.0"] = Field(description="Version of CloudEvents.")
    id: Outside = Field(
        description="The event's id, unique with `source`; an event of ours has the same id if it is made again."
    )
    source: Outside = Field(
        description="Who made the event: `/<service>`, or whatever another system calls itself."
    )
    type: Annotated[str, StringConstraints(min_length=1, max_length=128)] = Field(
        description="The fact's type."
    )
    time: AwareDatetime | None = Field(None, description="When the event was made.")
    subject: Annotated[str, StringConstraints(max_length=256)] | None = Field(
        None, description="The id that the event is about: the record's key."
    )
    datacontenttype: JsonType | None = Field(
        "application/json", description="Media type of `data`."
    )
    correlationid: Annotated[str, StringConstraints(max_length=256)] | None = Field(
        None, description="Id that all events of one complaint or request share."
    )
    causationid: Annotated[str, StringConstraints(max_length=256)] | None = Field(
        None, description="Id of the event or request that caused this one."
    )
    cause: Annotated[str, StringConstraints(max_length=512)] | None = Field(
        None,
        description="Position of what caused the fact: `topic/partition/offset/sequence`, `http/<hash of key>/<hash of request>`, `timer/<name>/<id>/<due>`, `receipt/<provider>/<message>/<fate>` or `command/<name>/<id>`.",
    )
    sequence: Annotated[str, StringConstraints(pattern=f"^{SEQUENCE_PATTERN.pattern}$")] | None = (
        Field(
            None,
            description="Number of the line among all of its owner, in decimal digits; gaps and repeats show by it.",
        )
    )
    traceparent: Annotated[str | None, BeforeValidator(trace_of)] = Field(
        None, description="W3C Trace Context of the step that made it."
    )
    data: F_co = Field(description="The fact.")


def fingerprint(kind: str, *parts: str) -> str:
    """A hash of the parts, 128 bits in hex, for ids that are the same after a replay.

    `kind` says what the id is for, so that equal parts of two kinds give different ids.
    """
    return blake2b(joined(kind, *parts), digest_size=16).hexdigest()


def joined(*parts: str) -> bytes:
    """The parts as one text, each after its length, so that different parts never give the same text."""
    return "".join([f"{len(part)}:{part}" for part in parts]).encode()


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def encode(
    fact: Fact,
    *,
    source: str,
    event_id: str,
    time: str,
    correlation: str,
    causation: str,
    cause: str,
    trace: str | None = None,
    data: str | None = None,
) -> bytes:
    """Structured-mode JSON of one event, without `sequence`, which the relay adds as it sends.

    `data` is the fact's JSON if the caller has it. All arguments consist of the id alphabet (they were
    validated where they came in), so nothing is escaped.
    """
    traced = f'"traceparent":"{trace}",' if trace else ""
    return (
        f'{{"specversion":"1.0","id":"{event_id}","source":"{source}","type":"{fact.TYPE}",'
        f'"time":"{time}","subject":"{fact.key()}","datacontenttype":"application/json",'
        f'"correlationid":"{correlation}","causationid":"{causation}","cause":"{cause}",'
        f'{traced}"data":{data or fact.written()}}}'
    ).encode()
