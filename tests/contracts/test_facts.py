"""Facts as others see them: golden examples, tolerance in reading, and the official SDK."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event
from pydantic import BaseModel, ValidationError

from shared.contracts.catalogue import FACTS
from shared.contracts.event import Event, encode, format_time
from shared.kernel import Fact

ROOT = Path(__file__).parents[2]
EXAMPLES = {
    path.name.removesuffix(".json"): path
    for path in sorted((ROOT / "shared/contracts/examples").glob("*.json"))
}
every_fact = pytest.mark.parametrize("kind", sorted(FACTS))


def example(kind: str) -> dict[str, Any]:
    """The golden example of a fact, as a whole event; it is never edited."""
    found: dict[str, Any] = json.loads(EXAMPLES[kind].read_text(encoding="utf-8"))
    return found


def event_of(kind: str) -> type[Event[Fact]]:
    """The wrapper around this fact; the parameter is known only when the test runs."""
    return cast("type[Event[Fact]]", Event.__class_getitem__(FACTS[kind]))


def required_fields(kind: str) -> list[str]:
    """What the fact cannot be read without."""
    return [name for name, field in FACTS[kind].model_fields.items() if field.is_required()]


def test_every_fact_has_an_example_and_every_example_a_fact() -> None:
    assert set(EXAMPLES) == set(FACTS)


@every_fact
def test_an_example_is_read_and_written_again_without_loss(kind: str) -> None:
    stored = example(kind)
    event = event_of(kind).model_validate_json(json.dumps(stored))
    assert event.type == kind
    assert json.loads(event.data.model_dump_json(exclude_unset=True)) == stored["data"]
    again = FACTS[kind].model_validate_json(event.data.written())
    assert again == event.data


@every_fact
def test_a_reader_ignores_fields_of_a_newer_producer(kind: str) -> None:
    stored = example(kind)
    plain = FACTS[kind].model_validate_json(json.dumps(stored["data"]))
    newer = FACTS[kind].model_validate_json(json.dumps(_with_news(stored["data"])))
    assert newer == plain


#: Maps with free names, and how many levels of them lie above the models.
MAPS = {
    **{"roles": 1, "checks": 1, "title": 1, "playbooks": 2, "regimes": 1, "information": 1},
    **{"debits": 1, "credits": 1, "held": 1, "left": 1, "amounts": 1, "details": 2},
    **{"bound_by": 1, "refused_for": 1, "numbers": 1, "sequences": 1},
}


def _with_news(part: Any, levels: int = 0) -> Any:
    """The same with an unknown field in every object that is a model."""
    if isinstance(part, list):
        return [_with_news(item) for item in part]
    if not isinstance(part, dict):
        return part
    if levels:
        return {name: _with_news(value, levels - 1) for name, value in part.items()}
    inner = {name: _with_news(value, MAPS.get(name, 0)) for name, value in part.items()}
    return {**inner, "of_tomorrow": {"x": 1}}


@every_fact
def test_a_reader_refuses_a_fact_without_one_of_its_required_fields(kind: str) -> None:
    for name in required_fields(kind):
        data = {key: value for key, value in example(kind)["data"].items() if key != name}
        with pytest.raises(ValidationError) as caught:
            FACTS[kind].model_validate_json(json.dumps(data))
        assert [error["loc"] for error in caught.value.errors()] == [(name,)]


def nullable_with_another_default(model: type[BaseModel]) -> list[str]:
    """Fields that may be null, and would be something else if a fact were written without them."""
    found, seen, wrong = [model], set(), []
    while found:
        one = found.pop()
        seen.add(one)
        for name, field in one.model_fields.items():
            default = field.get_default(call_default_factory=True)
            if takes_null(field.annotation) and (field.is_required() or default is not None):
                wrong.append(f"{one.__name__}.{name}")
            found += [part for part in models_in(field.annotation) if part not in seen]
    return wrong


def takes_null(form: Any) -> bool:
    """Whether a field of this type may be null itself."""
    if get_origin(form) is Annotated:
        return takes_null(get_args(form)[0])
    union = get_origin(form) in (Union, UnionType)
    return form is NoneType or (union and any(map(takes_null, get_args(form))))


def models_in(form: Any) -> Iterator[type[BaseModel]]:
    """The models that a type is made of."""
    if isinstance(form, type) and issubclass(form, BaseModel):
        yield form
    for part in get_args(form):
        yield from models_in(part)


@every_fact
def test_a_fact_is_written_without_nulls_and_reads_the_same(kind: str) -> None:
    assert nullable_with_another_default(FACTS[kind]) == []


def test_a_field_that_would_not_read_the_same_without_null_is_found() -> None:
    class Inner(BaseModel):
        needed: int | None
        fine: int | None = None

    class Outer(BaseModel):
        parts: dict[str, Inner] = {}
        otherwise: Annotated[int | None, "x"] = 5

    assert sorted(nullable_with_another_default(Outer)) == ["Inner.needed", "Outer.otherwise"]


@every_fact
def test_the_official_sdk_reads_what_we_write(kind: str) -> None:
    fact = FACTS[kind].model_validate_json(json.dumps(example(kind)["data"]))
    moment = datetime(2026, 7, 1, 18, 32, 5, 123000, tzinfo=UTC)
    written = encode(
        fact,
        source="/complaints",
        event_id="9c1f",
        time=format_time(moment),
        correlation="c-4f1d2b7a90",
        causation="booking-1",
        cause="recovery.intake.v1/2/1041/0",
    )
    headers = {"content-type": b"application/cloudevents+json; charset=utf-8"}
    read = from_kafka_event(KafkaMessage(headers=headers, key=fact.key().encode(), value=written))
    assert (read.get_id(), read.get_source(), read.get_type()) == ("9c1f", "/complaints", kind)
    assert (read.get_time(), read.get_subject()) == (moment, fact.key())
    assert read.get_extension("cause") == "recovery.intake.v1/2/1041/0"
    assert read.get_data() == json.loads(fact.written())
    ours = event_of(kind).model_validate_json(written)
    assert ours.data == fact
    assert ours.time == moment


def test_extension_names_are_those_the_specification_allows() -> None:
    for name in set(Event.model_fields) - {"data"}:
        assert name.isascii()
        assert name.isalnum()
        assert name.islower()
