"""Money as whole minor units with an ISO 4217 currency; no floats anywhere."""

from __future__ import annotations

from dataclasses import dataclass

#: Redis scripts compute in doubles, which hold integers exactly up to 2**53; half a decade of any
#: site's budget is far below, so a larger amount is an error and never a payment.
AMOUNT_MINOR_MAX = 10**12


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount in minor units (øre, cent) of one currency.

    Adding or comparing two currencies raises ValueError: limits are never summed across currencies.
    """

    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        """Refuse what no amount can be: a bool, a float, too much, or not a currency code."""
        if type(self.amount_minor) is not int or abs(self.amount_minor) > AMOUNT_MINOR_MAX:
            msg = f"amount_minor must be a whole number within ±{AMOUNT_MINOR_MAX}"
            raise ValueError(msg)
        if len(self.currency) != 3 or not self.currency.isascii() or not self.currency.isupper():
            msg = "currency must be a three-letter ISO 4217 code"
            raise ValueError(msg)

    def __add__(self, other: Money) -> Money:
        """Sum of two amounts of one currency; raises ValueError for two currencies."""
        if other.currency != self.currency:
            msg = f"cannot add {other.currency} to {self.currency}"
            raise ValueError(msg)
        return Money(self.amount_minor + other.amount_minor, self.currency)

    def __neg__(self) -> Money:
        """The same amount given back."""
        return Money(-self.amount_minor, self.currency)
