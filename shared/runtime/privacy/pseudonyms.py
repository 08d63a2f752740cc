"""Stand-ins for what others call things: an id from outside may be an address or a name.

Facts are kept for years and some for good, so what others chose goes into none of them, nor into a
key or a log. In its place stands an HMAC under a key that is derived from the master key: the same
in every service, after every restart and in a rebuild, and of no use to whoever has a list of
addresses to try. `python -m shared.ops fingerprint` makes the same ones for support.
"""

from __future__ import annotations

import hmac

from shared.contracts.event import joined
from shared.contracts.names import alike, mailbox_of


class Pseudonyms:
    """What stands for ids, correlation ids, customers and other names from outside."""

    def __init__(self, secret: bytes) -> None:
        # Keyed once: a copy costs two thirds of an HMAC made anew.
        self._keyed = hmac.new(secret, digestmod="sha256")

    def event(self, source: str, event_id: str) -> str:
        """Another system's event; its complaint is called `co-` and this."""
        return self._of("event", source, event_id)

    def correlation(self, correlation_id: str) -> str:
        """What another system says a story belongs to; the same from every source."""
        return self._of("correlation", correlation_id)

    def request(self, principal: str, route: str, key: str) -> str:
        """A request, by who asks, where, and its idempotency key."""
        return self._of("request", principal, route, key)

    def customer(self, source: str, customer: str) -> str:
        """The customer_ref of another system's customer, or of one that a site's employees know."""
        return "c-" + self._of("customer", source, alike(customer))

    def customer_at(self, site: str, address: str) -> str:
        """The customer_ref of somebody who is known to a site by their address, whoever wrote it down."""
        return "c-" + self._of("customer-at", site, *mailbox_of(address))

    def customer_of(
        self, complaint_id: str, source: str, site: str, customer: str | None, address: str | None
    ) -> str:
        """The customer_ref of a complaint's customer: by name, else by address, else by it alone."""
        if customer is not None:
            return self.customer(source, customer)
        if address is not None:
            return self.customer_at(site, address)
        return "c-" + self._of("customer-of", complaint_id)

    def person(self, source: str, name: str) -> str:
        """Who raised a complaint, by the name another system has for them."""
        return "p-" + self._of("person", source, name)

    def sender(self, source: str, kind: str) -> str:
        """Whoever raises complaints, by source; `kind` is of two letters and stands in front."""
        return f"{kind}-" + self._of("sender", kind, source)

    def mailbox(self, address: str, day: str) -> str:
        """Where letters of one day go; on another day the same mailbox is called otherwise."""
        return self._of("mailbox", day, *mailbox_of(address))

    def content(self, text: str) -> str:
        """What tells two contents apart and says nothing of either."""
        return self._of("content", text)

    def _of(self, *parts: str) -> str:
        """128 bits of HMAC-SHA-256 as 32 hex characters; the first part says what is named."""
        keyed = self._keyed.copy()
        keyed.update(joined(*parts))
        return keyed.hexdigest()[:32]
