"""Answers held against the OpenAPI document of their service: status, form and headers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx

from tests.suites.services import Aboard

#: What carries an answer and says nothing of what it is about; the document speaks of none of it.
CARRIES = {"content-length", "content-encoding", "content-type", "vary"}
#: By service; made once for a whole run, as every `Aboard` has the same.
_documents: dict[str, dict[str, Any]] = {}


class Operation(NamedTuple):
    """What can be asked, by the document of a service."""

    service: str
    method: str
    path: str

    def is_asked_by(self, service: str, request: httpx.Request) -> bool:
        names = re.sub(r"\\\{[a-z_]+\\\}", "[^/]+", re.escape(self.path))
        asked = re.fullmatch(names, request.url.path)
        return (self.service, self.method) == (service, request.method) and asked is not None


def document(aboard: Aboard, service: str) -> dict[str, Any]:
    """The OpenAPI document of a service."""
    if service not in _documents:
        _documents[service] = aboard.apps[service].api.openapi()
    return _documents[service]


def operations(aboard: Aboard) -> list[Operation]:
    """Everything that can be asked; as the routes are tried, a name before what may be any."""
    found = [
        Operation(service, method.upper(), path)
        for service in aboard.apps
        for path, methods in document(aboard, service)["paths"].items()
        for method in methods
    ]
    return sorted(found, key=lambda one: one.path.count("{"))


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


def _differences(whole: dict[str, Any], asked: Operation, answer: httpx.Response) -> Iterator[str]:
    operation = whole["paths"][asked.path][asked.method.lower()]
    told = operation["responses"].get(str(answer.status_code))
    if told is None:
        yield "is not there"
        return
    form = answer.headers.get("content-type", "").partition(";")[0]
    if form and form not in told["content"]:
        yield f"is not {form}"
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
