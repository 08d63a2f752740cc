"""Money is whole minor units with an ISO 4217 currency; no floats anywhere. This is its one bound."""

#: Redis scripts compute in doubles, which hold integers exactly up to 2**53. Five years of any site's
#: budget are far below, so that a larger amount is a mistake.
AMOUNT_MINOR_MAX = 10**12
#: What a balance may come to where nothing has a ceiling for it: the largest number that is exact there.
BALANCE_MAX = 2**53 - 1
