"""What operators and developers look at, on a port of its own: metrics, and the API as a document.

The page is Swagger UI out of a package, so it needs no network. It shows routes and sends nothing to
them: the API is another origin, and a token does not belong in a page.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files

import prometheus_client
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from shared.runtime.http.answers import NO_STORE

#: Enough for a scraper and some browsers.
CONNECTIONS_MAX = 50
#: Scripts and styles come from this port and are not inline; Swagger UI's pictures are.
PAGE_HEADERS = {
    **NO_STORE,
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%s</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
START = """SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#ui", deepLinking: true,
  supportedSubmitMethods: [], validatorUrl: null,
  plugins: [{wrapComponents: {authorizeBtn: () => () => null, authorizeOperationBtn: () => () => null}}],
});
"""
#: Files of the package that the page needs, and what they are.
FILES = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}


def ops_app(api: FastAPI, on_scrape: Callable[[], Awaitable[None]] | None = None) -> Starlette:
    """The app on the operators' port of a service with this API.

    `on_scrape` sets metrics that are read from the store, whenever metrics are asked for.
    """

    async def metrics(_: Request) -> Response:
        """Prometheus text."""
        if on_scrape is not None:
            await on_scrape()
        return Response(
            prometheus_client.generate_latest(), media_type=prometheus_client.CONTENT_TYPE_LATEST
        )

    async def document(_: Request) -> Response:
        """The API as OpenAPI."""
        return JSONResponse(api.openapi(), headers=NO_STORE)

    async def docs(_: Request) -> Response:
        """The same as a page."""
        return HTMLResponse(PAGE % api.title, headers=PAGE_HEADERS)

    async def start(_: Request) -> Response:
        """The script that starts the page; a file, because inline scripts are forbidden."""
        return Response(START, media_type="text/javascript")

    async def file(request: Request) -> Response:
        """A file of Swagger UI; it is asked for rarely, so it is read each time."""
        name = request.url.path.rpartition("/")[2]
        found = files("fastapi_offline").joinpath("static", name).read_bytes()
        return Response(found, media_type=FILES[name])

    routes = [
        Route("/metrics", metrics),
        Route("/openapi.json", document),
        Route("/docs", docs),
        Route("/docs/start.js", start),
        *(Route(f"/docs/{name}", file) for name in FILES),
    ]
    app = Starlette(routes=routes)
    # A redirect would repeat the Host header of the request.
    app.router.redirect_slashes = False
    return app
