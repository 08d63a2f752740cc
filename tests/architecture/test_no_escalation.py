"""An answer never says "ask somebody above you": there is no word for it, so there is no path to it.

Searched are all services and all facts, every reason, and the OpenAPI documents as a client reads
them. No sentence there speaks of it either, not even to deny it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from fastapi import FastAPI, Response
from pydantic import create_model

from services.compensation.app import DOMAIN
from shared.contracts.compensation import Scope
from shared.contracts.reasons import Reason
from tests.suites.services import Aboard

ROOT = Path(__file__).parents[2]
#: Beginnings of words, wherever they are in a name: needsApproval, PENDING, escalated_to; but not the
#: end of depending, appending and the like.
PATH_UPWARDS = re.compile(
    r"approv|(?-i:(?<![a-z])pending|Pending|PENDING)|escalat|supervis|superior|manager"
    r"|authori[sz]ed_?by|sign_?off|awaiting",
    re.IGNORECASE,
)
#: The kind of a principal who reads the record and the figures of a site, and names causes. It is named so in tokens, and nowhere else.
KIND = re.compile(r"Kind\.MANAGER\b|\[\"manager\"\]|kind (`employee` or )?`manager`")
#: A complaint that waits for its customer, and for nobody of ours.
CUSTOMER = re.compile(r"\bawaiting_info\b", re.IGNORECASE)
SOURCES = [
    *sorted(ROOT.glob("services/**/*.py")),
    *sorted(ROOT.glob("shared/contracts/*.py")),
]


def upwards(text: str) -> list[str]:
    """Every place that speaks of somebody above, with a little of what is around it."""
    text = CUSTOMER.sub("", KIND.sub("", text))
    return [text[max(0, one.start() - 20) : one.end() + 20] for one in PATH_UPWARDS.finditer(text)]


def words(app: FastAPI) -> str:
    """Paths, operations, schemas, fields, examples and descriptions."""
    return json.dumps(app.openapi(), ensure_ascii=False)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_line_knows_anybody_to_ask(path):
    assert upwards(path.read_text(encoding="utf-8")) == []


def test_no_reason_no_scope_and_no_fact_is_a_wait_for_somebody():
    facts = [fact.TYPE + fact.__name__ for fact in DOMAIN.folds]
    assert upwards(" ".join([*Reason, *Scope, *facts])) == []


async def test_no_route_no_field_and_no_description_leads_upwards(aboard: Aboard):
    documents = {name: words(app.api) for name, app in aboard.apps.items()}
    assert '"/v1/checks"' in documents["compensation"]
    found = {name: upwards(document) for name, document in documents.items()}
    assert not any(found.values()), found


@pytest.mark.parametrize(
    "line",
    [
        "POST /v1/checks/{check_id}/approve",
        "state: PENDING_APPROVAL",
        '"escalated_to": "e-lars"',
        "needsApproval = True",
        "the shift's Supervisor decides",
        "face.principal(MANAGER)",
        "ask your superior",
        "isPending",
        "AuthorizedBy",
        "sign_off: str",
        "AWAITING",
    ],
)
def test_the_search_finds_a_path_upwards_where_there_is_one(line):
    assert upwards(line) != []


@pytest.mark.parametrize(
    "line",
    [
        "depending on it",
        "appending",
        "is_suspending",
        "authority",
        "(Kind.MANAGER,)",
        "awaiting_info",
    ],
)
def test_the_search_lets_other_words_be(line):
    assert upwards(line) == []


@pytest.mark.parametrize("where", ["path", "schema", "field", "description", "nowhere"])
def test_the_search_finds_one_anywhere_in_a_document(where):
    field = "pending_since" if where == "field" else "item"
    body = create_model(
        "Escalation" if where == "schema" else "CheckRequest", **{field: (str, ...)}
    )

    async def give() -> Response:
        raise NotImplementedError

    app = FastAPI(title="compensation")
    app.add_api_route(
        "/v1/checks/approve" if where == "path" else "/v1/checks",
        give,
        response_model=body,
        description="Waits for a supervisor." if where == "description" else "At once.",
    )
    assert bool(upwards(words(app))) is (where != "nowhere")
