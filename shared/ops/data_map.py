"""The data map: each field of each fact with its tag, and what employees must know, as pages made from the code."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from shared.contracts.catalogue import FACTS, TABLE, Row, Topic, topics
from shared.contracts.data import Data, of_employee, tag_of
from shared.kernel import Fact


def data_map(notice: str) -> str:
    """The annex to a data protection impact assessment: what is kept of whom, where, how long, who reads it."""
    return "\n".join(
        [
            notice,
            "# Data map",
            "",
            "Annex to a data protection impact assessment (GDPR, Articles 30 and 35). Made from the tags of the fields in"
            " `shared/contracts`; a field without a tag fails the tests.",
            "",
            "| tag | meaning |",
            "|---|---|",
            *(f"| {tag.value} | {tag.meaning} |" for tag in Data),
            "",
            "What customers write, and where they can be reached, is sealed under a key of their own, except on"
            " `recovery.intake.v1`. Ids of persons are pseudonyms. Erasing a customer destroys their keys.",
            "",
            "## Where it is kept",
            "",
            "| topic | kept for | most sensitive | read by |",
            "|---|---|---|---|",
            *(_topic_row(topic) for topic in topics()),
            "",
            "Each service keeps in Redis what it reads of these facts, for as long.",
            "",
            "## Fields",
            "",
            "| fact | field | tag | about | what it is |",
            "|---|---|---|---|---|",
            *(line for row in TABLE for line in _field_rows(row.fact)),
            "",
        ]
    )


def _topic_row(topic: Topic) -> str:
    rows = [row for row in TABLE if row.fact.TOPIC == topic.name]
    # Dead letters are what could not be read, so they may hold whatever a customer wrote.
    most = max((_most(row.fact) for row in rows), key=list(Data).index, default=Data.SPECIAL)
    readers = sorted({who for row in rows for who in row.consumers})
    kept = "the latest per key" if topic.retention is None else f"{topic.retention.days} days"
    return f"| `{topic.name}` | {kept} | {most.value} | {', '.join(readers) or '-'} |"


def _most(fact: type[Fact]) -> Data:
    return max((tag for _, tag in _tags(fact)), key=list(Data).index)


def _tags(model: type[BaseModel]) -> Iterator[tuple[str, Data]]:
    """Each field with its tag; raises LookupError for one without."""
    for name in model.model_fields:
        tag = tag_of(model, name)
        if tag is None:
            raise LookupError(f"{model.__name__}.{name} has no tag: see shared/contracts/data.py")
        yield name, tag


def _field_rows(fact: type[Fact]) -> Iterator[str]:
    for name, tag in _tags(fact):
        about = "-"
        if tag in (Data.PERSONAL, Data.SPECIAL):
            about = "employee" if of_employee(fact, name) else "customer"
        said = (fact.model_fields[name].description or "").replace("|", "\\|")
        yield f"| `{fact.TYPE}` | `{name}` | {tag.value} | {about} | {said} |"


def works_council(notice: str) -> str:
    """One page for employees' representatives: what is recorded of employees, what for, and what is not."""
    return "\n".join(
        [
            notice,
            "# What Service Check records of employees",
            "",
            "For works councils and data protection officers; made from the tags in `shared/contracts`."
            " An employee appears by the pseudonymous id of the site's roster. No name, address, picture, place or device is in any"
            " record, nothing is measured between two actions, and nobody is ranked or scored.",
            "",
            "| when | what is recorded of an employee |",
            "|---|---|",
            *_of_employees(),
            "",
            "- **What for.** Each employee has authority to give, and it is counted exactly; so whoever gives is named, and what"
            " a check is charged names their account. An"
            " explanation of a stretch is for coaching, its text can be read by its author alone, and a missing one lowers nobody's"
            " authority.",
            "- **Totals.** A site's figures of a day say how many employees gave and how many did not, and name nobody.",
            f"- **How long.** {_kept()} days; the latest entry of the roster for as long as the roster has it,"
            " and who published a site's policy until the next is published.",
            "- **Who reads it.** The services alone. Employees see what was given at their site for a complaint, and by whom.",
            "",
        ]
    )


def _of_employees() -> Iterator[str]:
    for row in TABLE:
        fields = [f"`{name}`" for name in row.fact.model_fields if of_employee(row.fact, name)]
        if fields:
            when = " ".join((row.fact.__doc__ or "").split()).partition(". ")[0].rstrip(".")
            yield f"| {when} | {', '.join(fields)} |"


def _kept() -> int:
    """Days that facts about employees are kept, on topics that are not compacted."""
    of = {row.fact.TOPIC for row in TABLE if _names_employees(row)}
    return max(one.retention.days for one in topics() if one.retention and one.name in of)


def _names_employees(row: Row) -> bool:
    return any(of_employee(row.fact, name) for name in FACTS[row.fact.TYPE].model_fields)
