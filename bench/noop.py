"""python -m bench.noop: the peer of the decision. The same token, the same body, and no decision."""

# Annotations are evaluated here and not postponed: they name dependencies made in `build`.

import asyncio
import signal
import socket
from typing import Annotated

import uvloop
from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic_core import to_json

from services.compensation.app import DOMAIN
from services.compensation.checks.handlers import IssueCheck
from services.compensation.settings import Settings
from shared.runtime.http.auth import EMPLOYEE, Principal
from shared.runtime.http.routes import IDEMPOTENCY_KEY
from shared.runtime.http.server import http_server
from shared.runtime.service import HTTP_STOP_S, Runtime, announce, settle_memory, utc_now


def build(parts: Runtime) -> FastAPI:
    """One route that checks token and body and answers."""
    app = FastAPI()

    def employee(request: Request) -> Principal:
        authorization = request.headers.get("authorization", "")
        return parts.face.authenticator.caller(authorization, EMPLOYEE)

    @app.post("/v1/checks", status_code=201)
    async def issue_nothing(
        command: IssueCheck,
        principal: Annotated[Principal, Depends(employee)],
        key: IDEMPOTENCY_KEY,
    ) -> Response:
        body = {"complaint_id": command.complaint_id, "by": principal.subject, "key": key}
        return Response(to_json(body), 201, media_type="application/json")

    @app.get("/ready")
    async def ready() -> PlainTextResponse:
        return PlainTextResponse("ready")

    return app


async def serve() -> None:
    """Serve until SIGTERM, as a service does."""
    settings = Settings()
    server = http_server(build(Runtime(settings, DOMAIN, now=utc_now)), stop_s=HTTP_STOP_S)
    listening = socket.create_server((settings.host, 0), backlog=2048)
    announce("noop", [f"http://{settings.host}:{listening.getsockname()[1]}"])

    def stop() -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    await server.serve(sockets=[listening])


if __name__ == "__main__":
    settle_memory()
    uvloop.run(serve())
