"""What services store keeps its shape, or its schema version says that it changed.

`tests/contracts/stored` has, per kind and version, the shape of its fields and examples of that time. Examples are
never edited: they are what stores hold.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, get_args, get_type_hints

import pytest
from pydantic import BaseModel

from services.audit.app import DOMAIN as AUDIT
from services.compensation.app import DOMAIN as COMPENSATION
from services.complaints.app import DOMAIN as COMPLAINTS
from services.notifier.app import DOMAIN as NOTIFIER
from shared.kernel import Document, Schema
from shared.runtime.engine.redis_store import versioned
from shared.runtime.engine.schemas import RUNTIME, fresh, joined, unread
from shared.runtime.engine.settle import Fence, StoredAnswer, timer_cause, timer_of
from shared.runtime.engine.store import Line, Versioned
from tests.contracts.test_facts import models_in
from tests.suites.services import Aboard

STORED = Path(__file__).parent / "stored"
DOMAINS = (COMPLAINTS, COMPENSATION, NOTIFIER, AUDIT)
ADVICE = (
    "The shape of a stored document changed: raise its SCHEMA and add the file of the new version"
    " (CONTRIBUTING.md, Changing a document). Files of earlier versions stay as they are."
)
#: Words of a JSON Schema that say nothing about what is stored.
WORDS = ("title", "description", "examples")


def folder_of(document: type[BaseModel]) -> str:
    """The service that the document belongs to; `shared` where several have it."""
    top, service, *_ = document.__module__.split(".")
    return service if top == "services" else top


def kinds() -> dict[str, tuple[type[BaseModel], Schema]]:
    """Every kind of document with its schema, by the beginning of its files' names."""
    found: dict[str, tuple[type[BaseModel], Schema]] = {
        "runtime/fence": (Fence, RUNTIME["fence"]),
        "runtime/answer": (StoredAnswer, RUNTIME["answer"]),
    }
    for domain in DOMAINS:
        for rows in domain.folds.values():
            for document in (row.document for row in rows):
                name = f"{folder_of(document)}/{document.KIND}"
                found[name] = document, document.SCHEMA
    return found


KINDS = kinds()
every_kind = pytest.mark.parametrize("kind", sorted(KINDS))


def golden(kind: str, version: int) -> dict[str, Any]:
    """Shape and examples of a kind in one version."""
    found: dict[str, Any] = json.loads(
        (STORED / f"{kind}.v{version}.json").read_text(encoding="utf-8")
    )
    return found


def shape(document: type[BaseModel]) -> Any:
    """The fields of a document with their types, bounds and defaults.

    What belongs to a contract is named and not shown: facts change by additions alone, and values that earlier
    builds do not know come into a store only where somebody uses them, which is after a roll-out.
    """
    contracts = {
        model.__name__
        for model in parts_of(document)
        if model.__module__.startswith("shared.contracts") and model is not document
    }
    whole = document.model_json_schema()
    definitions = {
        name: {"contract": name} if name in contracts or "enum" in one else one
        for name, one in whole.pop("$defs", {}).items()
    }
    return plain({**whole, "$defs": definitions} if definitions else whole)


def parts_of(model: type[BaseModel]) -> set[type[BaseModel]]:
    """The model and all models that it is made of."""
    seen: set[type[BaseModel]] = set()
    found = [model]
    while found:
        one = found.pop()
        if one not in seen:
            seen.add(one)
            found += [
                part for field in one.model_fields.values() for part in models_in(field.annotation)
            ]
    return seen


def plain(part: Any, *, named: bool = False) -> Any:
    """The same without words; the names of fields may be any."""
    if isinstance(part, list):
        return [plain(one) for one in part]
    if not isinstance(part, dict):
        return part
    return {
        name: plain(value, named=name in ("properties", "$defs") and not named)
        for name, value in part.items()
        if named or name not in WORDS
    }


@every_kind
def test_a_document_has_the_shape_of_its_version(kind: str) -> None:
    document, schema = KINDS[kind]
    assert shape(document) == golden(kind, schema.version)["shape"], ADVICE


def enums() -> dict[str, list[str]]:
    """The values of every enum in a stored document, by its module and name."""
    found = {one for document, _ in KINDS.values() for one in enums_in(document)}
    return {f"{one.__module__}.{one.__name__}": sorted(map(str, one)) for one in found}


def enums_in(form: Any) -> Iterator[type[Enum]]:
    """The enums that a type is made of; no stored type contains itself."""
    inner: Iterable[Any] = get_args(form)
    if isinstance(form, type):
        if issubclass(form, Enum):
            yield form
        elif issubclass(form, BaseModel):
            inner = [field.annotation for field in form.model_fields.values()]
        elif issubclass(form, tuple) or is_dataclass(form):
            inner = get_type_hints(form).values()
    for part in inner:
        yield from enums_in(part)


def test_no_value_of_an_enum_is_taken_away_because_stores_hold_it() -> None:
    """A new value is added to the file, so that its end is seen as well; one in it stays as long as it may be stored."""
    before = json.loads((STORED / "enums.json").read_text(encoding="utf-8"))
    now = enums()
    gone = {name: sorted({*values} - {*now.get(name, ())}) for name, values in before.items()}
    assert not any(gone.values()), f"stored, and not known any more: {gone}"
    assert now == before, "add what is new to stored/enums.json"


@every_kind
def test_a_build_reads_what_was_stored_in_every_version_that_it_says_it_reads(kind: str) -> None:
    document, schema = KINDS[kind]
    for version in range(schema.reads_from, schema.version + 1):
        examples = golden(kind, version)["examples"]
        assert examples
        for one in examples:
            read = document.model_validate_json(json.dumps(one))
            again = document.model_validate_json(read.model_dump_json(exclude_none=True))
            assert again == read


@every_kind
def test_versions_go_up_and_say_who_reads_them(kind: str) -> None:
    _, schema = KINDS[kind]
    assert 1 <= schema.reads_from <= schema.version
    assert 1 <= schema.read_by <= schema.version


def test_every_file_is_of_a_kind_and_of_no_version_to_come() -> None:
    for path in STORED.glob("*/*.json"):
        kind, _, version = (
            path.relative_to(STORED).as_posix().removesuffix(".json").rpartition(".v")
        )
        assert int(version) <= KINDS[kind][1].version, path


def test_one_name_is_one_kind_in_a_service() -> None:
    """The store's record goes by it."""
    for domain in DOMAINS:
        assert not domain.schemas.keys() & RUNTIME.keys()


class Before(Document):
    KIND: ClassVar[str] = "thing"
    total: int
    note: str | None = None


def changed(**fields: Any) -> type[BaseModel]:
    """The same document with other fields."""
    names = {"total": int, "note": str | None} | fields
    annotations = {name: form for name, form in names.items() if form is not None}
    defaults = {"note": None} if "note" in annotations else {}
    return type("After", (Document,), {"__annotations__": annotations, "KIND": "thing", **defaults})


@pytest.mark.parametrize(
    "fields",
    [{"total": str}, {"total": None}, {"more": int}, {"note": int | None}, {"note": None}],
    ids=str,
)
def test_a_change_of_fields_is_a_change_of_shape(fields: dict[str, Any]) -> None:
    assert shape(changed()) == shape(Before)
    assert shape(changed(**fields)) != shape(Before)


def test_an_optional_field_is_a_change_too_because_an_earlier_build_drops_it() -> None:
    class After(Before):
        more: int = 0

    assert shape(After) != shape(Before)


# ---- answers, timers, lines ----------------------------------------------------------------------


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.owner)
def test_of_a_type_that_is_answered_the_same_fields_are_kept(domain: Any) -> None:
    """A repeated request may be answered by the build before or after: it finds what it shows, or has a default."""
    golden = json.loads((STORED / "answers.json").read_text(encoding="utf-8"))
    before: Mapping[str, list[str]] = golden[domain.owner]
    now = {kind.TYPE: fields for kind, fields in domain.shown.items()}
    assert now.keys() == before.keys(), "answers.json names every type of which a part is kept"
    required = {
        kind.TYPE: {name for name, field in kind.model_fields.items() if field.is_required()}
        for kind in domain.shown
    }
    for name, fields in now.items():
        wrong = (fields ^ set(before[name])) & required[name]
        assert not wrong, (
            f"{name}: answers of the last 48 hours lack {wrong}, or another build does"
        )


async def test_timers_of_earlier_builds_still_fire(aboard: Aboard) -> None:
    """They wait for up to two years; what no build handles any more would fail for ever."""
    names = json.loads((STORED / "timers.json").read_text(encoding="utf-8"))
    for service, before in names.items():
        assert set(before) - aboard.apps[service].on_timer.keys() == set()
    assert names.keys() == aboard.apps.keys()


def test_a_timer_is_named_as_before() -> None:
    cause = timer_cause("expire", "ck-1/2", 1_780_000_000_000)
    assert cause == "timer/expire/ck-1/2/1780000000000"
    assert timer_of(cause) == "expire|ck-1/2"


LINES = {
    b'recovery.complaints.v1\nco-1\n\n{"a":"\n"}': Line(
        "recovery.complaints.v1", "co-1", b'{"a":"\n"}'
    ),
    b"recovery.audit.v1/3\nco-1\n\n{}": Line("recovery.audit.v1", "co-1", b"{}", (), 3),
    b"recovery.audit.dlq.v1\na/0/1\nreason=x;where=/data\nsealed": Line(
        "recovery.audit.dlq.v1", "a/0/1", b"sealed", (("reason", "x"), ("where", "/data"))
    ),
}


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_the_outbox_is_written_and_read_as_before(line: bytes) -> None:
    assert Line.decode(line) == LINES[line]
    assert LINES[line].encode() == line


def test_a_document_stands_behind_its_version_in_ten_digits() -> None:
    assert versioned(b'0000000007{"a":1}') == Versioned(7, b'{"a":1}')


# ---- the record ----------------------------------------------------------------------------------


def builds() -> Iterator[Any]:
    """Cases: what a store was written in, the build, whether it reads it."""
    case = pytest.param
    yield case([], Schema(), True, id="at version 1 a store says nothing")
    yield case([], Schema(2), True, id="additive, forward")
    yield case([Schema(), Schema(2)], Schema(), True, id="additive, back")
    yield case([Schema(), Schema(2, read_by=2)], Schema(), False, id="read by later builds only")
    yield case([], Schema(2, reads_from=2), False, id="what is older is not read any more")
    yield case([Schema(2)], Schema(3, reads_from=2), True, id="made anew, nothing is older")
    yield case([Schema(2), Schema()], Schema(2, reads_from=2), False, id="an earlier build wrote")
    yield case([Schema(2, read_by=2), Schema(3)], Schema(), False, id="closed stays closed")


@pytest.mark.parametrize(("wrote", "build", "reads"), list(builds()))
def test_a_build_knows_what_it_reads(wrote: list[Schema], build: Schema, reads: bool) -> None:
    record = fresh({"thing": wrote[0]}) if wrote else b""
    for schema in wrote:
        record, _ = joined(record, {"thing": schema})
    assert unread(record, {"thing": build, "word": Schema()}) == ([] if reads else ["thing"])


def test_a_record_names_only_what_is_beyond_version_1() -> None:
    assert joined(b"", {"thing": Schema(), "word": Schema(2, read_by=2)}) == (
        b'{"word":[1,2,2]}',
        True,
    )
    assert joined(b'{"word":[1,2,2]}', {"word": Schema(2, read_by=2)}) == (
        b'{"word":[1,2,2]}',
        False,
    )
    assert fresh({"thing": Schema()}) == b""


@pytest.mark.parametrize("record", [b"[1]", b"no JSON", b'{"thing":[1,1,1,1]}', b'{"thing":"x"}'])
def test_a_record_that_makes_no_sense_is_not_guessed(record: bytes) -> None:
    assert unread(record, {"thing": Schema()}) == ["thing"]
