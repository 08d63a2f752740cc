"""State made again from the topics alone, and held against what a store holds (INV-06).

The same folds, postings and timers as in a commit, applied to facts as they lie on the topics; on
purpose by other means than a rebuild, which is held against it. Everything is in memory here, and
what was settled when follows from the ids that events carry: ours are in the order of their
`sequence`, another's fact stands before the first of ours whose `causationid` it is, and one that
caused nothing stands behind its neighbour, behind the fact of ours that is its own cause, and behind
our last fact before a raise of its topic that it lies behind.

A repeated fact (a relay that died before it trimmed) carries the `sequence` of its first appearance
and is dropped as consumers drop it: per partition and source, because topics may have two writers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pydantic_core import from_json
from redis import Redis

from shared.contracts.catalogue import FACTS
from shared.contracts.event import Event
from shared.kernel import Document, Domain, Fact
from shared.runtime.engine.store import due_of

#: A stored document begins with its version; see settle.lua.
VERSION_DIGITS = 10
#: What the runtime keeps beside the state itself.
NOT_STATE = (
    "fence",
    "answer",
    "lease",
    "generation",
    "schemas",
    "outbox",
    "sequence",
    "rebuilding",
)
Json = dict[str, Any]


@dataclass
class State:
    """Documents by key, balances in minor units by account, due times in ms by timer, sorted sets."""

    documents: dict[str, Json] = field(default_factory=dict)
    accounts: dict[str, int] = field(default_factory=dict)
    timers: dict[str, int] = field(default_factory=dict)
    #: Scores of documents by the name of the set and the document's key.
    indexes: dict[str, dict[str, int]] = field(default_factory=dict)


def parse(value: bytes) -> Event[Fact] | None:
    """The event in a record of one of our topics, or None for a type the catalogue does not know."""
    body = from_json(value)
    fact = FACTS.get(body["type"])
    return None if fact is None else Event[fact].model_validate(body)  # type: ignore[valid-type]  # a run-time type


def once(partition: Iterable[Event[Fact]]) -> list[Event[Fact]]:
    """A partition's facts in their order, without what a relay sent again."""
    last: dict[str, int] = {}
    found: list[Event[Fact]] = []
    for event in partition:
        number = -1 if event.sequence is None else int(event.sequence)
        if 0 <= number <= last.get(event.source, -1):
            continue
        last[event.source] = number
        found.append(event)
    return found


def settled(
    owner: str,
    partitions: Iterable[Iterable[Event[Fact]]],
    behind: Mapping[str, tuple[int, int]] = MappingProxyType({}),
) -> list[Event[Fact]]:
    """All facts in the order in which the service settled them.

    `behind` has, for facts behind raises of their topics, our last sequence before the last such raise and
    its number.
    """
    read = [once(partition) for partition in partitions]
    there: set[tuple[str, str]] = set()
    for events in read:  # what a relay sent again behind a raise lies in a later partition
        names = [(event.source, event.sequence or event.id) for event in events]
        events[:] = [one for one, name in zip(events, names, strict=True) if name not in there]
        there.update(names)
    ours = {
        event.id: int(event.sequence or 0)
        for events in read
        for event in events
        if event.source == f"/{owner}"
    }
    caused: dict[str, list[int]] = {}
    for events in read:
        for event in events:
            if event.id in ours and event.causationid:
                caused.setdefault(event.causationid, []).append(ours[event.id])
    placed: list[tuple[int, int, Event[Fact]]] = []
    for events in read:
        at = (0, 0)
        for event in events:
            if event.id in ours:
                placed.append((ours[event.id], 1, event))
            elif event.id in caused:
                placed.append((min(caused[event.id]), 0, event))
                at = max(at, (max(caused[event.id]), 2))
            else:
                answered = (ours.get(event.causationid or "", 0), 2)
                raised, number = behind.get(event.id, (0, 0))
                at = max(at, answered, (raised, 2 + number))
                placed.append((*at, event))
    placed.sort(key=lambda one: one[:2])
    return [event for *_, event in placed]


def replay(
    domain: Domain,
    partitions: Iterable[Iterable[Event[Fact]]],
    behind: Mapping[str, tuple[int, int]] = MappingProxyType({}),
) -> State:
    """The state that the facts lead to: pure; each partition's facts in their order.

    Consumed facts change documents, our own also accounts and timers, exactly as in a commit.
    """
    documents: dict[str, Document | Fact] = {}
    kinds: dict[str, type[Document]] = {}
    state = State()
    ours, cause = f"/{domain.owner}", None
    for event in settled(domain.owner, partitions, behind):
        fact = event.data
        if event.source == ours:
            for posting in domain.postings(fact):
                balance = state.accounts.get(posting.account, 0)
                state.accounts[posting.account] = balance + posting.amount_minor
            if event.cause != cause and (event.cause or "").startswith("timer/"):
                name, number = (event.cause or "").split("/", 2)[1:]
                state.timers.pop(f"{name}|{number.rpartition('/')[0]}", None)
            cause = event.cause
        for fold, key in domain.folds_of(fact):
            before = documents.get(key)
            if isinstance(before, Fact):
                before = fold.document.model_validate_json(before.model_dump_json())
            documents[key] = fold.evolve(before, fact) if fold.evolve else fact
            kinds[key] = fold.document
        for timer in domain.timers(fact):
            name = f"{timer.name}|{timer.id}"
            if timer.due_ms is None:
                state.timers.pop(name, None)
            else:
                state.timers[name] = timer.due_ms
    state.documents = {
        key: from_json(document.model_dump_json(exclude_none=True))
        for key, document in documents.items()
    }
    for key, kind in kinds.items():
        if kind in domain.indexes:
            document = kind.model_validate_json(documents[key].model_dump_json())
            for name, score in domain.indexes[kind](document).items():
                state.indexes.setdefault(name, {})[key] = score
    return state


def stored(redis_url: str, owner: str, shard: str = "c0") -> State:
    """What a service's store holds now. Blocks; raises Redis's own errors."""
    prefix = f"{owner}:{{{shard}}}:"
    state = State()
    with closing(Redis.from_url(redis_url)) as client:
        for raw in client.scan_iter(match=f"{prefix}*", count=5000):
            name = raw.decode().removeprefix(prefix)
            kind, _, rest = name.partition(":")
            if kind in NOT_STATE:
                continue
            if kind == "timers":
                due: Any = client.zrange(raw, 0, -1, withscores=True)
                state.timers = {member.decode(): due_of(int(at)) for member, at in due}
                continue
            if kind == "index":
                scores: Any = client.zrange(raw, 0, -1, withscores=True)
                state.indexes[rest] = {member.decode(): int(score) for member, score in scores}
                continue
            value = client.get(raw) or b""
            if kind == "account":
                state.accounts[rest] = int(value)
            else:
                state.documents[name] = from_json(value[VERSION_DIGITS:])
    return state


def differences(expected: State, found: State) -> list[str]:
    """Where two states differ, one line each, values left out; empty if they agree."""
    lines: list[str] = []
    pairs: tuple[tuple[str, Mapping[str, object], Mapping[str, object]], ...] = (
        ("document", expected.documents, found.documents),
        ("account", expected.accounts, found.accounts),
        ("timer", expected.timers, found.timers),
        ("index", expected.indexes, found.indexes),
    )
    for what, wanted, there in pairs:
        lines += (f"{what} {key} is missing" for key in wanted.keys() - there.keys())
        lines += (f"{what} {key} is too many" for key in there.keys() - wanted.keys())
        lines += (
            f"{what} {key} differs"
            for key in wanted.keys() & there.keys()
            if wanted[key] != there[key]
        )
    return sorted(lines)
