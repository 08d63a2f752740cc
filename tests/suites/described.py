"""Answers held against the OpenAPI document of their service: status, form, body, reason and headers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import httpx
from jsonschema import Draft202012Validator

from tests.suites.services import Aboard

#: What carries an answer and says nothing of what it is about; the document speaks of none of it.
CARRIES = {"content-length", "content-encoding", "content-type", "vary"}
#: By service; made once for a whole run, as every `Aboard` has the same.
_documents: dict[str, dict[str, Any]] = {}


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{[a-z_]+\\\}", "[^/]+", re.escape(path)))


class Operation(NamedTuple):
    """What can be asked, by the document of a service."""

    service: str
    method: str
    path: str

    def is_asked_by(self, service: str, request: httpx.Request) -> bool:
        asked = (self.service, self.method) == (service, request.method)
        return asked and _pattern(self.path).fullmatch(request.url.path) is not None


_operations: list[Operation] = []


def document(aboard: Aboard, service: str) -> dict[str, Any]:
    """The OpenAPI document of a service."""
    if service not in _documents:
        _documents[service] = aboard.apps[service].api.openapi()
    return _documents[service]


def operations(aboard: Aboard) -> list[Operation]:
    """Everything that can be asked; as the routes are tried, a name before what may be any."""
    if _operations:
        return _operations
    found = [
        Operation(service, method.upper(), path)
        for service in aboard.apps
        for path, methods in document(aboard, service)["paths"].items()
        for method in methods
    ]
    _operations.extend(sorted(found, key=lambda one: one.path.count("{")))
    return _operations


def heard(aboard: Aboard) -> Iterator[tuple[Operation, httpx.Response]]:
    """Every answer until now to what the documents say can be asked."""
    known = operations(aboard)
    for service, answer in aboard.heard:
        for one in known:
            if one.is_asked_by(service, answer.request):
                yield one, answer
                break


def undescribed(aboard: Aboard) -> list[str]:
    """Where answers and documents differ, one line each; empty if they agree."""
    return sorted(
        {
            f"{asked.method} {asked.service}{asked.path}: {answer.status_code} {what}"
            for asked, answer in heard(aboard)
            for what in _differences(document(aboard, asked.service), asked, answer)
        }
    )


@cache
def _validator(service: str, path: str, method: str, status: int, form: str) -> Any:
    whole = _documents[service]
    told = whole["paths"][path][method.lower()]["responses"][str(status)]
    schema = {**told["content"][form]["schema"], "components": whole["components"]}
    return Draft202012Validator(schema)


def _differences(whole: dict[str, Any], asked: Operation, answer: httpx.Response) -> Iterator[str]:
    operation = whole["paths"][asked.path][asked.method.lower()]
    told = operation["responses"].get(str(answer.status_code))
    if told is None:
        yield "is not there"
        return
    form = answer.headers.get("content-type", "").partition(";")[0]
    if form and form not in told["content"]:
        yield f"is not {form}"
    elif form.endswith("json") and answer.content:
        body = answer.json()
        validator = _validator(asked.service, asked.path, asked.method, answer.status_code, form)
        for wrong in validator.iter_errors(body):
            yield f"{wrong.json_path} {wrong.message[:200]}"
        reasons = {"authority_exhausted", *told["content"][form].get("examples", ())}
        if answer.status_code >= 400 and body["type"] not in reasons:
            yield f"has no {body['type']}"
    known = {
        name.lower(): whole["components"]["headers"][header["$ref"].rpartition("/")[2]]
        for name, header in told.get("headers", {}).items()
    }
    for name in answer.headers.keys() - known.keys() - CARRIES:
        yield f"has no {name}"
    for name, header in known.items():
        value = answer.headers.get(name)
        if value is None:
            if header["required"]:
                yield f"comes without {name}"
        elif value not in header["schema"].get("enum", [value]):
            yield f"comes with another {name}"
