"""What a fact or a stored document takes, it writes so that it is read again, and equal.

A value that is valid as it comes in and invalid as it is written stops every process that reads it later.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from shared.kernel import Fact
from tests.contracts.test_facts import FACTS, every_fact, example
from tests.contracts.test_stored import KINDS, every_kind, golden

CLOCK = re.compile(r"\d\d:\d\d:\d\d")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
DURATION = re.compile(r"P(\d|T)")


def written_otherwise(value: Any) -> Iterator[Any]:
    """The same kind of value, finer than it is mostly written, or in another form."""
    if isinstance(value, str):
        if clock := CLOCK.fullmatch(value):
            yield from (f"{clock[0]}.5", f"{clock[0]}.000001", f"{clock[0]}Z", f"{clock[0]}+05:30")
            yield from (clock[0][:5], "23:59:59.999999", 36000, 36000.5)
        if moment := MOMENT.match(value):
            yield from (f"{moment[0]}.123456Z", f"{moment[0]}.123456789Z", f"{moment[0]}+05:30")
            yield from (f"{moment[0]}.5-00:01", 1780000000.123456, 1780000000123)
        if DURATION.match(value):
            yield from ("PT0.000001S", "PT1.9999999S", "P1DT0.5S", "P1W", 90.5)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from (value + 0.5, float(value), str(value), 0.1 + 0.2, 1e-7, 2**53 + 1)


def changed(part: Any) -> Iterator[Any]:
    """The document with one of its values written otherwise, for each value and form."""
    if isinstance(part, dict):
        for name, value in part.items():
            yield from ({**part, name: other} for other in changed(value))
    elif isinstance(part, list):
        for number, value in enumerate(part):
            yield from ([*part[:number], other, *part[number + 1 :]] for other in changed(value))
    else:
        yield from written_otherwise(part)


def lost(model: type[BaseModel], stored: Any) -> list[str]:
    """The forms that are taken and not read back as they were taken."""
    found = []
    for one in changed(stored):
        try:
            taken = model.model_validate_json(json.dumps(one))
        except ValidationError:
            continue
        body = taken.written() if isinstance(taken, Fact) else taken.model_dump_json()
        try:
            if model.model_validate_json(body) != taken:
                found.append(f"another value: {body}")
        except ValidationError as error:
            found.append(f"not read: {error}")
    return found


@every_fact
def test_what_a_fact_takes_is_read_back_equal(kind: str) -> None:
    assert lost(FACTS[kind], example(kind)["data"]) == []


@every_kind
def test_what_a_stored_document_takes_is_read_back_equal(kind: str) -> None:
    document, schema = KINDS[kind]
    for one in golden(kind, schema.version)["examples"]:
        assert lost(document, one) == []


def test_the_forms_are_those_that_were_lost_once() -> None:
    assert {"10:00:00.5", "10:00:00Z"} <= set(written_otherwise("10:00:00"))


@pytest.mark.parametrize("name", ["starts", "ends"])
def test_hours_that_are_equal_when_written_are_refused(name: str) -> None:
    """They were written as hours without an end, and nothing that reads them went on."""
    hours = {"starts": "10:00:00.5", "ends": "10:00:00.9", name: "10:00:00"}
    stored = example("recovery.preferences.changed.v1")["data"] | {"quiet_hours": hours}
    with pytest.raises(ValidationError, match="whole seconds"):
        FACTS["recovery.preferences.changed.v1"].model_validate_json(json.dumps(stored))
