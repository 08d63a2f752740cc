"""Keys by URL: rotated without a restart, kept while the issuer is away and while tokens live."""

from __future__ import annotations

import json
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey
from structlog.testing import capture_logs
from typer.testing import CliRunner

from services.complaints.app import build
from services.complaints.customer import commands
from services.complaints.settings import Settings
from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected
from shared.runtime.http.auth import LOOK_S, Authenticator
from shared.runtime.http.issuer import BYTES_MAX, GONE_MAX, Issuer
from shared.runtime.service import NoKeys
from shared.runtime.settings import tls_of
from shared.testing.clock import START, Clock
from tests.suites.certificates import Authority
from tests.suites.services import MASTER

KEPT_S = 3600
FIRST, SECOND = (OKPKey.generate_key("Ed25519", auto_kid=True) for _ in range(2))


def published(*keys: OKPKey) -> bytes:
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys]}).encode()


class Publisher:
    """An issuer's server: what it answers, and how often it was asked."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        self.status, self.body, self.asked = 200, published(FIRST), 0
        publisher = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                publisher.asked += 1
                self.send_response(publisher.status)
                self.send_header("Location", "https://elsewhere.invalid/")
                self.end_headers()
                self.wfile.write(publisher.body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.authority.server("issuer"))
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}/keys"


@pytest.fixture
def publisher(tmp_path, monkeypatch) -> Iterator[Publisher]:
    monkeypatch.setenv("no_proxy", "*")
    one = Publisher(tmp_path)
    thread = threading.Thread(target=one.server.serve_forever, args=(0.05,))
    thread.start()
    yield one
    one.server.shutdown()
    thread.join()
    one.server.server_close()


def issuer_of(publisher: Publisher, clock: Clock) -> Issuer:
    return Issuer(publisher.url, tls_of(publisher.authority.ca), clock, KEPT_S)


def kids(issuer: Issuer) -> list[str]:
    return [key["kid"] for key in json.loads(issuer.read())["keys"]]


def signed(key: OKPKey) -> str:
    claims = {
        "sub": "e-1", "kind": "employee", "site": "s", "aud": "service-check", "iss": "local-demo",
        "exp": int(START.timestamp()) + KEPT_S,
    }  # fmt: skip
    return jwt.encode({"alg": "Ed25519", "kid": key.kid}, claims, key, algorithms=["Ed25519"])


async def test_a_new_key_holds_without_a_restart_and_an_old_one_until_its_tokens_have_ended(
    publisher,
):
    clock = Clock()
    issuer = issuer_of(publisher, clock)
    one = Authenticator(issuer.read, audience="service-check", issuer="local-demo", now=clock)
    assert one.authenticate(signed(FIRST))
    with pytest.raises(Rejected, match=Reason.UNAUTHENTICATED.value):
        one.authenticate(signed(SECOND))
    publisher.body = published(SECOND)
    await issuer.fetch()
    clock.advance(timedelta(seconds=LOOK_S))
    assert one.authenticate(signed(FIRST)) == one.authenticate(signed(SECOND))
    clock.advance(timedelta(seconds=KEPT_S - LOOK_S))
    assert kids(issuer) == [SECOND.kid]
    # A process that starts knows what is published alone: so a stolen key is withdrawn.
    assert kids(issuer_of(publisher, clock)) == [SECOND.kid]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, published(SECOND)),
        (302, published(SECOND)),
        (200, b""),
        (200, b'{"keys": []}'),
        (200, b"\xff"),
        (200, published(SECOND) + b" " * BYTES_MAX),
    ],
)
async def test_an_answer_that_is_not_the_keys_changes_nothing_and_is_logged(
    publisher, status, body
):
    issuer = issuer_of(publisher, Clock())
    publisher.status, publisher.body = status, body
    with capture_logs() as logs:
        await issuer.fetch()
    assert (kids(issuer), [line["event"] for line in logs]) == ([FIRST.kid], ["jwks_unreadable"])


async def test_however_often_keys_change_a_bounded_number_is_kept(publisher):
    issuer = issuer_of(publisher, Clock())
    for _ in range(GONE_MAX + 2):
        publisher.body = published(OKPKey.generate_key("Ed25519", auto_kid=True))
        await issuer.fetch()
    assert len(kids(issuer)) == 1 + GONE_MAX


def settings(publisher: Publisher, **more: object) -> Settings:
    return Settings(
        KAFKA_BOOTSTRAP_SERVERS="nowhere.invalid:1",
        REDIS_URL="redis://nowhere.invalid",
        master_key=b64encode(MASTER).decode(),
        jwks=publisher.url,
        **more,
    )


def test_a_service_fetches_the_keys_of_a_url_and_trusts_the_authority_of_its_settings(publisher):
    app = build(settings(publisher, jwks_ca=publisher.authority.ca))
    assert app.parts.issuer is not None
    assert kids(app.parts.issuer) == [FIRST.kid]
    with pytest.raises(NoKeys, match=f"SERVICE_CHECK_JWKS: .* {publisher.url}"):
        build(settings(publisher))


def test_a_command_without_the_keys_is_a_sentence_and_exit_status_2(tmp_path, monkeypatch):
    # It would log to what stands in for standard error here, which is closed behind this test.
    monkeypatch.setattr(commands, "configure", lambda _: None)
    nowhere = str(tmp_path / "jwks.json")
    env = {
        "KAFKA_BOOTSTRAP_SERVERS": "nowhere.invalid:1",
        "REDIS_URL": "redis://nowhere.invalid",
        "SERVICE_CHECK_MASTER_KEY": b64encode(MASTER).decode(),
        "SERVICE_CHECK_JWKS": nowhere,
    }
    told = CliRunner().invoke(commands.app, ["customer", "erasure", "c-1"], env=env)
    said = f"SERVICE_CHECK_JWKS: no public keys (JWKS) can be read from {nowhere}\n"
    assert (told.exit_code, told.stderr) == (2, said)


def test_keys_in_the_clear_are_refused(publisher):
    publisher.url = "http://issuer.example/keys"
    with pytest.raises(ValueError, match="must be a file or an https:// URL"):
        settings(publisher)
