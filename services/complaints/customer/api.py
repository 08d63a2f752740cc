"""The HTTP face of customers' rights: erase one, look at the certificate."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from services.complaints.customer.export import ExportedCustomer, Exports
from services.complaints.customer.handlers import erasing, erasure_of
from shared.contracts.complaints import CustomerErased
from shared.contracts.event import CustomerRef
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.http.answers import Answer
from shared.runtime.http.auth import Kind
from shared.runtime.http.face import Face
from shared.runtime.http.routes import Ask, Identifier, Routes

#: The same erasure in every example.
ERASURE: JsonDict = {
    "customer_ref": "c-0d7f8b0e003473cd34ff8cbd44a16c66",
    "erased_at": "2026-06-03T18:00:00Z",
}


#: Why a customer is not exported.
REFUSED = (
    Reason.UNKNOWN_CUSTOMER,
    Reason.CUSTOMER_ERASED,
    Reason.KEY_NOT_YET_KNOWN,
    Reason.WRAPPING_KEY_MISSING,
)


class ErasedCustomer(Answer):
    """A customer was erased; the certificate follows when retention has passed."""

    OF: ClassVar[type[Fact]] = CustomerErased
    model_config = ConfigDict(json_schema_extra={"examples": [ERASURE]})

    customer_ref: CustomerRef
    erased_at: Annotated[datetime, Field(description="When the customer's keys were destroyed.")]


class ShownErasure(Answer):
    """An erasure, and its certificate once there is one."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **ERASURE,
                    "certified_at": "2026-06-17T19:40:00Z",
                    "certified_from": "2026-06-17T19:00:00Z",
                }
            ]
        }
    )

    customer_ref: CustomerRef
    erased_at: Annotated[datetime, Field(description="When the customer's keys were destroyed.")]
    certified_at: Annotated[
        datetime | None,
        Field(
            description="When it was found that nothing from before is left, also in the intake and the dead letters, and no key on the vault topic; null until then."
        ),
    ]
    certified_from: Annotated[
        datetime,
        Field(
            description="When it may be certified at the earliest: by then retention should have deleted what is from before. Kafka deletes in its own time, so it may be hours later."
        ),
    ]


def routes(face: Face, exports: Exports) -> Routes:
    """The routes."""
    to = Routes(face)

    @to.write(
        "POST",
        "/v1/customers/{customer_ref}/erasure",
        (Kind.PRIVACY,),
        {201: ErasedCustomer},
        refuses=(Reason.UNKNOWN_CUSTOMER, Reason.CUSTOMER_ERASED),
    )
    async def erase_customer(ask: Ask, customer_ref: Identifier) -> Decision:
        """Erase a customer: destroy their keys, so that words and contact cannot be read any more.

        Their complaints at other sites are erased as well, because a customer is one person and has one
        key. Cannot be undone. What they were given stays valid and counted, without saying to whom.
        """
        principal = ask.principal
        return await erasing(customer_ref, principal.site, principal.subject, ask.view)

    @to.read(
        "/v1/customers/{customer_ref}/erasure",
        (Kind.PRIVACY,),
        ShownErasure,
        refuses=(Reason.UNKNOWN_CUSTOMER,),
    )
    async def get_erasure(ask: Ask, customer_ref: Identifier) -> ShownErasure:
        """The erasure of a customer, with its certificate once nothing from before is left."""
        found = await erasure_of(customer_ref, ask.principal.site, ask.view)
        return ShownErasure.about(found, customer_ref=customer_ref)

    @to.read(
        "/v1/customers/{customer_ref}/export",
        (Kind.PRIVACY,),
        ExportedCustomer,
        refuses=REFUSED,
    )
    async def export_customer(ask: Ask, customer_ref: Identifier) -> ExportedCustomer:
        """Everything that complaints knows of a customer's complaints at the site, opened: words, contacts, what they were given."""
        return await exports.of(customer_ref, ask.principal.site, ask.view)

    @to.page("/v1/customers/{customer_ref}/export.html", (Kind.PRIVACY,), refuses=REFUSED)
    async def show_customer(ask: Ask, customer_ref: Identifier) -> str:
        """The same as a page to read or print, in the customer's language."""
        found = await exports.of(customer_ref, ask.principal.site, ask.view)
        return await exports.page(found, ask.view)

    return to
