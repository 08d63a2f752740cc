"""Who is meant by a name or an address: spellings that people cannot tell apart mean the same."""

from __future__ import annotations

import re
from typing import Annotated
from unicodedata import category, normalize

from pydantic import AfterValidator, StringConstraints

#: Signs that show nothing and yet count as letters, marks or symbols.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
#: Control and format characters: zero-width blanks and joiners, directions, soft hyphens.
_NO_SIGN = ("Cc", "Cf")


def alike(text: str) -> str:
    """A text as it is compared: no capitals, no widths, nothing unseen, one blank where there are blanks."""
    if text.isascii() and text.isprintable():
        return " ".join(text.casefold().split())  # most names, in a tenth of the time
    signs = _UNSEEN.sub("", normalize("NFKC", text))
    seen = "".join(sign for sign in signs if sign.isspace() or category(sign) not in _NO_SIGN)
    return " ".join(normalize("NFKC", seen.casefold()).split())


def mailbox_of(address: str) -> tuple[str, str]:
    """Local part and domain of where letters to an address arrive.

    Capitals, and what stands behind a "+", lead to the same mailbox as a rule.
    """
    local, _, domain = alike(address).rpartition("@")
    return local.partition("+")[0] or local, domain


def named(customer: str | None) -> str | None:
    """The name, or None where nothing of it is seen: that names nobody."""
    return customer if customer is not None and alike(customer) else None


#: What a source calls a customer.
CustomerName = Annotated[
    Annotated[str, StringConstraints(min_length=1, max_length=128)] | None, AfterValidator(named)
]
