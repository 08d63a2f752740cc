"""Lists complaints from their sorted sets, finds them by what a customer or a colleague names, and reads changed ones."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from services.complaints.colleagues.handlers import known_department
from services.complaints.lifecycle.rules import (
    DEPARTMENT,
    Complaint,
    at_place,
    by_reference,
    done_at,
    of_contact,
    of_customer,
    offered_to,
    open_at,
    overdue_at,
    owned_by,
    passed_from,
    reference_score,
)
from shared.contracts.complaints import REFERENCE_CHARS, Category, reference_of
from shared.contracts.event import Id, Outside
from shared.contracts.intake import Address, Phone
from shared.contracts.names import CustomerName, PlaceName
from shared.contracts.reasons import Reason
from shared.kernel import score_at
from shared.runtime.engine.store import RANGE_MAX, Cursor
from shared.runtime.engine.view import Page, View
from shared.runtime.faults import Rejected
from shared.runtime.http.auth import Principal
from shared.runtime.policies import Policies
from shared.runtime.privacy.keys import CustomerKey, Keys
from shared.runtime.privacy.seal import Vault
from shared.runtime.roster import employed, employee_key

#: Complaints of one reference. Of a site with 10,000 complaints, one has the reference of another with a chance of 1 in 1,700.
OF_ONE_REFERENCE_MAX = 8
#: As much of a customer's words as fits into one line of a list.
BEGINNING_CHARS_MAX = 80


def _reference(written: str) -> str:
    """A reference as people write it, behind a `#` or as the complaint's whole id; raises ValueError if it is none."""
    reference = written.removeprefix("#")
    if reference.lower().startswith("co-"):
        reference = reference_of(reference)
    if len(reference) != REFERENCE_CHARS:
        msg = f"a reference has {REFERENCE_CHARS} characters, such as 4C7D65; a complaint's whole id is taken as well"
        raise ValueError(msg)
    return reference.upper()


#: What a reference consists of, as people write it: letters in any case.
Reference = Annotated[
    str,
    StringConstraints(
        pattern=r"^#?[A-Za-z0-9._:/@+-]+$", min_length=1, max_length=128, strip_whitespace=True
    ),
    AfterValidator(_reference),
]


class Listed(StrEnum):
    """Which complaints of a site are listed."""

    OPEN = "open"
    MINE = "mine"
    OFFERED = "offered"
    PASSED = "passed"
    OVERDUE = "overdue"
    DONE = "done"


class FindComplaints(BaseModel):
    """What complaints are looked for by: one of these."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"reference": "4C7D65"},
                {"customer_ref": "c-2c26b46b68ffc68f"},
                {"customer": "cabin 7214"},
                {"customer": "778120", "source": "/booking"},
                {"email": "kim@example.org"},
                {"phone": "+47 912 34 567"},
                {"place": "Restaurant, deck 5"},
            ]
        },
    )

    reference: Annotated[
        Reference | None,
        Field(
            description="What letters call a complaint, and its customer tells us, with or without `#`; or the complaint's id."
        ),
    ] = None
    customer_ref: Annotated[
        Id | None, Field(description="The customer of a complaint, as the complaint shows it.")
    ] = None
    customer: Annotated[
        CustomerName, Field(description="A customer, as whoever raised the complaint called them.")
    ] = None
    source: Annotated[
        Outside | None,
        Field(
            description="With `customer`: the source of the event that called them so; null for the employees of this site."
        ),
    ] = None
    email: Annotated[
        Address | None, Field(description="The customer's mail address, as a letter finds it.")
    ] = None
    phone: Annotated[
        Phone | None,
        Field(description="The customer's telephone, with a country's code or without."),
    ] = None
    place: Annotated[
        PlaceName,
        Field(description="A place at the site, as it was called; case and blanks do not count."),
    ] = None

    @model_validator(mode="after")
    def _one(self) -> FindComplaints:
        named = (
            self.reference,
            self.customer_ref,
            self.customer,
            self.email,
            self.phone,
            self.place,
        )
        if sum(one is not None for one in named) != 1:
            raise ValueError(
                "name one of reference, customer_ref, customer, email, phone and place"
            )
        if self.source is not None and self.customer is None:
            raise ValueError("a source is of a customer")
        return self


class Recognised(NamedTuple):
    """What a person recognises a complaint by; None where there is nothing (any more) to read."""

    place: str | None
    beginning: str | None


class Queue:
    """The complaints of a site: listed, and found."""

    def __init__(self, vault: Vault) -> None:
        self._names = vault.pseudonyms
        self._keys = Keys(vault)
        self._policies = Policies()

    async def listed(
        self,
        which: Listed,
        department: str | None,
        category: Category | None,
        after: Cursor | None,
        limit: int,
        who: Principal,
        view: View,
    ) -> Page[Complaint]:
        """A page of complaints of the employee's site, in one trip; a `department`, which they are offered to, is looked up in the policy.

        Raises Rejected(unknown_employee), Rejected(schema_invalid) for a category in a list that is not kept by
        categories, Rejected(unknown_site, unknown_department), and Unavailable.
        """
        if category is not None and which not in (Listed.OPEN, Listed.DONE):
            raise Rejected(Reason.SCHEMA_INVALID, where=("/category",))
        asked = who.subject if department is None else f"{DEPARTMENT}{department}"
        names = {
            Listed.OPEN: open_at(who.site, category),
            Listed.MINE: owned_by(who.site, who.subject),
            Listed.OFFERED: offered_to(who.site, asked),
            Listed.PASSED: passed_from(who.site, who.subject),
            Listed.OVERDUE: overdue_at(who.site),
            Listed.DONE: done_at(who.site, category),
        }
        own = [employee_key(who.site, who.subject)]
        page = await view.range(Complaint, names[which], after, limit, own)
        await employed(who, view)
        if department is not None:
            policy, _ = await self._policies.at(who.site, view)
            known_department(department, policy)
        return page

    async def recognised(
        self, complaints: Sequence[tuple[str, Complaint]], view: View
    ) -> Sequence[Recognised]:
        """What each is recognised by, all read in one trip; raises Unavailable."""
        await view.prefetch([CustomerKey.key(one.customer_ref) for _, one in complaints])
        return [await self._recognised(one, view) for _, one in complaints]

    async def _recognised(self, complaint: Complaint, view: View) -> Recognised:
        words = {"place": complaint.place, "text": complaint.text}
        sealed = {field: one for field, one in words.items() if one}
        found = await self._keys.readable_words(
            complaint.customer_ref, sealed, complaint.received_at, view
        )
        return Recognised(found.get("place"), beginning_of(found.get("text")))

    async def found(
        self,
        by: FindComplaints,
        after: Cursor | None,
        limit: int,
        who: Principal,
        view: View,
    ) -> Page[Complaint]:
        """A page of complaints of the employee's site, the latest first; only a place may have more than one page.

        Raises Rejected(customer_erased) after too many erasures of a customer of this name, and Unavailable.
        """
        if by.place is not None:
            name = at_place(who.site, self._names.place(who.site, by.place))
            return await view.range(Complaint, name, after, limit)
        if by.reference is not None:
            return await _of_reference(by.reference, who.site, view)
        if by.email is not None or by.phone is not None:
            return await self._of_contact(by.email, by.phone, who.site, view)
        customer_ref = by.customer_ref
        if customer_ref is None:
            assert by.customer is not None
            source = by.source or f"/site/{who.site}"
            named = self._names.customer(source, by.customer)
            customer_ref = await self._keys.current(named, view)
        return await _of_customer(customer_ref, who.site, view)

    async def _of_contact(
        self, email: str | None, phone: str | None, site: str, view: View
    ) -> Page[Complaint]:
        """The complaints of whoever has an address or a telephone, the first `RANGE_MAX`, the latest first.

        Of those that were told on the spot, only the ones of a customer who is known by their address.
        """
        found: dict[str, Complaint] = {}
        for contact_ref in self._names.contacts(site, email, phone):
            page = await view.range(Complaint, of_contact(site, contact_ref), None, RANGE_MAX)
            found |= dict(page.documents)
        if email is not None:
            known = await self._keys.current(self._names.customer_at(site, email), view)
            found |= dict((await _of_customer(known, site, view)).documents)
        latest = sorted(
            found.items(),
            key=lambda one: score_at(one[1].received_at) if one[1].received_at else 0,
            reverse=True,
        )
        return Page(latest, None)


def beginning_of(words: str | None) -> str | None:
    """The beginning of words, in one line."""
    if words is None:
        return None
    line = " ".join(words[: 10 * BEGINNING_CHARS_MAX].split())
    return line if len(line) <= BEGINNING_CHARS_MAX else f"{line[: BEGINNING_CHARS_MAX - 1]}…"


async def _of_reference(reference: str, site: str, view: View) -> Page[Complaint]:
    """The complaints of a reference: one, or hardly ever more."""
    score = reference_score(reference)
    # Behind the place where an entry of this score and no key would be.
    begin = Cursor(score, "")
    page = await view.range(Complaint, by_reference(site), begin, OF_ONE_REFERENCE_MAX)
    return Page([(name, one) for name, one in page.documents if one.reference == reference], None)


async def _of_customer(customer_ref: str, site: str, view: View) -> Page[Complaint]:
    """The complaints of a customer at the site, of the first `RANGE_MAX` that they have anywhere."""
    page = await view.range(Complaint, of_customer(customer_ref), None, RANGE_MAX)
    here = [(name, one) for name, one in page.documents if one.site == site]
    return Page(here[::-1], None)


async def changed(names: Sequence[str], view: View) -> list[Complaint | None]:
    """Complaints as they stand now, by their ids, all read in one trip; None where there is none. Raises Unavailable."""
    await view.prefetch([Complaint.key(name) for name in names])
    return [await view.get(Complaint, name) for name in names]
