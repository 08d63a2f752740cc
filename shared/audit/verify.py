"""Verifies chains of records against signed heads: line by line, in bounded memory, without any service."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

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
#: Findings listed per chain and for the heads; all further ones are told as one, with where they are.
FINDINGS_MAX = 100
#: What findings about heads name as their chain.
HEADS = "heads"
STATEMENT = b'"statement":'
#: What is said of lines that are no record, and of findings beyond the list.
NOT_RECORDED = "a record is not as it was recorded"
MORE = "more findings, which are not listed one by one"
#: The fields that are read of a record, as they begin in it.
CHAIN, NUMBER, PREVIOUS = b'"chain":"', b'"number":', b'"previous":"'
#: Another field of a record, not a map. Possessive, so that no line takes longer than its bytes.
_FIELD = rb'"[a-z][a-z0-9_]*+":(?:-?[0-9]++|true|false|"(?:[^"\\\x00-\x1f]++|\\.)*+")'
#: The beginning of a record: such fields and maps of integers, then the chain.
BEGINS = re.compile(
    rb'\{(?:(?!"chain":)(?:' + _FIELD + rb'|"[a-z_]++":\{(?:"[a-z0-9_]++":-?[0-9]++,?)*+\}),)*+'
    rb'"chain":"(recovery\.[a-z]++\.v[0-9]++/[0-9]{1,4})",'
)
#: From its number to the hash before it. A number has 15 digits at most, so that every reader of JSON reads the same.
ENDS = re.compile(
    rb'"number":([1-9][0-9]{0,14}),(?:"[a-z_]++":[0-9]++,)*+"previous":"([0-9a-f]{64})"(?=[,}])'
)
#: The one number that may stand behind it, with as many digits as an event's sequence has at most.
SEQUENCE, SEQUENCE_ENDS = b'"sequence":', re.compile(rb"[0-9]{1,20}+[,}]")
#: What may stand behind it.
REST = re.compile(rb"(?:," + _FIELD + rb")*+\}")


def printable(text: str) -> str:
    """The text without what a terminal would obey."""
    return text if text.isprintable() else "".join(s if s.isprintable() else "?" for s in text)


class Finding(NamedTuple):
    """Something that is not as it was signed: in which chain, in which records, at which lines of its file."""

    chain: str
    first: int
    last: int
    what: str
    line: int = 0
    #: The last of its lines, if it has several.
    until: int = 0

    def __str__(self) -> str:
        numbers = f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"
        lines = f"lines {self.line} to {self.until}" if self.until else f"line {self.line}"
        at = f", {lines}" if self.line else ""
        return printable(f"{self.chain}: {numbers}{at}: {self.what}")

    def with_next(self, other: Finding, what: str) -> Finding:
        """This and one that was found after it, as one."""
        return self._replace(
            first=min(self.first, other.first),
            last=max(self.last, other.last),
            what=what,
            line=self.line or other.line,
            until=other.line or self.until,
        )


def _note(findings: list[Finding], one: Finding) -> None:
    """Add a finding. Lines in a row that are no record are one, and so is all that is too much to list."""
    last = findings[-1] if findings else None
    in_a_row = last is not None and one.line and one.line == (last.until or last.line) + 1
    if last is not None and in_a_row and last.what == one.what == NOT_RECORDED:
        findings[-1] = last.with_next(one, NOT_RECORDED)
    elif last is not None and len(findings) > FINDINGS_MAX:
        findings[-1] = last.with_next(one, MORE)
    else:
        findings.append(one)


#: What is read of one record: chain, number, hash of the record before, its own hash. A plain tuple, as there may be
#: a hundred thousand a second.
Line = tuple[str, int, str, str]


def hashed(data: bytes) -> bytes:
    """Of the `data` of a record's event what can be verified, byte for byte: its hash and what is hashed."""
    return data[: data.rfind(RECORD_ENDS)] + b"}"


def read_line(line: bytes) -> Line | None:
    """The record in a line as `hashed` makes it; None if it is none, or its hash is not that of its bytes.

    Nothing is parsed, which would take longer than the hash. Canonical JSON has its fields in order: before
    `chain` stand amounts and an id, and behind `number` and `previous` no map, and a quote in a text is escaped. So
    the first `chain` and the last of the others are the record's own; whatever has another form is no record.
    """
    body = line[RECORD_AT:-1]
    digest = sha256(body).hexdigest()
    if line[:RECORD_AT] != HASH_BEGINS + digest.encode() + RECORD_BEGINS or line[-1:] != b"}":
        return None
    begins = BEGINS.match(body)
    number = max(body.rfind(NUMBER, 0, body.rfind(PREVIOUS)), 0)
    ends = ENDS.match(body, number)
    if begins is None or ends is None:
        return None
    if body.find(b"}", number) != len(body) - 1 and not REST.fullmatch(body, ends.end()):
        return None
    sequence = body.find(SEQUENCE, ends.end())
    if sequence >= 0 and not SEQUENCE_ENDS.match(body, sequence + len(SEQUENCE)):
        return None
    if body.count(CHAIN) + body.count(NUMBER) + body.count(PREVIOUS) != 3 and not _named_once(body):
        return None
    return begins[1].decode(), int(ends[1]), ends[2].decode(), digest


def _named_once(body: bytes) -> bool:
    """Whether each field of a record is there once; a fact may have fields of these names among its details."""

    def once(fields: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(fields)
        if len(found) < len(fields):
            raise ValueError("a name is there twice")
        return found

    try:
        json.loads(body, object_pairs_hook=once)
    except (ValueError, RecursionError):
        return False
    return True


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

    def end(self) -> None:
        """Nothing more comes."""
        if not self.signed_at:
            self._found(0, 0, "there are no signed heads, so nothing is proven", 0)

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
        _note(self.findings, Finding(HEADS, first, last, what, line))


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
    #: What the next record may follow as well, after a finding alone: how many were read, number and hash. So the
    #: chain goes on behind what was put in.
    _other: tuple[int, int, str] = (0, 0, "")

    def feed(self, record: bytes, line: int = 0) -> None:
        """The next record of the chain, as `hashed` makes it, and its line in a file."""
        self.records += 1
        one = read_line(record)
        if one is None:
            self._bad += 1
            number = self.number + self._bad
            self._found(number, number, NOT_RECORDED, line)
            return
        chain, number, previous, own = one
        follows = number == self.number + 1 and previous == self.hash and chain == self.name
        if not (follows and self.first) and not self._located(one, line):
            return
        self.number, self.hash, self._bad = number, own, 0
        signed = self.anchors.get(number) or self.checkpoint.get(number)
        if signed == own:
            self.anchored = max(self.anchored, number)
        elif signed is not None:
            first = min(self.anchored + 1, number)
            self._found(first, number, "records were replaced by others", line)

    def _located(self, one: Line, line: int) -> bool:
        """Say what is wrong before a record that does not simply follow; whether it is one of the chain."""
        chain, number, previous, own = one
        if chain != self.name:
            self._found(self.number, self.number + 1, f"a record of {chain} is here", line)
            return False
        if (self.records - 1, number - 1, previous) == self._other:
            return True
        if number <= self.number:
            self._found(number, number, "a record is out of place or put in", line)
            self._other = (self.records, number, own)
            return False
        deleted = 0 if self.first else max(self.checkpoint, default=0)
        before = self.hash if number == self.number + 1 else self.checkpoint.get(number - 1)
        if missing := number - 1 > max(self.number + self._bad, deleted):
            self._found(self.number + 1, number - 1, "records are missing here", line)
        if replaced := before not in (None, previous):
            self._found(number - 1, number, "a record was replaced by another", line)
        if missing or replaced:
            self._other = (self.records, self.number, self.hash)
        self.first = self.first or number
        return True

    def end(self) -> None:
        """Nothing more comes."""
        last = max((*self.anchors, *self.checkpoint), default=0)
        # Of a chain that was idle since, retention deletes all up to the checkpoint.
        deleted = 0 if self.records else max(self.checkpoint, default=0)
        reached = max(self.number, self.anchored, deleted)
        if last > reached:
            self._found(reached + 1, last, "records are missing at the end", 0)

    @property
    def unanchored(self) -> int:
        """How many of its last records no signed heads cover yet."""
        return self.number - min(self.number, max((*self.anchors, *self.checkpoint), default=0))

    def _found(self, first: int, last: int, what: str, line: int) -> None:
        _note(self.findings, Finding(self.name, first, last, what, line))
