"""A site's policy as an operator writes it: read strictly, from a file or from a request's JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from babel.numbers import list_currencies
from pydantic import ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import InitErrorDetails, PydanticCustomError, to_json

from shared.contracts.policy import Policy
from shared.runtime import strict_yaml
from shared.runtime.strict_yaml import At, BrokenFile, Loc, Problem

#: The whole policy must fit into one message of a topic with Kafka's usual bound of 1 MiB.
FILE_BYTES_MAX = 512 * 1024
#: Whole numbers that are not amounts.
COUNTS = frozenset(
    {
        "attempts_max",
        "checks_per_day",
        "complaint_up_to",
        "cost_percent",
        "count",
        "percent",
        "per_address",
        "per_day",
        "per_person",
        "per_source",
        "percents",
        "segments_max",
        "share_percent",
        "stay_days",
        "times_per_shift",
    }
)


class BrokenPolicy(BrokenFile):
    """The file is not a valid policy."""


def load(path: Path) -> Policy | list[Problem]:
    """The policy in the file, or the list of its problems. Reads the file."""
    return located(path)[0]


def located(path: Path) -> tuple[Policy | list[Problem], At]:
    """The result of `load`, and a function that finds the line of a part of the file. Reads the file."""
    return strict_yaml.located(
        path, Policy, bytes_max=FILE_BYTES_MAX, counts=COUNTS, also=_unknown_currency
    )


def _unknown_currency(data: object) -> Iterator[tuple[Loc, str]]:
    currency = data.get("currency") if isinstance(data, dict) else None
    is_code = isinstance(currency, str) and re.fullmatch(r"[A-Z]{3}", currency)
    if is_code and currency not in list_currencies():
        yield ("currency",), f'is not a currency of ISO 4217, got "{currency}"'


def _strictly(data: object, _: ValidatorFunctionWrapHandler) -> Policy:
    """A policy in a request, read as strictly as a file: raises ValidationError, with every place."""
    if isinstance(data, Policy):
        return data
    wrong = [
        InitErrorDetails(
            type=PydanticCustomError("currency", "{why}", {"why": why}), loc=loc, input=None
        )
        for loc, why in _unknown_currency(data)
    ]
    if wrong:
        raise ValidationError.from_exception_data(Policy.__name__, wrong)
    return Policy.model_validate_json(to_json(data), strict=True, extra="forbid")


#: A policy in the body of a request: unknown fields and numbers in quotes are refused, as in a file.
Draft = Annotated[Policy, WrapValidator(_strictly)]
