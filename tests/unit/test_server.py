"""What a client may send, and how long it may take: every bound holds where the bytes arrive.

Each client here is a bare socket, because no library would send such things.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from typing import Any

import pytest

from shared.contracts.reasons import Reason
from shared.runtime.http import server as module
from shared.runtime.http.face import BODY_BYTES_MAX, Headed
from shared.runtime.http.server import (
    BODY_WIRE_BYTES_MAX,
    HEAD_BYTES_MAX,
    HEADERS_MAX,
    PIPELINED_MAX,
    URL_BYTES_MAX,
    Server,
    http_server,
)
from shared.runtime.observe import HTTP_REFUSED

#: What must come comes at once; a loaded machine may need much longer.
DEADLINE_S = 60.0
MEGABYTE = 1024 * 1024
HEAD = b"Host: x\r\n"
GET = b"GET / HTTP/1.1\r\n" + HEAD + b"\r\n"
CHUNKED = b"POST / HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body, but not of /early, and says how long it was; /much answers with 8 MB."""
    length, more = 0, scope["path"] != "/early"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        length += len(message["body"])
        more = message["more_body"]
    body = b"x" * (8 * MEGABYTE) if scope["path"] == "/much" else b"%d bytes" % length
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Client:
    """A raw connection, whose every wait ends."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)

    def close(self) -> None:
        self.socket.close()

    def send(self, *parts: bytes) -> None:
        self.socket.sendall(b"".join(parts))

    def until(self, ending: bytes) -> bytes:
        """What is answered up to and with `ending`."""
        found = b""
        while not found.endswith(ending):
            piece = self.socket.recv(65536)
            assert piece, found
            found += piece
        return found

    def rest(self) -> bytes:
        """What is answered until the server closes the connection."""
        found = bytearray()
        try:
            while piece := self.socket.recv(65536):
                found += piece
        except ConnectionResetError:
            pass  # It closed while more was on its way to it.
        return bytes(found)

    def send_until_answered(self, piece: bytes, bytes_max: int) -> int:
        """Send again and again until something is answered, or all is sent; returns how much was."""
        sent = 0
        try:
            while sent < bytes_max and not select.select([self.socket], [], [], 0)[0]:
                sent += self.socket.send(piece)
        except (ConnectionResetError, BrokenPipeError):
            pass  # It closed while more was on its way to it; its answer can be read all the same.
        return sent


@asynccontextmanager
async def serving(
    served: Any = app, **settings: Any
) -> AsyncIterator[tuple[Server, Callable[[], Client]]]:
    """The server, and how a client connects to it."""
    server = http_server(served, stop_s=1, **settings)
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    port = listening.getsockname()[1]
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield server, lambda: Client(port)
    finally:
        server.should_exit = True
        await asyncio.wait_for(task, DEADLINE_S)


async def talk(what: Callable[[Client], Any], **settings: Any) -> Any:
    """What one client sees."""
    async with serving(**settings) as (_, connect):

        def run() -> Any:
            with closing(connect()) as client:
                return what(client)

        return await asyncio.to_thread(run)


def is_refused(answer: bytes, status: int, reason: Reason) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answer[:200]
    assert b"\r\ncontent-type: application/problem+json" in head
    assert b"\r\nconnection: close" in head
    assert b"\r\nX-Content-Type-Options: nosniff".lower() in head.lower()
    assert f'"type":"{reason.value}"'.encode() in body


async def true_soon(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not true():
            await asyncio.sleep(0.01)


# ---- how much ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "start",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: ",
        b"GET / HTTP/1.1\r\n",
        b"GET /",
        CHUNKED + b"0\r\nX-Trailer: ",
    ],
    ids=["a header", "headers", "the path", "a trailer"],
)
async def test_two_hundred_megabytes_in_a_head_are_refused_long_before_they_are_sent(start):
    def flood(client: Client) -> tuple[int, bytes]:
        client.send(start)
        piece = b"X-Many: x\r\n" * 6000 if start.endswith(b"1.1\r\n") else b"x" * 65536
        return client.send_until_answered(piece, 200 * MEGABYTE), client.rest()

    sent, answer = await talk(flood)
    assert sent < 20 * MEGABYTE, "only what the sockets between us hold"
    assert answer[9:12] in {b"413", b"414", b"431"}
    is_refused(answer, int(answer[9:12]), Reason.TOO_LARGE)


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"GET /" + b"x" * (URL_BYTES_MAX - 1) + b" HTTP/1.1\r\n" + HEAD, 200),
        (b"GET /" + b"x" * URL_BYTES_MAX + b" HTTP/1.1\r\n" + HEAD, 414),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * (HEAD_BYTES_MAX - 10) + b"\r\n", 200),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * HEAD_BYTES_MAX + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"X: x\r\n" * HEADERS_MAX, 200),
        (b"GET / HTTP/1.1\r\n" + b"X: x\r\n" * (HEADERS_MAX + 1), 431),
    ],
)
async def test_a_path_headers_and_their_number_have_bounds(request_head, status):
    def ask(client: Client) -> bytes:
        client.send(request_head, b"\r\n")
        return client.until(b"0 bytes") if status == 200 else client.rest()

    answer = await talk(ask)
    if status == 200:
        assert answer.startswith(b"HTTP/1.1 200 ")
    else:
        is_refused(answer, status, Reason.TOO_LARGE)


async def test_what_is_no_request_is_refused_and_the_connection_closed():
    def ask(client: Client) -> bytes:
        client.send(b"GET / HTTP/1.1\r\nHost\r\n\r\n")
        return client.rest()

    is_refused(await talk(ask), 400, Reason.MALFORMED_BYTES)


async def test_a_body_is_read_no_further_than_its_bound_also_when_it_was_answered_before_its_end():
    def ask(client: Client) -> tuple[int, bytes]:
        client.send(b"POST /early HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (200 * MEGABYTE))
        answer = client.until(b"0 bytes")
        return client.send_until_answered(b"x" * 65536, 200 * MEGABYTE), answer

    sent, answer = await talk(ask)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert BODY_WIRE_BYTES_MAX <= sent < 20 * MEGABYTE


async def test_a_body_of_the_largest_size_comes_through_and_so_does_the_next_request():
    def ask(client: Client) -> bytes:
        piece = b"1000\r\n" + b"x" * 4096 + b"\r\n"
        client.send(CHUNKED, piece * (BODY_BYTES_MAX // 4096), b"0\r\n\r\n")
        first = client.until(b" bytes")
        client.send(GET)
        return first + client.until(b"0 bytes")

    answer = await talk(ask)
    assert f"{BODY_BYTES_MAX} bytes".encode() in answer
    assert answer.count(b"HTTP/1.1 200 ") == 2


async def test_requests_in_one_piece_are_each_counted_for_themselves():
    def ask(client: Client) -> bytes:
        large = b"GET / HTTP/1.1\r\nX: " + b"x" * (HEAD_BYTES_MAX - 100) + b"\r\n\r\n"
        client.send(large * 5, GET[:5])
        answers = client.until(b"0 bytes")
        while answers.count(b"HTTP/1.1 200 ") < 5:
            answers += client.until(b"0 bytes")
        client.send(GET[5:])
        return answers + client.until(b"0 bytes")

    assert (await talk(ask)).count(b"HTTP/1.1 200 ") == 6


async def test_requests_that_are_not_waited_for_are_bounded_and_their_connection_is_closed(caplog):
    """Small and complete each, they would take a hundred times their size while they wait.

    That nobody reads the answers is no failure of ours.
    """
    began = 0

    async def counting(scope: Any, receive: Any, send: Any) -> None:
        nonlocal began
        began += 1
        await asyncio.sleep(0)
        await app(scope, receive, send)

    def flood(client: Client) -> bytes:
        client.send(GET * 500)
        return client.rest()

    async with serving(counting) as (_, connect):
        with closing(connect()) as client:
            answered = await asyncio.to_thread(flood, client)
        with closing(connect()) as other:
            assert b"200" in await asyncio.to_thread(
                lambda: (other.send(GET), other.until(b"0 bytes"))[1]
            )
    assert answered.count(b"HTTP/1.1 200 ") <= PIPELINED_MAX + 1
    assert began <= PIPELINED_MAX + 2
    assert "Exception in ASGI application" not in caplog.text


async def test_who_asks_for_another_protocol_is_answered_in_this_one():
    def ask(client: Client) -> bytes:
        client.send(b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        return client.until(b"0 bytes")

    assert (await talk(ask)).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("framing", [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
async def test_a_body_of_who_asks_for_another_protocol_is_never_read_as_a_request(framing: bytes):
    """The parser stops behind such a head; what follows could be a request in somebody else's name."""

    def ask(client: Client) -> bytes:
        head = b"POST / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
        client.send(head + framing + b"\r\n" + GET)
        return client.rest()

    answered = await talk(ask)
    is_refused(answered, 400, Reason.MALFORMED_BYTES)
    assert answered.count(b"HTTP/1.1") == 1


async def test_a_trailer_is_no_header():
    seen: list[dict[bytes, bytes]] = []

    async def heads(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            pass
        seen.append(dict(scope["headers"]))
        await app({**scope, "path": "/early"}, receive, send)

    def ask(client: Client) -> bytes:
        client.send(CHUNKED + b"1\r\nx\r\n0\r\nAuthorization: Bearer x\r\n\r\n")
        return client.until(b"0 bytes")

    async with serving(heads) as (_, connect):
        with closing(connect()) as client:
            await asyncio.to_thread(ask, client)
    assert [b"authorization" in each for each in seen] == [False]


async def test_blanks_around_a_header_are_no_part_of_it():
    seen: list[bytes] = []

    async def heads(scope: Any, receive: Any, send: Any) -> None:
        seen.append(dict(scope["headers"])[b"idempotency-key"])
        await app({**scope, "path": "/early"}, receive, send)

    def ask(client: Client) -> bytes:
        client.send(GET[:-2] + b"Idempotency-Key: \t a b \t \r\n\r\n")
        return client.until(b"0 bytes")

    async with serving(heads) as (_, connect):
        with closing(connect()) as client:
            await asyncio.to_thread(ask, client)
    assert seen == [b"a b"]


# ---- how long ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "start",
    [
        b"G",
        GET[:-2],
        b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n12345",
        CHUNKED + b"1\r\nx\r\n",
        GET[:-2] + b"X: ",
    ],
)
async def test_a_request_that_does_not_come_to_its_end_is_refused_in_time(monkeypatch, start):
    monkeypatch.setattr(module, "HEAD_S", 0.2)
    monkeypatch.setattr(module, "BODY_S", 0.2)
    counted = HTTP_REFUSED.labels("too_slow")._value.get()

    def ask(client: Client) -> bytes:
        client.send(start)
        return client.rest()

    is_refused(await talk(ask), 408, Reason.TOO_SLOW)
    assert HTTP_REFUSED.labels("too_slow")._value.get() == counted + 1


async def test_who_sends_a_little_now_and_then_does_not_win_time_by_it(monkeypatch):
    monkeypatch.setattr(module, "HEAD_S", 0.5)

    def ask(client: Client) -> bytes:
        client.send(GET[:-2])
        client.socket.settimeout(0.02)
        while True:
            try:
                return client.socket.recv(65536)
            except TimeoutError:
                client.send(b"X: x\r\n")

    is_refused(await talk(ask), 408, Reason.TOO_SLOW)


async def test_who_says_nothing_is_let_go_without_a_word(monkeypatch):
    monkeypatch.setattr(module, "HEAD_S", 0.2)
    monkeypatch.setattr(module, "KEEP_ALIVE_S", 0.2)

    def after_a_request(client: Client) -> bytes:
        client.send(GET)
        return client.rest()

    assert await talk(Client.rest) == b""
    assert (await talk(after_a_request)).endswith(b"0 bytes")


async def test_who_does_not_read_its_answer_is_let_go(monkeypatch):
    monkeypatch.setattr(module, "WRITE_S", 0.2)
    async with serving() as (server, connect):
        with closing(connect()) as client:
            client.send(b"GET /much HTTP/1.1\r\n\r\n")
            await true_soon(lambda: bool(server.server_state.total_requests))
            await true_soon(lambda: not server.server_state.connections)


async def test_who_reads_slowly_gets_everything():
    def ask(client: Client) -> int:
        client.send(b"GET /much HTTP/1.1\r\nConnection: close\r\n\r\n")
        return len(client.rest())

    assert await talk(ask) > 8 * MEGABYTE


# ---- how many ------------------------------------------------------------------------------------


async def test_connections_that_only_wait_are_bounded_and_keep_nobody_from_being_served():
    """The one that was waited for longest goes, so whoever comes and asks at once is answered."""
    async with serving(connections_max=20) as (server, connect):

        def crowd() -> list[Client]:
            half_sent = []
            for number in range(200):
                half_sent.append(connect())
                half_sent[-1].send(GET[:-2] if number % 2 else CHUNKED + b"1\r\n")
                if number % 10 == 0:
                    with closing(connect()) as another:
                        another.send(GET)
                        assert another.until(b"0 bytes").startswith(b"HTTP/1.1 200 ")
            return half_sent

        clients = await asyncio.to_thread(crowd)
        try:
            await true_soon(lambda: len(server.server_state.connections) <= 20)
            refused = await asyncio.to_thread(clients[0].rest)
            is_refused(refused, 503, Reason.OVERLOADED)
        finally:
            for client in clients:
                client.close()


async def test_where_all_are_being_answered_one_more_is_let_go():
    held = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await held.wait()
        await app(scope, receive, send)

    async with serving(slow, connections_max=3) as (server, connect), AsyncExitStack() as stack:
        asked = [stack.enter_context(closing(connect())) for _ in range(3)]
        for client in asked:
            client.send(GET)
        await true_soon(lambda: len(server.server_state.tasks) == 3)
        one_more = stack.enter_context(closing(connect()))
        assert await asyncio.to_thread(one_more.rest) == b""
        held.set()
        for client in asked:
            assert (await asyncio.to_thread(client.until, b"0 bytes")).startswith(b"HTTP/1.1 200")


# ---- what every answer says ----------------------------------------------------------------------


async def test_the_head_of_a_page_comes_without_the_page():
    def ask(client: Client) -> bytes:
        client.send(
            GET.replace(b"GET", b"HEAD"), GET.replace(HEAD, HEAD + b"Connection: close\r\n")
        )
        return client.rest()

    head, page, rest = (await talk(ask, served=Headed(app))).split(b"\r\n\r\n")
    assert b"content-length: 7" in head
    assert page.startswith(b"HTTP/1.1 200 ")
    assert rest == b"0 bytes"


@pytest.mark.parametrize(("hsts_s", "told"), [(0, None), (63072000, b"max-age=63072000")])
async def test_no_answer_may_be_taken_for_another_form_and_https_is_kept_where_it_is_set(
    hsts_s, told
):
    def ask(client: Client) -> bytes:
        client.send(GET)
        return client.until(b"0 bytes")

    answer = (await talk(ask, hsts_s=hsts_s)).lower()
    assert b"\r\nx-content-type-options: nosniff\r\n" in answer
    assert (b"strict-transport-security: " in answer) is (told is not None)
    assert told is None or b"strict-transport-security: " + told in answer
    assert b"\r\nserver: " not in answer
