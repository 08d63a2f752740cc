"""Verifies chains of records against signed heads: line by line, in bounded memory, without any service."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError

from shared.audit.keys import key_id_of
from shared.contracts.audit import (
    HASH_BEGINS,
    NOTHING_BEFORE,
    RECORD_AT,
    RECORD_BEGINS,
    RECORD_ENDS,
    HeadsSigned,
    Statement,
    hash_of,
)

#: Heads kept per chain; of more, every other one is let go, so that a change is located less narrowly.
ANCHORS_MAX = 1_000
#: Findings kept per chain and for the heads; more say nothing new.
FINDINGS_MAX = 100
#: What findings about heads name as their chain.
HEADS = "heads"
STATEMENT = b'"statement":'
#: What stands before the fields of a record that are read.
CHAIN, NUMBER, PREVIOUS = b'"chain":"', b'"number":', b'"previous":"'


class Finding(NamedTuple):
    """Something that is not as it was signed: in which chain, in which records, at which line of its file."""

    chain: str
    first: int
    last: int
    what: str
    line: int = 0

    def __str__(self) -> str:
        numbers = f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"
        at = f", line {self.line}" if self.line else ""
        return f"{self.chain}: {numbers}{at}: {self.what}"


#: What is read of one record: chain, number, hash of the record before, its own hash. A plain tuple, as there may be
#: a hundred thousand a second.
Line = tuple[str, int, str, str]


def hashed(data: bytes) -> bytes:
    """Of the `data` of a record's event what can be verified, byte for byte: its hash and what is hashed."""
    return data[: data.rfind(RECORD_ENDS)] + b"}"


def read_line(line: bytes) -> Line | None:
    """The record in a line as `hashed` makes it; None if it is none, or its hash is not that of its bytes.

    Nothing is parsed, which would take longer than the hash. Canonical JSON has its fields in order: before
    `chain` stand amounts and an id, whose quotes nobody can choose, and behind `number` and `previous` no map, and
    a quote in a text is escaped. So the first `chain` and the last of the others are the record's own.
    """
    body = line[RECORD_AT:-1]
    digest = sha256(body).hexdigest()
    if line[:RECORD_AT] != HASH_BEGINS + digest.encode() + RECORD_BEGINS or line[-1:] != b"}":
        return None
    chain = body.find(CHAIN) + len(CHAIN)
    previous = body.rfind(PREVIOUS) + len(PREVIOUS)
    number = body.rfind(NUMBER, 0, previous) + len(NUMBER)
    try:
        return (
            body[chain : body.index(b'"', chain)].decode(),
            int(body[number : body.index(b",", number)]),
            body[previous : body.index(b'"', previous)].decode(),
            digest,
        )
    except ValueError:
        return None


class Anchors:
    """What signed heads say: the hash of some records of each chain. Nothing else is trusted."""

    def __init__(self, keys: Iterable[Ed25519PublicKey], *, from_any: bool = False) -> None:
        """`from_any`: the first heads may follow others, which are not there."""
        self._from_any = from_any
        self._keys = {key_id_of(key): key for key in keys}
        self.chains: dict[str, dict[int, str]] = {}
        self.findings: list[Finding] = []
        #: Number and hash of the heads read last, of those that follow one another.
        self.last = (0, NOTHING_BEFORE)
        self.signed_at = ""

    def add(self, data: bytes, line: int = 0, *, alone: bool = False) -> None:
        """Take heads over from their `data`. `alone`: nothing is said of the heads before them."""
        statement = data[data.find(STATEMENT) + len(STATEMENT) : -1]
        number = self.last[0] + 1
        try:
            found = HeadsSigned.model_validate_json(data)
            signature = urlsafe_b64decode(found.signature + "==")
            self._keys[found.key_id].verify(signature, statement)
            heads = Statement.model_validate_json(statement)
            text = urlsafe_b64encode(signature).decode().rstrip("=")
            whole = f'{{"key_id":"{found.key_id}","signature":"{text}","statement":'
            if data != whole.encode() + statement + b"}":
                raise ValueError("more than what is signed")
        except KeyError:
            self._found(number, number, "heads are signed by another key", line)
            return
        except (ValidationError, InvalidSignature, ValueError):
            self._found(number, number, "heads are not as they were signed", line)
            return
        if not alone:
            self._follows(heads, statement, line)
        self.signed_at = max(self.signed_at, heads.signed_at.isoformat())
        for head in heads.heads:
            known = self.chains.setdefault(head.chain, {})
            if known.setdefault(head.number, head.hash) != head.hash:
                self._found(heads.number, heads.number, f"two heads of {head.chain} differ", line)
            if len(known) > ANCHORS_MAX:
                last = max(known)
                self.chains[head.chain] = {
                    n: known[n] for at, n in enumerate(sorted(known)) if at % 2 or n == last
                }

    def _follows(self, heads: Statement, statement: bytes, line: int) -> None:
        number, before = self.last
        if self._from_any and not number:
            number, before = heads.number - 1, heads.previous
        if heads.number <= number:
            self._found(heads.number, heads.number, "heads are out of place", line)
            return
        if heads.number > number + 1:
            self._found(number + 1, heads.number - 1, "heads are missing", line)
        elif heads.previous != before:
            self._found(number, heads.number, "heads do not follow one another", line)
        self.last = (heads.number, hash_of(statement))

    def _found(self, first: int, last: int, what: str, line: int) -> None:
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(Finding(HEADS, first, last, what, line))


@dataclass(slots=True)
class Chain:
    """Verifies one chain, record by record."""

    name: str
    anchors: Mapping[int, str] = field(default_factory=dict)
    #: Heads that were signed before all that is there: records up to them may have been deleted.
    checkpoint: Mapping[int, str] = field(default_factory=dict)
    first: int = 0
    number: int = 0
    hash: str = NOTHING_BEFORE
    records: int = 0
    findings: list[Finding] = field(default_factory=list)
    #: The last record that signed heads agree with.
    anchored: int = 0
    #: Lines since the last good record that are none.
    _bad: int = 0

    def feed(self, record: bytes, line: int = 0) -> None:
        """The next record of the chain, as `hashed` makes it, and its line in a file."""
        self.records += 1
        one = read_line(record)
        if one is None:
            self._bad += 1
            number = self.number + self._bad
            self._found(number, number, "a record is not as it was recorded", line)
            return
        chain, number, previous, own = one
        follows = number == self.number + 1 and previous == self.hash and chain == self.name
        if not (follows and self.first) and not self._located(chain, number, previous, line):
            return
        self.number, self.hash, self._bad = number, own, 0
        signed = self.anchors.get(number) or self.checkpoint.get(number)
        if signed == own:
            self.anchored = number
        elif signed is not None:
            self._found(self.anchored + 1, number, "records were replaced by others", line)

    def _located(self, chain: str, number: int, previous: str, line: int) -> bool:
        """Say what is wrong before a record that does not simply follow; whether it is one of the chain."""
        if chain != self.name:
            self._found(self.number, self.number + 1, f"a record of {chain} is here", line)
            return False
        if number <= self.number:
            self._found(number, number, "a record is out of place or put in", line)
            return False
        deleted = 0 if self.first else max(self.checkpoint, default=0)
        if number - 1 > max(self.number + self._bad, deleted):
            self._found(self.number + 1, number - 1, "records are missing here", line)
        before = self.hash if number == self.number + 1 else self.checkpoint.get(number - 1)
        if before not in (None, previous):
            self._found(number - 1, number, "a record was replaced by another", line)
        self.first = self.first or number
        return True

    def end(self) -> None:
        """Nothing more comes."""
        last = max((*self.anchors, *self.checkpoint), default=0)
        if last > self.number:
            self._found(self.number + 1, last, "records are missing at the end", 0)

    @property
    def unanchored(self) -> int:
        """How many of its last records no signed heads cover yet."""
        return self.number - min(self.number, max((*self.anchors, *self.checkpoint), default=0))

    def _found(self, first: int, last: int, what: str, line: int) -> None:
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(Finding(self.name, first, last, what, line))
