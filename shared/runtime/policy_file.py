"""A site's policy as an operator writes it: read strictly, from a file or from a request's JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from unicodedata import category

from babel.numbers import list_currencies
from pydantic import ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import InitErrorDetails, PydanticCustomError, to_json

from shared.contracts.policy import Policy
from shared.runtime import strict_yaml
from shared.runtime.kafka.inbox import EVENT_BYTES_MAX
from shared.runtime.strict_yaml import At, BrokenFile, Loc, Problem

#: A file is longer than what it says: it has blanks and comments.
FILE_BYTES_MAX = 512 * 1024
#: A policy is read as one event, which has its attributes beside it.
POLICY_BYTES_MAX = EVENT_BYTES_MAX - 4 * 1024
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
#: Fields with sentences, which may have several lines; all others are names, ids and values.
IN_LINES = frozenset({"say", "promise", "signed", "greeting", "words"})
#: Control characters, and separators of lines and paragraphs.
_UNSEEN = frozenset({"Cc", "Zl", "Zp"})
#: Marks that turn the direction of text, so that a name is not read as it is written.
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class BrokenPolicy(BrokenFile):
    """The file is not a valid policy."""


def load(path: Path) -> Policy | list[Problem]:
    """The policy in the file, or the list of its problems. Reads the file."""
    return located(path)[0]


def located(path: Path) -> tuple[Policy | list[Problem], At]:
    """The result of `load`, and a function that finds the line of a part of the file. Reads the file."""
    policy, at = strict_yaml.located(
        path, Policy, bytes_max=FILE_BYTES_MAX, counts=COUNTS, also=_wrong
    )
    if isinstance(policy, Policy) and (why := _too_long(policy)):
        return [at((), why)], at
    return policy, at


def _too_long(policy: Policy) -> str | None:
    """Why no service could read it; None if each can."""
    length = len(policy.model_dump_json(exclude_none=True).encode())
    if length <= POLICY_BYTES_MAX:
        return None
    return f"is {length} bytes long without blanks and comments, more than {POLICY_BYTES_MAX}"


def _wrong(data: object) -> Iterator[tuple[Loc, str]]:
    """What is wrong in a policy that is written, and is read in one that was published."""
    yield from _unknown_currency(data)
    yield from _not_in_line(data)


def _not_in_line(data: object) -> Iterator[tuple[Loc, str]]:
    """Names of several lines, which would end a header or stand in for our own words, and texts that hide what they say."""
    left: list[tuple[Loc, object]] = [((), data)]
    while left:
        loc, part = left.pop()
        if isinstance(part, dict):
            left += [((*loc, str(name)), value) for name, value in part.items()]
        elif isinstance(part, list):
            left += [((*loc, number), value) for number, value in enumerate(part)]
        elif isinstance(part, str):
            text = part.replace("\n", "") if not IN_LINES.isdisjoint(loc) else part
            if any(category(sign) in _UNSEEN or sign in _TURNS for sign in text):
                yield loc, "must be one line without control characters and marks that turn text"


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
            type=PydanticCustomError("contradiction", "{why}", {"why": why}), loc=loc, input=None
        )
        for loc, why in _wrong(data)
    ]
    if wrong:
        raise ValidationError.from_exception_data(Policy.__name__, wrong)
    policy = Policy.model_validate_json(to_json(data), strict=True, extra="forbid")
    if why := _too_long(policy):
        raise PydanticCustomError("too_long", "{why}", {"why": why})
    return policy


#: A policy in the body of a request: unknown fields and numbers in quotes are refused, as in a file.
Draft = Annotated[Policy, WrapValidator(_strictly)]
