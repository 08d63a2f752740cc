"""In which versions a store's state was written, and whether this build reads them.

A store keeps one small record beside its generation marker: for each kind, the oldest and the newest
version that were written, and the build from which on the newest is read. So a process knows before its
first read that it can read everything, and a document or a check costs not a byte more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pydantic_core import from_json, to_json

from shared.kernel import Schema

#: What the runtime stores itself: the frame of documents, balances and sorted sets, fences, stored
#: answers, timers and outbox lines.
RUNTIME: Mapping[str, Schema] = {
    "frame": Schema(),
    "fence": Schema(),
    "answer": Schema(),
    "timer": Schema(),
    "line": Schema(),
}


class Written(NamedTuple):
    """The versions of one kind that a store may hold; the newest is read by builds from `read_by` on."""

    oldest: int = 1
    newest: int = 1
    read_by: int = 1


#: A kind that a store does not name: everything was at version 1 before stores named any.
FIRST = Written()


def decoded(record: bytes) -> Mapping[str, Written]:
    """What a store's record says; an empty one names no kind. Raises ValueError on anything else."""
    try:
        return {
            kind: Written(*map(int, numbers))
            for kind, numbers in from_json(record or b"{}").items()
        }
    except (AttributeError, TypeError) as error:
        raise ValueError(str(type(error))) from error


def encoded(written: Mapping[str, Written]) -> bytes:
    """The record of a store; empty if everything is at version 1."""
    named = {kind: one for kind, one in sorted(written.items()) if one != FIRST}
    return to_json(named) if named else b""


def fresh(schemas: Mapping[str, Schema]) -> bytes:
    """The record of a store that this build alone has written."""
    return encoded({kind: Written(s.version, s.version, s.read_by) for kind, s in schemas.items()})


def unread(record: bytes, schemas: Mapping[str, Schema]) -> list[str]:
    """The kinds that a build with these schemas cannot read; empty if it reads everything.

    All of them if the record itself makes no sense to it.
    """
    try:
        written = decoded(record)
    except ValueError:
        return sorted(schemas)
    found = {kind: written.get(kind, FIRST) for kind in schemas}
    return sorted(
        kind
        for kind, schema in schemas.items()
        if found[kind].oldest < schema.reads_from or found[kind].read_by > schema.version
    )


def joined(record: bytes, schemas: Mapping[str, Schema]) -> tuple[bytes, bool]:
    """The record once a build with these schemas writes too, and whether that closes it to other builds.

    It does where the build writes something that only later builds read.
    """
    before = decoded(record)
    after = dict(before)
    for kind, schema in schemas.items():
        one = before.get(kind, FIRST)
        after[kind] = Written(
            min(one.oldest, schema.version),
            max(one.newest, schema.version),
            max(one.read_by, schema.read_by),
        )
    closes = any(after[kind].read_by > before.get(kind, FIRST).read_by for kind in schemas)
    return encoded(after), closes
