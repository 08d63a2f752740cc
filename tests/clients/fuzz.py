"""python -m tests.clients.fuzz EXAMPLES: every route asked by schemathesis, valid and not, and each answer judged.

The services stand on stores in memory, so nothing is started. What may not happen: a 500, an answer that
the document does not describe, a refusal of what the document allows, and no refusal of what it does not.
"""

from __future__ import annotations

import asyncio
import copy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.suites.services import Aboard

#: Not `positive_data_acceptance`: what a schema allows may be unknown, used up or not offered.
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
MODES = {
    GenerationMode.POSITIVE: CHECKS,
    GenerationMode.NEGATIVE: [*CHECKS, negative_data_rejection],
}


def failures(aboard: Aboard, loop: asyncio.AbstractEventLoop, examples: int) -> Iterator[str]:
    """Each route that answers otherwise than its document says, with the request that showed it."""
    for service, app in aboard.apps.items():
        whole = copy.deepcopy(app.api.openapi())
        kinds = {
            (path, method): [kind for one in operation.pop("security") for kind in one["Bearer"]]
            for path, methods in whole["paths"].items()
            for method, operation in methods.items()
        }
        # Without tokens in the document, for every request has a good one: others have tests of their own.
        schema = schemathesis.openapi.from_dict(whole)
        for result in schema.get_all_operations():
            operation = result.ok()
            role = kinds[operation.path, operation.method]
            bearer = aboard.bearer("e-ingrid", role[0]) if role else ""
            for mode in MODES:
                try:
                    asked(aboard, loop, service, operation, mode, bearer, examples)()
                except Unsatisfiable:
                    continue  # it takes nothing that could be wrong
                except (Exception, FailureGroup) as error:  # noqa: BLE001 - on with the next route
                    found = getattr(error, "exceptions", (error,))
                    told = " ".join(" ".join(str(one).split()) for one in found)
                    yield f"{service} {operation.label} {mode.value}: {told}"


def asked(
    aboard: Aboard,
    loop: asyncio.AbstractEventLoop,
    service: str,
    operation: Any,
    mode: GenerationMode,
    bearer: str,
    examples: int,
) -> Callable[[], None]:
    """One route, asked as often as there are examples."""

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        answer = loop.run_until_complete(send(aboard, service, bearer, case))
        case.validate_response(answer, checks=MODES[mode])

    return ask


async def send(aboard: Aboard, service: str, bearer: str, case: Any) -> httpx.Response:
    """One request as it was made up, with a token that is good for the route."""
    made = case.as_transport_kwargs(base_url="http://test")
    headers = {**made.get("headers", {})}
    if bearer:
        headers["Authorization"] = f"Bearer {bearer}"
    transport = httpx.ASGITransport(aboard.apps[service].api, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport) as client:
        sent = {name: one for name, one in made.items() if name in ("params", "json", "data")}
        if isinstance(sent.get("data"), bytes):
            sent["content"] = sent.pop("data")
        return await client.request(made["method"], made["url"], headers=headers, **sent)


def main(examples: int) -> int:
    """The number of routes that failed, each told on a line."""
    loop = asyncio.new_event_loop()
    with TemporaryDirectory() as folder:
        aboard = loop.run_until_complete(Aboard(Path(folder)).begin())
        found = 0
        for found, failure in enumerate(failures(aboard, loop, examples), start=1):  # noqa: B007
            print(failure, flush=True)
    loop.close()
    print(f"{found} failures at {examples} examples per route and kind")
    return found


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])) > 0)
