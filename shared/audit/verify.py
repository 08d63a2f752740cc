"""Verifies chains of records against signed heads: line by line, in bounded memory, without any service."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError
from pydantic_core import from_json

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


class Line(NamedTuple):
    """What is read of one record."""

    chain: str
    number: int
    previous: str
    hash: str


def hashed(data: bytes) -> bytes:
    """Of the `data` of a record's event what can be verified, byte for byte: its hash and what is hashed."""
    return data[: data.rfind(RECORD_ENDS)] + b"}"


def read_line(line: bytes) -> Line | None:
    """The record in a line as `hashed` makes it; None if it is none, or its hash is not that of its bytes."""
    stated, body = line[len(HASH_BEGINS) : len(HASH_BEGINS) + 64], line[RECORD_AT:-1]
    if line[:RECORD_AT] != HASH_BEGINS + stated + RECORD_BEGINS or line[-1:] != b"}":
        return None
    if hash_of(body).encode() != stated:
        return None
    try:
        record = from_json(body)
        return Line(record["chain"], record["number"], record["previous"], stated.decode())
    except (ValueError, TypeError, KeyError):
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


@dataclass
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
        if one.chain != self.name:
            self._found(self.number, self.number + 1, f"a record of {one.chain} is here", line)
            return
        if one.number <= self.number:
            self._found(one.number, one.number, "a record is out of place or put in", line)
            return
        deleted = 0 if self.first else max(self.checkpoint, default=0)
        if one.number - 1 > max(self.number + self._bad, deleted):
            self._found(self.number + 1, one.number - 1, "records are missing here", line)
        before = self.hash if one.number == self.number + 1 else self.checkpoint.get(one.number - 1)
        if before not in (None, one.previous):
            self._found(one.number - 1, one.number, "a record was replaced by another", line)
        self.first = self.first or one.number
        self.number, self.hash, self._bad = one.number, one.hash, 0
        signed = self.anchors.get(one.number) or self.checkpoint.get(one.number)
        if signed == one.hash:
            self.anchored = one.number
        elif signed is not None:
            self._found(self.anchored + 1, one.number, "records were replaced by others", line)

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
