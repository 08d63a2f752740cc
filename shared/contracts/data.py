"""What kind of data each field of a fact is: the map that the record of processing is made from.

A field is tagged where it is declared: `text: Annotated[Sealed, Data.SPECIAL]`, or by the name of its type
(`CustomerRef`). A tag covers all parts of the field. A field without one fails the tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo


class Data(StrEnum):
    """How a field must be protected."""

    meaning: str

    def __new__(cls, code: str, meaning: str) -> Data:
        """A member that is its code as text."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    PUBLIC = "public", "May be shown to anybody."
    INTERNAL = (
        "internal",
        "Figures, times and classes of the business; by itself it says nothing of a person.",
    )
    PERSONAL = (
        "personal",
        "Reaches a person, points to one (a pseudonym does so too), or says what they did or got.",
    )
    SPECIAL = (
        "special",
        "May tell of somebody's health or another special category (GDPR, Article 9).",
    )


class About(StrEnum):
    """Whose data it is, where that is not the customer's."""

    EMPLOYEE = "employee"


def tag_of(model: type[BaseModel], name: str) -> Data | None:
    """The tag of a field, or None if it has none; the one nearest to the field holds."""
    return next((one for one in _marks(model.model_fields[name]) if isinstance(one, Data)), None)


def of_employee(model: type[BaseModel], name: str) -> bool:
    """Whether a field is about an employee."""
    return About.EMPLOYEE in list(_marks(model.model_fields[name]))


def untagged(model: type[BaseModel]) -> list[str]:
    """The fields of a model that have no tag."""
    return [name for name in model.model_fields if tag_of(model, name) is None]


def _marks(field: FieldInfo) -> Iterator[Any]:
    """What a field is annotated with, the last and so outermost first, then what its parts are."""
    yield from reversed(field.metadata)
    yield from _inner(field.annotation)


def _inner(form: Any) -> Iterator[Any]:
    for part in get_args(form):
        metadata = getattr(part, "__metadata__", ())
        yield from reversed(metadata)
        yield from _inner(part)
