"""The API of a service as an OpenAPI document, from its routes: every status, form, header and reason."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from shared.contracts.reasons import Reason
from shared.runtime.http.answers import CSV, JSON, NO_STORE, PROBLEM, PUBLIC, Problem
from shared.runtime.http.auth import ALGORITHMS
from shared.runtime.http.live import UNBUFFERED, EventStream
from shared.runtime.http.pages import HTML, PAGE_HEADERS
from shared.runtime.http.routes import Route

BEARER = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "A JWT of the configured issuer, signed with one of its published keys by "
    f"{', '.join(ALGORITHMS)}. It must claim `iss` (the configured issuer), `aud` (the configured "
    "audience), `exp`, `sub` (the caller's pseudonymous id), `site` (the site they are at) and `kind` "
    "(what they are); `iat` bounds its lifetime. "
    "`sub` and `site` have at most 128 characters of letters, digits and `._:/@+-`, and begin with a "
    "letter or digit. A token of kind `manager` may claim further `sites`, in a list. "
    "What a caller may give is in no token: the roster and the policy say it. Each "
    "operation names the kinds it is for.",
}


def _header(description: str, *, always: bool = True, **schema: Any) -> dict[str, Any]:
    """A header as the document describes it: text, unless `schema` says more."""
    return {
        "description": description,
        "required": always,
        "schema": {"type": "string", **schema},
    }


#: Every header of ours that an answer may carry; the document says of each answer which it does.
HEADERS: dict[str, dict[str, Any]] = {
    "Cache-Control": _header("Whether and how it may be cached."),
    "ETag": _header(
        "What is shown, as a tag: in `If-None-Match` it gets a 304 if it still holds; what is changed with `If-Match` takes it there."
    ),
    "Published": _header(
        "Whether the facts are on Kafka already; absent if nothing was settled.",
        always=False,
        enum=["true", "false"],
    ),
    "Idempotency-Replayed": _header(
        "Present if the answer is that of an earlier request with this key.",
        always=False,
        enum=["true"],
    ),
    "Access-Control-Allow-Origin": _header(
        "Scripts of any page may read it.", always=False, enum=["*"]
    ),
    **{
        name: _header("Events are passed on as they come.", enum=[value])
        for name, value in UNBUFFERED.items()
    },
    "Location": _header("The path to go on to."),
    "Retry-After": _header("Seconds to wait before asking again.", type="integer", minimum=1),
    "WWW-Authenticate": _header("How to authenticate.", enum=["Bearer"]),
    **{
        name: _header("Sent with every page.", always=False)
        for name in PAGE_HEADERS
        if name not in NO_STORE
    },
}
#: Headers of an answer made from a fact; a route without a key in a header makes the key itself.
SETTLED = ("Published", "Idempotency-Replayed")
#: A body, a URL and headers that are too long have one reason, and a status each.
TOO_LARGE_STATUSES = (413, 414, 431)
#: What some problems say beside their reason.
TOLD: dict[Reason, dict[str, Any]] = {
    Reason.SCHEMA_INVALID: {"errors": [{"pointer": "/text", "rule": "missing"}]},
    Reason.NOT_IN_PARTS: {"left_minor": 120000},
    Reason.AMOUNT_MISSING: {"left_minor": 20000, "percent": 20, "bill_up_to_minor": 100000},
    Reason.AMOUNT_TOO_LARGE: {"left_minor": 38000},
    Reason.ON_HOLD: {"left_minor": 0},
}
#: How a form is answered in a browser, so that a reload shows the page and sends nothing again.
ON_TO_PAGE: dict[str, Any] = {
    "description": "For a browser: a redirect to the page, which shows the state now.",
    "headers": {"Location": {"$ref": "#/components/headers/Location"}},
}


def servers_of(owner: str) -> list[dict[str, Any]]:
    """Where a service is: behind the operator's proxy, under a name of theirs."""
    return [
        {
            "url": "https://{host}",
            "description": "The service behind the operator's proxy.",
            "variables": {"host": {"default": f"{owner}.recovery.example"}},
        }
    ]


class Described(FastAPI):
    """An app whose API document has all that its routes declare."""

    def openapi(self) -> dict[str, Any]:
        """The document."""
        if self.openapi_schema is not None:
            return self.openapi_schema
        document = super().openapi()
        components = document.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        schemas.update(_problem_schemas())
        components["headers"] = HEADERS
        components["securitySchemes"] = {"Bearer": BEARER}
        told: set[Reason] = set()
        shown: set[type[BaseModel]] = set()
        for route in self.routes:
            if isinstance(route, Route) and route.include_in_schema:
                method = "".join(route.methods or ())  # each route has one
                _describe(route, document["paths"][route.path_format][method.lower()])
                told |= route.refuses
                shown.update(model for models in route.answers.values() for model in models)
                schemas.update(_form_schema(route))
        for model in shown:
            # Set again, because FastAPI drops the nulls of examples.
            extra = model.model_config.get("json_schema_extra")
            if isinstance(extra, dict):
                schemas[model.__name__].update(extra)
        components["schemas"] = dict(sorted(schemas.items()))
        components["examples"] = {
            reason.value: {"summary": reason.meaning, "value": _example(reason)}
            for reason in Reason
            if reason in told
        }
        return document


def _form_schema(route: Route) -> dict[str, Any]:
    """The schema of the form that a route takes by its name, which FastAPI does not see; empty if it takes none."""
    if route.form is None:
        return {}
    schema = route.form.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs", {}), route.form.__name__: schema}


def _problem_schemas() -> dict[str, Any]:
    whole = Problem.model_json_schema(
        mode="serialization", ref_template="#/components/schemas/{model}"
    )
    return {**whole.pop("$defs"), "Problem": whole}


def _example(reason: Reason) -> dict[str, Any]:
    return {**Problem.of(reason).model_dump(), **TOLD.get(reason, {})}


def _describe(route: Route, operation: dict[str, Any]) -> None:
    """Complete an operation: who may call it, and everything it may answer."""
    kinds = sorted(route.kinds)
    operation["security"] = [{"Bearer": [kind.value]} for kind in kinds]
    whom = (
        f"For callers of kind {' or '.join(f'`{kind.value}`' for kind in kinds)}." if kinds else ""
    )
    told = "\n\n".join(filter(None, (operation.get("description", ""), whom)))
    anybody = (
        "For anybody." if route.public else "Behind a customer's link: its token says who asks."
    )
    operation["description"] = told or anybody
    answers: dict[str, Any] = operation["responses"]
    answers.pop("422", None)
    for status, models in route.answers.items():
        _succeed(route, status, models, answers.setdefault(str(status), {}))
    if route.or_page:
        answers["200"]["content"][HTML] = {"schema": {"type": "string"}}
    if route.or_table:
        answers["200"]["content"][CSV] = {"schema": {"type": "string"}}
    by_browser = route.answers_pages or any(
        HTML in answer.get("content", {}) for answer in answers.values()
    )
    if route.answers_pages:
        answers["303"] = copy.deepcopy(ON_TO_PAGE)
    taken = {one["name"] for one in operation.get("parameters", ())}
    if "If-None-Match" in taken:
        answers["304"] = {"description": "Nothing has changed since the client's copy."}
    for status, reasons in _by_status(route.refuses):
        _refuse(status, reasons, answers.setdefault(str(status), {}), by_browser=by_browser)
    for code, answer in answers.items():
        names = [*_headers_of(code, taken, answer.get("content", {}), writes=route.writes)]
        if route.public and code < "4":
            names += PUBLIC
        refs = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
        answer["headers"] = {**answer.get("headers", {}), **refs}
    operation["responses"] = dict(sorted(answers.items()))


def _succeed(
    route: Route, status: int, models: Iterable[type[Any]], answer: dict[str, Any]
) -> None:
    """Describe an answer that is made of a model; also a refusal that says more than a problem."""
    texts = [(model.__doc__ or "").partition("\n\n")[0] for model in models]
    answer["description"] = " Or: ".join(" ".join(text.split()) for text in texts if text)
    if JSON in answer.get("content", {}):
        form = answer["content"].pop(JSON)
        if status in route.examples:
            form["example"] = route.examples[status]
        answer["content"][PROBLEM if status >= 400 else JSON] = form


def _refuse(
    status: int, reasons: list[Reason], answer: dict[str, Any], *, by_browser: bool
) -> None:
    """Describe the problems of a status: which reasons, and what each means."""
    meanings = "\n".join(f"- `{reason.value}`: {reason.meaning}" for reason in reasons)
    answer["description"] = "\n\n".join(filter(None, (answer.get("description"), meanings)))
    content = answer.setdefault("content", {})
    form = content.setdefault(PROBLEM, {})
    schema = {"$ref": "#/components/schemas/Problem"}
    form["schema"] = {"anyOf": [form["schema"], schema]} if "schema" in form else schema
    form["examples"] = {
        reason.value: {"$ref": f"#/components/examples/{reason.value}"}
        if status == reason.status
        else {"summary": reason.meaning, "value": {**_example(reason), "status": status}}
        for reason in reasons
    }
    if by_browser:
        content[HTML] = {"schema": {"type": "string"}}


def _by_status(reasons: Iterable[Reason]) -> list[tuple[int, list[Reason]]]:
    found: dict[int, list[Reason]] = {}
    for reason in sorted(reasons):
        statuses = TOO_LARGE_STATUSES if reason is Reason.TOO_LARGE else (reason.status,)
        for status in statuses:
            found.setdefault(status, []).append(reason)
    return sorted(found.items())


def _headers_of(
    status: str, taken: set[str], content: Mapping[str, Any], *, writes: bool
) -> Iterator[str]:
    """The headers of an answer, by its status, what its route takes, and the form it has."""
    yield "Cache-Control"
    if status == "401":
        yield "WWW-Authenticate"
    if status in ("429", "503"):
        yield "Retry-After"
    if "If-None-Match" in taken and status in ("200", "304"):
        yield "ETag"
    if "If-Match" in taken and status == "200":
        yield "ETag"
    if writes and (HTML not in content or JSON in content) and (status < "3" or status == "409"):
        yield from SETTLED
    if HTML in content:
        yield from PAGE_HEADERS
    if EventStream.media_type in content:
        yield from UNBUFFERED
