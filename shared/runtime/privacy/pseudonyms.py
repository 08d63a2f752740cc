"""Pseudonyms for ids from other systems, which may be addresses or names.

Facts are kept for years and some for ever, so no fact, key or log has an id that another system chose.
An HMAC under a key derived from the master key replaces it. It is the same in every service, after
every restart and in a rebuild, and cannot be found by trying a list of addresses.
`python -m shared.ops fingerprint` computes the same pseudonyms for support.
"""

from __future__ import annotations

import hmac

from shared.contracts.event import joined
from shared.contracts.names import alike, mailbox_of, number_of


class Pseudonyms:
    """Computes pseudonyms for ids, correlation ids, customers and other names from outside."""

    def __init__(self, secret: bytes) -> None:
        # Keyed once: copying it costs two thirds of making a new HMAC.
        self._keyed = hmac.new(secret, digestmod="sha256")

    def event(self, source: str, event_id: str) -> str:
        """For another system's event; its complaint's id is `co-` and this."""
        return self._of("event", source, event_id)

    def affected(self, event: str, customer: str) -> str:
        """For a customer whom an announcement names, by the pseudonym of its event; their complaint's id is `co-` and this."""
        return self._of("affected", event, alike(customer))

    def correlation(self, correlation_id: str) -> str:
        """For a correlation id; the same for every source."""
        return self._of("correlation", correlation_id)

    def request(self, principal: str, route: str, key: str) -> str:
        """For a request: its principal, route and idempotency key."""
        return self._of("request", principal, route, key)

    def customer(self, source: str, customer: str) -> str:
        """The customer_ref of a customer whom another system or a site's employees named."""
        return "c-" + self._of("customer", source, alike(customer))

    def customer_at(self, site: str, address: str) -> str:
        """The customer_ref of an unnamed customer, by site and address, whoever wrote it down."""
        return "c-" + self._of("customer-at", site, *mailbox_of(address))

    def customer_of(
        self, complaint_id: str, source: str, site: str, customer: str | None, address: str | None
    ) -> str:
        """The customer_ref of a complaint's customer: by name, else by address, else by the complaint's id."""
        if customer is not None:
            return self.customer(source, customer)
        if address is not None:
            return self.customer_at(site, address)
        return "c-" + self._of("customer-of", complaint_id)

    def place(self, site: str, place: str) -> str:
        """For a place at a site, whatever the case and the blanks of its name."""
        return "pl-" + self._of("place", site, alike(place))

    def contacts(self, site: str, email: str | None, phone: str | None) -> tuple[str, ...]:
        """For a mail address and a telephone at a site, for each of them that there is."""
        known = [] if email is None else ["ct-" + self._of("contact", site, *mailbox_of(email))]
        if phone is not None and (number := number_of(phone)):
            known.append("ct-" + self._of("contact-phone", site, number))
        return tuple(known)

    def employee(self, site: str, month: str, employee_id: str) -> str:
        """For an employee of a site in a month, on the record; another month gives another pseudonym."""
        return "em-" + self._of("employee", site, month, employee_id)

    def again(self, customer_ref: str) -> str:
        """The customer_ref that stands for the same customer after this one was erased."""
        return "c-" + self._of("customer-again", customer_ref)

    def person(self, source: str, name: str) -> str:
        """For a person who raised a complaint, by another system's name for them."""
        return "p-" + self._of("person", source, name)

    def sender(self, source: str, kind: str) -> str:
        """For a person or system that raises complaints; prefixed with `kind`, two letters."""
        return f"{kind}-" + self._of("sender", kind, source)

    def mailbox(self, address: str, day: str) -> str:
        """For a mailbox on one day; another day gives another pseudonym."""
        return self._of("mailbox", day, *mailbox_of(address))

    def content(self, text: str) -> str:
        """A keyed hash of a content, to compare two contents by."""
        return self._of("content", text)

    def _of(self, *parts: str) -> str:
        """128 bits of HMAC-SHA-256 as 32 hex characters; the first part says what is named."""
        keyed = self._keyed.copy()
        keyed.update(joined(*parts))
        return keyed.hexdigest()[:32]
