"""The catalogue is the map: nothing lies, is read or is made outside it."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

import shared.contracts
from services.audit.app import DOMAIN as AUDIT
from services.compensation.app import DOMAIN as COMPENSATION
from services.complaints.app import DOMAIN as COMPLAINTS
from services.notifier.app import DOMAIN as NOTIFIER
from shared.contracts.catalogue import (
    FACTS,
    OPERATOR,
    OTHER_SYSTEMS,
    REBUILD_RETENTION,
    SERVICES,
    TABLE,
    dead_letters,
    produced,
    subscriptions,
    topics,
)
from shared.contracts.policy import Policy
from shared.kernel import Domain, Fact
from shared.ops.topics import configs
from shared.runtime.engine.settle import ANSWER_TTL_S

ROOT = Path(__file__).parents[2]
BY_NAME = {fact.__name__: fact for fact in FACTS.values()}


def undeclared(service: str, sources: dict[str, str]) -> list[str]:
    """Facts and topics that a service's code names though the catalogue gives it neither side."""
    declared = {*produced(service)}
    for facts in subscriptions(service).values():
        declared.update(facts)
    allowed_topics = {fact.TOPIC for fact in declared} | {dead_letters(service)}
    found: list[str] = []
    for path, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
                "shared.contracts"
            ):
                names = (BY_NAME.get(alias.name) for alias in node.names)
                found += [f"{path}: {fact.TYPE}" for fact in names if fact and fact not in declared]
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                is_topic = re.fullmatch(r"recovery\.[a-z.-]+\.v[0-9]+", node.value)
                known = node.value in allowed_topics | {fact.TYPE for fact in declared}
                if is_topic and not known:
                    found.append(f"{path}: {node.value}")
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_names_only_facts_and_topics_that_the_catalogue_gives_it(service: str) -> None:
    folder = ROOT / "services" / service
    sources = {str(path): path.read_text(encoding="utf-8") for path in folder.rglob("*.py")}
    assert undeclared(service, sources) == []


def test_reading_something_undeclared_is_found() -> None:
    code = "from shared.contracts.compensation import CheckRefused\nTOPIC = 'recovery.intake.v1'\n"
    assert undeclared("notifier", {"stream.py": code}) == [
        "stream.py: recovery.check.refused.v1",
        "stream.py: recovery.intake.v1",
    ]


def test_every_fact_of_the_contracts_is_in_the_catalogue_once() -> None:
    for path in Path(shared.contracts.__path__[0]).glob("*.py"):
        importlib.import_module(f"shared.contracts.{path.stem}")

    def concrete(of: type[Fact]) -> set[type[Fact]]:
        below = {fact for sub in of.__subclasses__() for fact in concrete(sub)}
        is_ours = of.__module__.startswith("shared.contracts") and "TYPE" in vars(of)
        return below | ({of} if is_ours else set())

    assert len(FACTS) == len(TABLE)
    assert concrete(Fact) == set(FACTS.values())


def test_names_follow_the_rule() -> None:
    for kind, fact in FACTS.items():
        assert re.fullmatch(r"recovery\.[a-z-]+\.[a-z]+\.v[0-9]+", kind)
        assert fact.__doc__
    for topic in topics():
        assert re.fullmatch(r"recovery\.[a-z]+(\.dlq)?\.v[0-9]+", topic.name)


def test_every_fact_has_a_topic_and_every_topic_but_dead_letters_has_a_fact() -> None:
    names = [topic.name for topic in topics()]
    assert len(names) == len(set(names))
    used = {fact.TOPIC for fact in FACTS.values()}
    assert used | {dead_letters(service) for service in SERVICES} == set(names)


def test_each_topic_has_one_producer_and_others_only_where_a_row_says_so() -> None:
    for topic in topics():
        rows = [row for row in TABLE if row.fact.TOPIC == topic.name]
        assert len({row.producer for row in rows}) <= 1
        if any(row.also_from for row in rows):
            # A service compares itself with the lines of its own topic, so nobody else writes there.
            assert topic.cleanup == "compact"
            assert topic.name.split(".")[1] not in SERVICES


def test_producers_and_consumers_are_known() -> None:
    for row in TABLE:
        producers = (row.producer, *row.also_from)
        assert set(producers) <= {*SERVICES, OPERATOR, OTHER_SYSTEMS}
        assert len(set(producers)) == len(producers)
        assert set(row.consumers) <= set(SERVICES)


def test_nobody_reads_its_own_facts_unless_others_make_them_too() -> None:
    for row in TABLE:
        if not row.also_from:
            assert row.producer not in row.consumers


def test_whoever_makes_a_fact_has_it_among_its_own() -> None:
    for row in TABLE:
        makers = {who for who in (*SERVICES, OPERATOR, OTHER_SYSTEMS) if row.fact in produced(who)}
        assert makers == {row.producer, *row.also_from}


def test_a_name_that_is_no_service_has_no_subscriptions() -> None:
    with pytest.raises(KeyError):
        subscriptions("complaint")


def durations(model: type[BaseModel]) -> Iterator[tuple[str, timedelta | None]]:
    """Every duration in a model and its parts, with the longest that may be written."""
    for name, field in model.model_fields.items():
        longest = [part.le for part in field.metadata if hasattr(part, "le")]
        if timedelta in (field.annotation, *get_args(field.annotation)):
            yield f"{model.__name__}.{name}", longest[0] if longest else None
        for part in parts(field.annotation):
            yield from durations(part)


def parts(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from parts(inner)


def test_topics_that_state_is_rebuilt_from_outlive_what_a_policy_can_promise() -> None:
    found = dict(durations(Policy))
    waited_for = {
        "CatalogueItem.valid",
        "Playbook.promise",
        "Policy.promise_default",
        "Policy.choose_within",
        "Policy.hold",
        "Stretch.explain_within",
        "ComplaintLimit.apart",
        "IncidentRule.within",
    }
    assert set(found) >= waited_for
    for name, longest in found.items():
        assert longest is not None, f"{name} has no bound"
        # A year to find out that a fact is missing, while what it opened can still end.
        assert longest + timedelta(days=365) <= REBUILD_RETENTION
    for topic in topics():
        if topic.name.split(".")[1] in SERVICES and ".dlq." not in topic.name:
            assert topic.retention == REBUILD_RETENTION


@pytest.mark.parametrize("domain", [COMPLAINTS, COMPENSATION, NOTIFIER, AUDIT], ids=SERVICES)
def test_a_document_lasts_if_one_of_its_facts_does(domain: Domain) -> None:
    compacted = {topic.name for topic in topics() if topic.cleanup == "compact"}
    folds = [(fact, fold.document) for fact, rows in domain.folds.items() for fold in rows]
    for document in {document for _, document in folds}:
        of = {fact.TOPIC for fact, one in folds if one is document}
        assert document.LASTS == bool(of & compacted), document.KIND


def test_clear_text_does_not_stay() -> None:
    settings = {topic.name: configs(topic, 1) for topic in topics()}
    assert settings["recovery.intake.v1"]["retention.ms"] == str(7 * 86_400_000)
    assert settings["recovery.complaints.dlq.v1"]["retention.ms"] == str(14 * 86_400_000)


def test_the_vault_forgets_a_destroyed_key_within_an_hour() -> None:
    (vault,) = (configs(topic, 3) for topic in topics() if topic.name == "recovery.vault.v1")
    assert vault == {
        "cleanup.policy": "compact",
        "max.compaction.lag.ms": "3600000",
        "segment.ms": "900000",
        "min.insync.replicas": "2",
    }


def test_a_listing_stays_for_as_long_as_its_request_may_come_again() -> None:
    """What a rebuild finds of an answer is its fact, also where a later one took its place."""
    (roster,) = (configs(topic, 1) for topic in topics() if topic.name == "recovery.roster.v1")
    assert int(roster["min.compaction.lag.ms"]) >= ANSWER_TTL_S * 1000
