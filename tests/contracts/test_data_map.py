"""Every field of every fact says what kind of data it is, and the pages for those who ask are made from that."""

from __future__ import annotations

from typing import Annotated, ClassVar

import pytest

from shared.contracts.catalogue import FACTS, Row
from shared.contracts.complaints import ComplaintReceived
from shared.contracts.data import About, Data, of_employee, tag_of, untagged
from shared.contracts.event import CustomerRef, EmployeeId, Sealed
from shared.kernel import Fact
from shared.ops import data_map
from shared.ops.docs import render

every_fact = pytest.mark.parametrize("kind", sorted(FACTS))


@every_fact
def test_every_field_is_tagged(kind: str) -> None:
    assert untagged(FACTS[kind]) == []


@every_fact
def test_what_is_sealed_or_points_to_a_person_is_personal_at_least(kind: str) -> None:
    fact = FACTS[kind]
    for name, field in fact.model_fields.items():
        points = name.endswith(("customer_ref", "employee_id", "complaint_id", "_hash"))
        if points or "v1" in str(field.metadata) or name in ("contact", "text"):
            assert tag_of(fact, name) in (Data.PERSONAL, Data.SPECIAL), name


class Untagged(Fact):
    """A fact as somebody may add it."""

    TYPE: ClassVar[str] = "recovery.thing.happened.v1"
    TOPIC: ClassVar[str] = "recovery.vault.v1"

    customer_ref: CustomerRef
    by: EmployeeId | None = None
    words: Annotated[Sealed, Data.SPECIAL]
    listing: Annotated[dict[str, int], Data.INTERNAL, About.EMPLOYEE]
    nearest: Annotated[CustomerRef, Data.SPECIAL]
    forgotten: str | None = None


def test_a_field_without_a_tag_is_found_and_stops_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    assert untagged(Untagged) == ["forgotten"]
    monkeypatch.setattr(data_map, "TABLE", (Row(Untagged, "nobody"),))
    with pytest.raises(LookupError, match="forgotten has no tag"):
        data_map.data_map("")


def test_a_tag_is_found_by_the_types_name_and_the_one_nearest_to_the_field_holds() -> None:
    found = [tag_of(Untagged, name) for name in ("customer_ref", "by", "words", "nearest")]
    assert found == [Data.PERSONAL, Data.PERSONAL, Data.SPECIAL, Data.SPECIAL]
    of = [name for name in Untagged.model_fields if of_employee(Untagged, name)]
    assert of == ["by", "listing"]


def test_the_map_has_every_field_with_its_tag_and_whom_it_is_about() -> None:
    page = data_map.data_map("")
    for fact in FACTS.values():
        for name in fact.model_fields:
            assert f"| `{fact.TYPE}` | `{name}` | {tag_of(fact, name)} |" in page
    kind = ComplaintReceived.TYPE
    assert f"| `{kind}` | `text` | special | customer |" in page
    assert f"| `{kind}` | `raised_by` | personal | employee |" in page
    assert f"| `{kind}` | `site` | public | - |" in page
    assert "| `recovery.intake.v1` | 7 days | special | complaints |" in page


def test_the_page_for_works_councils_names_every_fact_with_an_employee_on_one_page() -> None:
    page = data_map.works_council("")
    named = [f for f in FACTS.values() if any(of_employee(f, name) for name in f.model_fields)]
    assert len(named) > 10
    assert page.count("\n| ") == len(named) + 1
    assert len(page.splitlines()) <= 70
    assert "1096 days" in page


def test_both_are_among_the_generated_pages() -> None:
    assert {"data-map.md", "works-council.md"} <= {str(path) for path in render()}
