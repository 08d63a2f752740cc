"""The reference pages are in step, resolve, and no committed schema is broken."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from shared.contracts.asyncapi import DEAD_LETTER, document, schema
from shared.contracts.catalogue import FACTS, OTHER_SYSTEMS, SERVICES, TABLE, topics
from shared.contracts.compensation import CheckIssued
from shared.contracts.event import JSON_TYPE, OUTSIDE_ATTRIBUTES, Event
from shared.contracts.intake import ComplaintRaised, DisruptionAnnounced, TouchpointPassed
from shared.contracts.reasons import Reason
from shared.ops.docs import (
    REFERENCE,
    ROLLOUT,
    changes,
    committed_changes,
    render,
    stale,
    write,
)
from shared.ops.openapi import rendered
from shared.runtime.kafka.inbox import Record
from tests.suites.services import Aboard

ROOT = Path(__file__).parents[2]


def references(part: object) -> Iterator[str]:
    """Every $ref in a document."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(part, list):
        for item in part:
            yield from references(item)


def resolve(document: dict[str, Any], reference: str) -> object:
    """What a local reference points to; KeyError if nothing."""
    assert reference.startswith("#/")
    found: Any = document
    for step in reference[2:].split("/"):
        found = found[step]
    return found


def test_every_reference_of_the_asyncapi_document_resolves() -> None:
    whole = document()
    found = list(references(whole))
    assert found
    for reference in found:
        assert resolve(whole, reference)


@pytest.mark.parametrize("kind", sorted(FACTS))
def test_every_schema_is_valid_stands_alone_and_accepts_its_example(kind: str) -> None:
    found = schema(FACTS[kind])
    Draft202012Validator.check_schema(found)
    for reference in references(found):
        assert resolve(found, reference)
    text = (ROOT / f"shared/contracts/examples/{kind}.json").read_text(encoding="utf-8")
    Draft202012Validator(found).validate(json.loads(text)["data"])


def test_the_asyncapi_document_describes_every_topic_and_every_fact() -> None:
    whole = document()
    assert {it["address"] for it in whole["channels"].values()} == {it.name for it in topics()}
    names = {it["name"] for it in whole["components"]["messages"].values()}
    assert names == {*FACTS, DEAD_LETTER}
    assert all(it["messages"] for it in whole["channels"].values())


#: What a whole number counts, as its description names it.
UNITS = re.compile(
    r"minor units? of|per cent|[Ss]econds|[Nn]umber of|[Hh]ow many|from [01]|in the unit of"
)


def fields_of(
    part: Any, whole: dict[str, Any], at: str = ""
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field of a schema by its path, down to the parts of its parts; each model once."""
    found, seen = [(at, part)], set()
    while found:
        at, part = found.pop()
        if (reference := part.get("$ref")) and reference not in seen:
            seen.add(reference)
            found.append((at, resolve(whole, reference)))
        for name, field in part.get("properties", {}).items():
            yield f"{at}/{name}", field
            found.append((f"{at}/{name}", field))
        inner = [*part.get("anyOf", ()), *part.get("allOf", ())]
        inner += [part[name] for name in ("items", "additionalProperties") if name in part]
        inner += part.get("patternProperties", {}).values()
        found += [(at, one) for one in inner if isinstance(one, dict)]


def numbers(part: dict[str, Any]) -> bool:
    """Whether a field holds whole numbers, by itself, in a list or by name."""
    inner = [part.get("items"), part.get("additionalProperties"), *part.get("anyOf", ())]
    inner += part.get("patternProperties", {}).values()
    return part.get("type") == "integer" or any(
        numbers(one) for one in inner if isinstance(one, dict)
    )


def undescribed(model: type[BaseModel]) -> list[str]:
    """Fields that say nothing of themselves, and whole numbers that do not say what they count."""
    whole = model.model_json_schema()
    return [
        at
        for at, field in fields_of(whole, whole)
        if not field.get("description")
        or (numbers(field) and not UNITS.search(field["description"]))
    ]


@pytest.mark.parametrize("kind", sorted(FACTS))
def test_every_field_of_every_fact_says_what_it_means_and_every_number_its_unit(kind: str) -> None:
    """Whoever builds on a topic has this and nothing else to go by."""
    assert undescribed(FACTS[kind]) == []


def patterns(part: object) -> Iterator[str]:
    """Every regular expression in a document."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "pattern" and isinstance(value, str):
                yield value
            elif name == "patternProperties":
                yield from value
            yield from patterns(value)
    elif isinstance(part, list):
        for item in part:
            yield from patterns(item)


def test_every_pattern_of_the_documents_is_one_that_javascript_reads() -> None:
    """ECMA-262 knows of a group that begins with `(?` only these three in every engine."""
    pages = {
        str(path): text for path, text in render().items() if path.suffix in {".json", ".yaml"}
    }
    found = {(page, one) for page, text in pages.items() for one in patterns(yaml.safe_load(text))}
    assert {page for page, _ in found} > {"asyncapi.yaml", "openapi/complaints.json"}
    assert [one for one in sorted(found) if re.search(r"\(\?(?![:=!])|\\[AZz]|\(\*", one[1])] == []


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        ("application/json", True),
        ("Application/JSON ; charset=utf-8", True),
        ("application/jsonl", False),
        ("text/json", False),
    ],
)
def test_the_type_of_the_data_is_json_in_any_case_and_with_parameters(
    said: str, *, taken: bool
) -> None:
    assert bool(re.search(JSON_TYPE, said)) is taken


def test_every_attribute_of_an_event_says_what_it_means() -> None:
    assert undescribed(Event[ComplaintRaised]) == []


def test_a_field_without_a_meaning_or_a_number_without_a_unit_is_found() -> None:
    class Inner(BaseModel):
        bare: str
        percents: tuple[int, ...] = Field((), description="Discounts, in per cent of a bill.")

    class Outer(BaseModel):
        inner: dict[str, Inner] = Field(description="Parts by name.")
        length: int | None = Field(None, description="How long it is.")

    assert sorted(undescribed(Outer)) == ["/inner/bare", "/length"]


def test_the_asyncapi_document_keeps_every_description() -> None:
    """AsyncAPI's schemas ignore what stands beside a reference, so nothing may stand there."""

    def siblings(part: object) -> Iterator[dict[str, Any]]:
        inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
        for one in inner:
            yield from siblings(one)
        if isinstance(part, dict) and "$ref" in part and len(part) > 1:
            yield part

    whole = document()
    assert list(siblings(whole)) == []
    schemas = whole["components"]["schemas"]
    for at, field in (one for model in schemas.values() for one in fields_of(model, whole)):
        assert field.get("description"), at


def test_the_asyncapi_document_says_where_the_brokers_are() -> None:
    (server,) = document()["servers"].values()
    assert server["protocol"] == "kafka"
    assert set(re.findall(r"\{(.+?)\}", server["host"])) == set(server["variables"])


def test_what_others_publish_is_described_in_both_modes_and_read_as_described() -> None:
    """The events of the page for publishers, in structured and in binary mode."""
    whole = document()
    channel = whole["channels"]["recovery-intake-v1"]
    structured, binary = (
        resolve(whole, one["$ref"])
        for name, one in channel["messages"].items()
        if name.startswith("recovery-complaint-raised-v1")
    )
    (operation,) = (
        one for one in whole["operations"].values() if one["channel"]["$ref"].endswith("intake-v1")
    )
    assert len(operation["messages"]) == len(channel["messages"])
    page = (ROOT / "docs/publishing.md").read_text(encoding="utf-8")
    headers = [
        dict(line.split(": ", 1) for line in part.splitlines())
        for part in re.findall(r"```headers\n(.*?)\n```", page, re.S)
    ]
    values = [json.loads(part) for part in re.findall(r"```json\n(.*?)\n```", page, re.S)]
    for message, sent, value in zip((structured, binary), headers, values, strict=True):
        for form, found in ((message["headers"], sent), (message["payload"], value)):
            Draft202012Validator({**whole, **form}).validate(found)
        assert message["contentType"] == sent["content-type"]
        # Each mode is told apart by what the other needs.
        other = binary if message is structured else structured
        assert not Draft202012Validator({**whole, **other["headers"]}).is_valid(sent)
    events = [json.loads(one) for one in re.findall(r"```event\n(.*?)\n```", page, re.S)]
    assert [one["type"] for one in events] == [DisruptionAnnounced.TYPE, TouchpointPassed.TYPE]
    for event in events:
        message, _ = (
            resolve(whole, one["$ref"])
            for name, one in channel["messages"].items()
            if name.startswith(event["type"].replace(".", "-"))
        )
        Draft202012Validator({**whole, **message["payload"]}).validate(event)
    described = {name.removeprefix("ce_") for name in binary["headers"]["properties"]}
    assert set(OUTSIDE_ATTRIBUTES) <= described


async def test_a_dead_letter_is_described_as_it_is_written(aboard: Aboard) -> None:
    whole = document()
    await aboard.feed("complaints", ComplaintRaised.TOPIC, [Record(7, b"no event", [])])
    (line,) = await aboard.dead("complaints")
    channel = whole["channels"][line.topic.replace(".", "-")]
    message: Any = resolve(whole, channel["messages"][DEAD_LETTER]["$ref"])
    headers = dict(line.headers)
    Draft202012Validator(message["headers"]).validate(headers)
    assert headers.keys() | {"cut"} == message["headers"]["properties"].keys()
    Draft202012Validator(message["payload"]).validate(line.value.decode())
    position = [headers[f"origin-{part}"] for part in ("topic", "partition", "offset")]
    assert line.key == "/".join(position)


def test_every_message_of_an_operation_belongs_to_its_channel() -> None:
    for operation in document()["operations"].values():
        prefix = operation["channel"]["$ref"] + "/messages/"
        assert operation["messages"]
        for message in operation["messages"]:
            assert message["$ref"].startswith(prefix)


def test_everybody_who_makes_a_fact_is_shown_with_it() -> None:
    operations, page = document()["operations"], render()[Path("topics.md")]
    for row in TABLE:
        channel, message = (name.replace(".", "-") for name in (row.fact.TOPIC, row.fact.TYPE))
        producers = (row.producer, *row.also_from)
        assert f"`{row.fact.TOPIC}` | {', '.join(producers)} |" in page
        for producer in producers:
            assert f"  {producer.replace(' ', '-')} --> {row.fact.TOPIC}\n" in page
            if producer != OTHER_SYSTEMS:
                sent = operations[f"{producer}-send-{channel}"]["messages"]
                assert {"$ref": f"#/channels/{channel}/messages/{message}"} in sent


def test_every_reason_is_explained() -> None:
    page = render()[Path("reasons.md")]
    for reason in Reason:
        assert f"| `{reason.value}` | {reason.status} | {reason.meaning} |" in page
        assert reason.meaning.endswith("."), reason
        assert 400 <= reason.status < 600, reason


def test_the_reference_pages_are_in_step_with_the_contracts() -> None:
    assert stale(ROOT) == [], "run: python -m shared.ops docs"


def test_a_page_that_differs_or_belongs_to_nothing_is_stale(tmp_path: Path) -> None:
    write(tmp_path)
    assert stale(tmp_path) == []
    (tmp_path / REFERENCE / "topics.md").write_text("old", encoding="utf-8")
    (tmp_path / REFERENCE / "openapi/notifier.json").write_text("{}", encoding="utf-8")
    gone = [Path("openapi/gone.json"), Path("schemas/recovery.gone.v1.json")]
    for path in gone:
        (tmp_path / REFERENCE / path).write_text("{}", encoding="utf-8")
    found = stale(tmp_path)
    assert found[:2] == [Path("topics.md"), Path("openapi/notifier.json")]
    assert sorted(found[2:]) == gone
    write(tmp_path)
    assert stale(tmp_path) == []


@pytest.mark.parametrize("service", SERVICES)
def test_every_body_that_a_route_takes_has_an_example_that_it_takes(service: str) -> None:
    """A till is written from the document alone."""
    whole = json.loads(rendered()[service])
    for reference in references(whole):
        assert resolve(whole, reference)
    for path, operations in whole["paths"].items():
        for operation in operations.values():
            forms = operation.get("requestBody", {}).get("content", {})
            for form in (content["schema"] for content in forms.values()):
                examples = resolve(whole, form["$ref"])["examples"]  # type: ignore[index] # a dict
                assert examples, path
                for example in examples:
                    Draft202012Validator({**whole, **form}).validate(example)


def reached(part: object, whole: dict[str, Any], seen: set[str]) -> Iterator[dict[str, Any]]:
    """Every schema that a part of a document leads to, each model once."""
    if isinstance(part, dict):
        yield part
        reference = part.get("$ref")
        if isinstance(reference, str) and reference not in seen:
            seen.add(reference)
            yield from reached(resolve(whole, reference), whole, seen)
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    for one in inner:
        yield from reached(one, whole, seen)


def test_every_operation_whose_answer_has_titles_takes_the_callers_languages() -> None:
    found = set()
    for whole, path, operation in operations():
        answers = [one.get("content", {}) for one in operation["responses"].values()]
        schemas = reached(answers, whole, set())
        titled = any("`Accept-Language`" in str(one.get("description")) for one in schemas)
        taken = {(one["in"], one["name"]) for one in operation.get("parameters", ())}
        assert (("header", "Accept-Language") in taken) is titled, path
        if titled:
            found.add(operation["operationId"])
    assert found >= {"get_my_site", "list_options", "issue_check", "get_check", "make_offer"}


def test_no_body_is_described_in_two_forms_because_generators_make_broken_clients_of_them() -> None:
    for _, path, operation in operations():
        forms = operation.get("requestBody", {}).get("content", {"application/json": {}})
        assert len(forms) == 1, path
        assert forms.keys() <= {"application/json", "application/x-www-form-urlencoded"}, path


def test_a_choice_by_link_is_answered_in_json_or_with_the_page() -> None:
    whole = json.loads(rendered()["compensation"])
    choose = whole["paths"]["/o/{token}"]["post"]
    assert choose["responses"]["200"]["content"].keys() == {"application/json", "text/html"}


def operations() -> Iterator[tuple[dict[str, Any], str, dict[str, Any]]]:
    """Each operation of each service with its document and its path."""
    for service in SERVICES:
        whole = json.loads(rendered()[service])
        for path, methods in whole["paths"].items():
            for operation in methods.values():
                yield whole, path, operation


def test_every_operation_has_a_name_of_its_own_a_summary_and_says_who_may_call_it() -> None:
    """A generated client has one method for each, and sends a token where it must and nowhere else."""
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(names)) == len(names)
    for whole, path, operation in operations():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+", operation["operationId"])
        assert operation["summary"]
        # Receipts and webhooks are signed instead, as their formats say.
        signed = path.startswith(("/v1/receipts/", "/v1/webhooks/"))
        with_token = path.startswith("/v1/") and not signed
        assert (operation["security"] == []) is not with_token
        assert all(list(one) == ["Bearer"] and one["Bearer"] for one in operation["security"])
        (server,) = whole["servers"]
        assert set(re.findall(r"\{(.+?)\}", server["url"])) == set(server["variables"])
        for claim in ("iss", "aud", "exp", "sub", "site", "kind"):
            assert f"`{claim}`" in whole["components"]["securitySchemes"]["Bearer"]["description"]


def test_every_answer_has_a_schema_and_an_example_that_it_takes() -> None:
    """And none is of any shape: a client would know nothing of it."""
    for whole, path, operation in operations():
        for status, answer in operation["responses"].items():
            for form, content in answer.get("content", {}).items():
                schema = content["schema"]
                assert schema == {"type": "string"} or "$ref" in schema or "anyOf" in schema, path
                if "json" not in form:
                    continue
                examples = [
                    resolve(whole, one["$ref"])["value"] if "$ref" in one else one["value"]
                    for one in content.get("examples", {}).values()
                ]
                if int(status) < 400 or "anyOf" in schema:
                    (first, *_) = schema.get("anyOf", [schema])
                    told = resolve(whole, first["$ref"]).get("examples", [])
                    examples += [content["example"]] if "example" in content else told
                assert examples, (path, status)
                for example in examples:
                    Draft202012Validator({**whole, **schema}).validate(example)


def without_meaning(part: Any, at: str = "") -> Iterator[str]:
    """Every property without a description, by its place in a document."""
    if isinstance(part, list):
        part = dict(enumerate(part))
    if isinstance(part, dict):
        properties = part.get("properties", {})
        yield from (
            f"{at}/{name}" for name, one in properties.items() if not one.get("description")
        )
        for name, inner in part.items():
            yield from without_meaning(inner, f"{at}/{name}")


@pytest.mark.parametrize("service", SERVICES)
def test_every_property_of_every_body_says_what_it_means(service: str) -> None:
    """Commands, answers and their parts: the comments in the code are not in the document."""
    assert list(without_meaning(json.loads(rendered()[service])["components"]["schemas"])) == []


def test_every_pattern_is_one_that_javascript_takes() -> None:
    """Its engines refuse an escape that means nothing (`/u`), and some forms that Python has."""

    def patterns(part: object) -> Iterator[str]:
        inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
        for one in inner:
            yield from patterns(one)
        if isinstance(part, dict) and isinstance(part.get("pattern"), str):
            yield part["pattern"]

    found = {
        pattern for service in SERVICES for pattern in patterns(json.loads(rendered()[service]))
    }
    assert len(found) > 5
    for pattern in found:
        assert not re.search(r"\\[^dDwWsSbBnrtu^$\\.*+?()\[\]{}|/-]", pattern), pattern
        assert "(?" not in pattern, pattern


def test_a_check_is_wished_for_a_complaint_or_on_the_spot_and_the_document_says_so() -> None:
    whole = json.loads(rendered()["compensation"])
    wish = Draft202012Validator({**whole, "$ref": "#/components/schemas/IssueCheck"})
    about: dict[str, Any] = {"item": "cinema", "reason": "food"}
    for one in ({"complaint_id": "co-1"}, {"on_the_spot": {"text": "Cold."}}, {"on_the_spot": {}}):
        assert wish.is_valid({**about, **one})
    for wrong in (
        {},
        {"complaint_id": "co-1", "on_the_spot": {}},
        {"incident_id": "in-1", "on_the_spot": {}},
    ):
        assert not wish.is_valid({**about, **wrong})


def test_the_openapi_documents_are_the_same_each_time_they_are_made() -> None:
    assert rendered.__wrapped__() == rendered()


def test_no_committed_schema_is_broken() -> None:
    broken = [
        f"{kind}{change}"
        for kind, found in committed_changes(ROOT).items()
        for change in found
        if change.breaking
    ]
    assert broken == [], ROLLOUT


Edit = Callable[[dict[str, Any]], object]
#: How accounts are called.
(NAMES,) = schema(CheckIssued)["properties"]["debits"]["patternProperties"]


def charge(of: dict[str, Any]) -> dict[str, Any]:
    """What the schema of a check says of one charge."""
    found: dict[str, Any] = of["properties"]["debits"]["patternProperties"][NAMES]
    return found


BREAKING: dict[str, tuple[Edit, str]] = {
    "a field removed": (lambda s: s["properties"].pop("code_hash"), "/code_hash: was removed"),
    "a new field required": (
        lambda s: (s["properties"].update(n={"type": "string"}), s["required"].append("n")),
        "/n: was made required",
    ),
    "an optional field made required": (
        lambda s: s["required"].append("explain_by"),
        "/explain_by: was made required",
    ),
    "a type changed": (
        lambda s: s["properties"].update(value_minor={"type": "string"}),
        "/value_minor: does not take integer any more",
    ),
    "null refused": (
        lambda s: s["properties"]["explain_by"]["anyOf"].pop(),
        "/explain_by: does not take null any more",
    ),
    "a maximum lowered": (
        lambda s: s["properties"]["cost_minor"].update(maximum=5),
        "/cost_minor: maximum was 1000000000000, is 5",
    ),
    "a minimum raised": (
        lambda s: s["properties"]["policy_version"].update(minimum=2),
        "/policy_version: minimum was 1, is 2",
    ),
    "a pattern changed": (
        lambda s: s["properties"]["currency"].update(pattern="^NOK$"),
        "/currency: pattern was ^[A-Z]{3}$, is ^NOK$",
    ),
    "what a mapping holds narrowed": (
        lambda s: charge(s).update(maximum=5),
        f"/debits/{NAMES}: maximum was 1000000000000, is 5",
    ),
    "names of a mapping narrowed": (
        lambda s: s["properties"]["debits"].update(patternProperties={"^a$": charge(s)}),
        f"/debits: pattern of names was ['{NAMES}'], is ['^a$']",
    ),
    "a value taken away": (
        lambda s: s["$defs"]["CheckKind"]["enum"].remove("apology"),
        "/kind: does not take ['apology'] any more",
    ),
}


@pytest.mark.parametrize("name", BREAKING)
def test_a_breaking_change_is_found_and_located(name: str) -> None:
    edit, expected = BREAKING[name]
    old, new = schema(CheckIssued), copy.deepcopy(schema(CheckIssued))
    edit(new)
    assert [str(change) for change in changes(old, new) if change.breaking] == [expected]


COMPATIBLE: dict[str, Edit] = {
    "nothing": lambda s: s.update(),
    "an optional field more": lambda s: s["properties"].update(n={"type": "string"}),
    "another description": lambda s: s.update(description="New words."),
    "a value more": lambda s: s["$defs"]["CheckKind"]["enum"].append("refund"),
    "a larger maximum": lambda s: s["properties"]["cost_minor"].update(maximum=10**13),
    "null as well": lambda s: s["properties"].update(
        item={"anyOf": [s["properties"]["item"], {"type": "null"}]}
    ),
    "a field that may be left out": lambda s: s["required"].remove("debits"),
}


@pytest.mark.parametrize("name", COMPATIBLE)
def test_an_additive_change_breaks_nobody(name: str) -> None:
    old, new = schema(CheckIssued), copy.deepcopy(schema(CheckIssued))
    COMPATIBLE[name](new)
    assert [str(change) for change in changes(old, new) if change.breaking] == []


def test_the_check_fails_on_a_committed_schema_that_the_models_no_longer_meet(
    tmp_path: Path,
) -> None:
    write(tmp_path)
    assert committed_changes(tmp_path) == {}
    path = tmp_path / REFERENCE / "schemas" / f"{CheckIssued.TYPE}.json"
    older = json.loads(path.read_text(encoding="utf-8"))
    older["properties"]["removed_since"] = {"type": "string"}
    path.write_text(json.dumps(older), encoding="utf-8")
    (tmp_path / REFERENCE / "schemas/recovery.gone.v1.json").write_text("{}", encoding="utf-8")
    found = committed_changes(tmp_path)
    assert [str(it) for it in found[CheckIssued.TYPE]] == ["/removed_since: was removed"]
    assert found["recovery.gone.v1"][0].breaking


def test_the_advice_names_who_goes_first() -> None:
    assert "consumers first" in ROLLOUT
