"""Money is whole minor units with an ISO 4217 currency; no floats anywhere. This is its one bound."""

#: Redis scripts compute in doubles, which hold integers exactly up to 2**53; half a decade of any
#: site's budget is far below, so a larger amount is an error and never a payment.
AMOUNT_MINOR_MAX = 10**12
