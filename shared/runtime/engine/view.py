"""What a decision sees: documents and balances, as read and as changed earlier in its commit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Generic, NamedTuple, TypeVar, cast
from zlib import crc32

from pydantic import ValidationError

from shared.contracts.reasons import Reason
from shared.kernel import Document, Domain
from shared.runtime.engine.store import Cursor, Reads, Versioned
from shared.runtime.faults import Rejected

D = TypeVar("D", bound=Document)
#: Documents kept parsed: the policies' heads and employees of a busy hour. None of them has more
#: bytes than this; larger ones, such as a complaint with its text, are read few times and parsed each time.
PARSED_MAX = 2000
PARSED_BYTES_MAX = 4096
#: A place in a list as a client has it: a score with its sign, an id and a checksum, with dots between them.
PLACE_CHARS_MAX = 17 + 1 + 128 + 1 + 8


class Arrival(NamedTuple):
    """Where a record came from, and what of its partition is missing between the last decision and it.

    `missing` counts offsets that were not there or became dead letters, for an inbox that is `gapless`.
    """

    topic: str
    partition: int
    offset: int
    missing: int


class Page(NamedTuple, Generic[D]):
    """Documents of a sorted set by id, in its order, and where the next page begins; None at the end."""

    documents: Sequence[tuple[str, D]]
    next: Cursor | None


class View:
    """Reads, and changes nothing. A commit after it expects every document as it was read here."""

    def __init__(self, store: Reads, domain: Domain, now: datetime) -> None:
        self.now = now
        #: Of the record that is decided about; None for a request or a timer.
        self.arrival: Arrival | None = None
        self._store = store
        self._domain = domain
        self._read: dict[str, Versioned] = {}
        #: Documents as they stand now; bytes are a fact that became one as it was written.
        self._state: dict[str, Document | bytes | None] = {}
        self._balances: dict[str, int] = {}
        #: What this commit adds to each account, also to those not read yet.
        self._posted: Counter[str] = Counter()

    async def prefetch(self, keys: Sequence[str], accounts: Sequence[str] = ()) -> None:
        """Read what is not yet known in one round trip; raises Unavailable."""
        missing = [key for key in dict.fromkeys(keys) if key not in self._read]
        uncounted = [account for account in accounts if account not in self._balances]
        if missing or uncounted:
            found, balances = await self._store.fetch(missing, uncounted)
            self._read.update(zip(missing, found, strict=True))
            self._balances.update(zip(uncounted, balances, strict=True))

    async def get(self, document: type[D], document_id: str) -> D | None:
        """The entity as it stands for this decision, or None; raises Unavailable."""
        key = document.key(document_id)
        if key not in self._state and key not in self._read:
            await self.prefetch([key])
        return self._known(document, key)

    def _known(self, document: type[D], key: str) -> D | None:
        """The entity as it stands for this decision; it was read or changed before."""
        if key not in self._state:
            body = self._read[key].body
            try:
                self._state[key] = parsed(document, body) if body else None
            except ValidationError:
                raise self._store.unreadable(key) from None  # its text has values
            self._store.met.discard(key)
        return whole(document, self._state[key])

    async def require(
        self,
        document: type[D],
        document_id: str,
        reason: Reason,
        *,
        where: tuple[str, ...] = (),
        site: str | None = None,
    ) -> D:
        """The entity, of this site if one is named; raises Rejected(reason), Unavailable.

        What belongs to another site looks like what nobody has.
        """
        found = await self.get(document, document_id)
        if found is None or site not in (None, getattr(found, "site", None)):
            raise Rejected(reason, where=where)
        return found

    async def balances(self, accounts: Sequence[str]) -> dict[str, int]:
        """Balances in minor units as they stand for this decision; raises Unavailable."""
        await self.prefetch((), accounts)
        return {account: self._balances[account] + self._posted[account] for account in accounts}

    async def range(
        self,
        document: type[D],
        name: str,
        after: Cursor | None,
        limit: int,
        beside: Sequence[str] = (),
    ) -> Page[D]:
        """A page of the documents that stand in a sorted set, lowest score first; raises Unavailable.

        At most `limit` of them, which is at most `RANGE_MAX`. What this commit itself puts into the set
        is not seen. A commit after it expects the documents as they were read here. Documents under the keys
        `beside` that are not known yet are read in the same trip.
        """
        beside = [key for key in beside if key not in self._read]
        page = await self._store.range(name, after, limit, beside)
        self._read.update(zip(beside, page.beside, strict=True))
        stands, kind, documents = self._domain.indexes[document], len(document.key("")), []
        for score, key, read in page.found:
            self._read.setdefault(key, read)
            state = await self.get(document, key[kind:])
            # An entry outlives a document that was forgotten, and would be of one that is made anew.
            if state is not None and stands(state).get(name) == score:
                documents.append((key[kind:], state))
        return Page(documents, page.next)

    async def sizes(self, names: Sequence[str]) -> dict[str, int]:
        """How many documents stand in each sorted set, about; raises Unavailable.

        What this commit itself changes is not counted, and a commit after it does not expect the same number.
        """
        return dict(zip(names, await self._store.sizes(names), strict=True)) if names else {}


def cursor_of(document: type[Document], place: Cursor) -> str:
    """A place among documents of a sorted set as a client has it.

    Its checksum tells a cursor that was cut or mistyped, which would name some other place.
    """
    name = f"{place.score}.{place.key.removeprefix(document.key(''))}"
    return f"{name}.{crc32(name.encode()):08x}"


def place_of(document: type[Document], cursor: str | None) -> Cursor | None:
    """The place that `cursor_of` printed, None for the beginning; raises Rejected(cursor_invalid)."""
    if cursor is None:
        return None
    name, _, _ = cursor.rpartition(".")
    score, _, document_id = name.partition(".")
    try:
        place = Cursor(int(score), document.key(document_id))
    except ValueError:
        raise Rejected(Reason.CURSOR_INVALID, where=("/cursor",)) from None
    # Printed again, because several texts are read as the same number.
    if cursor_of(document, place) != cursor:
        raise Rejected(Reason.CURSOR_INVALID, where=("/cursor",))
    return place


def parsed(document: type[D], body: bytes) -> D:
    """A document of these bytes; one that is large or must not be remembered is parsed each time."""
    if len(body) > PARSED_BYTES_MAX or not document.REMEMBERED:
        return document.model_validate_json(body)
    return cast("D", _parsed(document, body))


@lru_cache(PARSED_MAX)
def _parsed(document: type[D], body: bytes) -> D:
    """A document of these bytes: documents are frozen, so one does for every decision that reads them."""
    return document.model_validate_json(body)


def whole(document: type[D], state: Document | bytes | None) -> D | None:
    """A document as its own model, also where it is a fact as it was written."""
    return (
        document.model_validate_json(state) if isinstance(state, bytes) else cast("D | None", state)
    )
