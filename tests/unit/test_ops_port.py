"""Metrics and the API's page are for operators: on a port of their own, without a network, or nowhere."""

from __future__ import annotations

import asyncio
import json
import re
from html.parser import HTMLParser

import httpx
import pytest

from shared.runtime.http.ops_port import ops_app
from shared.runtime.service import App, listen
from tests.suites.services import Aboard

OPERATORS = ("/metrics", "/docs", "/openapi.json")


@pytest.fixture
def operator(aboard: Aboard) -> httpx.AsyncClient:
    """Somebody at the operators' port of complaints."""
    transport = httpx.ASGITransport(ops_app(aboard.apps["complaints"].api))
    return httpx.AsyncClient(transport=transport, base_url="http://ops")


class Page(HTMLParser):
    """What a page loads, and what scripts and styles it has inside."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.inside: list[str] = []
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self._in = tag
        for name, value in attrs:
            if name in {"src", "href"}:
                self.loads.append(value)
            elif name == "style" or name.startswith("on"):
                self.inside.append(name)

    def handle_data(self, data):
        if self._in in {"script", "style"} and data.strip():
            self.inside.append(data)


@pytest.mark.parametrize("service", ["complaints", "compensation", "notifier"])
@pytest.mark.parametrize("path", OPERATORS)
async def test_who_reaches_the_service_reaches_nothing_that_is_for_operators(
    aboard: Aboard, service, path
):
    async with aboard.http(service, "") as stranger:
        assert (await stranger.get(path)).status_code == 404


async def test_the_port_has_metrics_and_the_document_and_nothing_of_the_api(
    aboard: Aboard, operator
):
    metrics = await operator.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert "requests_total" in metrics.text
    document = await operator.get("/openapi.json")
    assert document.json() == aboard.apps["complaints"].api.openapi()
    for path in (*document.json()["paths"], "/live", "/ready", "/docs/x", "/docs/../../core.py"):
        assert (await operator.get(path)).status_code == 404


async def test_the_page_loads_everything_from_its_own_port_and_its_policy_allows_no_more(operator):
    answer = await operator.get("/docs")
    page = Page(answer.text)
    assert page.inside == []
    loaded = [one for one in page.loads if one != "data:,"]
    assert loaded
    for path in loaded:
        assert path.startswith("/docs/")
        found = await operator.get(path)
        assert found.status_code == 200
        assert found.headers["content-type"].startswith(("text/javascript", "text/css"))
        # A picture or a font from elsewhere would be a hole in the page where there is no network.
        if path.endswith(".css"):
            assert re.findall(r"url\((?!\"?data:)[^)]*", found.text) == []
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert not re.search(r"unsafe|https?:|\*", policy)


async def test_a_slash_too_many_is_no_redirect_to_a_host_that_somebody_sent(
    aboard: Aboard, operator
):
    evil = {"Host": "evil.example"}
    async with operator:
        for path in OPERATORS:
            assert (await operator.get(f"{path}/", headers=evil)).status_code == 404
    for name, app in aboard.apps.items():
        async with aboard.http(name, "") as stranger:
            for path in app.api.openapi()["paths"]:
                other = re.sub(r"\{.*?\}", "x", path) + "/"
                answer = await stranger.get(other, headers=evil)
                assert answer.status_code == 404, other
                assert "evil" not in str(answer.headers)


@pytest.mark.parametrize("ops_port", [None, 0])
async def test_the_port_is_open_only_where_it_is_set_and_never_the_same(
    aboard: Aboard, capsys, ops_port
):
    app: App = aboard.apps["notifier"]
    app.parts.settings = app.parts.settings.model_copy(update={"ops_port": ops_port})
    servers, serving = listen(app.parts.settings, "notifier", app.api, app.on_scrape)
    try:
        said = json.loads(capsys.readouterr().out.splitlines()[-1])
        url, *ops = said["urls"]
        assert (said["service"], len(ops)) == ("notifier", 0 if ops_port is None else 1)
        async with httpx.AsyncClient() as caller:
            assert (await caller.get(f"{url}/live")).status_code == 200
            assert (await caller.get(f"{url}/metrics")).status_code == 404
            for address in ops:
                answer = await caller.get(f"{address}/metrics")
                assert (answer.status_code, answer.headers["x-content-type-options"]) == (
                    200,
                    "nosniff",
                )
    finally:
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*serving)


async def test_what_is_read_from_the_store_is_read_when_metrics_are_asked_for(aboard: Aboard):
    scrapes = []

    async def scrape() -> None:
        scrapes.append(1)

    transport = httpx.ASGITransport(ops_app(aboard.apps["audit"].api, scrape))
    async with httpx.AsyncClient(transport=transport, base_url="http://ops") as operator:
        assert (await operator.get("/metrics")).status_code == 200
        await operator.get("/openapi.json")
    assert scrapes == [1]
