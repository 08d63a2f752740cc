"""A wrong setting is a sentence and exit status 2, and what opens a server is never shown."""

from __future__ import annotations

import os
import socket
import ssl
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as redis
from faust.auth import SASLCredentials, SSLCredentials
from pydantic import ValidationError
from typer.testing import CliRunner

from services.complaints.settings import Settings as ComplaintsSettings
from services.notifier.settings import Settings as NotifierSettings
from shared.ops.__main__ import app
from shared.runtime.engine.redis_store import RedisStore
from shared.runtime.service import settings_or_exit
from shared.runtime.settings import BrokerSettings, StoreSettings, refused
from shared.runtime.wires import Broker, Login
from tests.suites.certificates import Authority
from tests.suites.services import MASTER

CANARY = "canary-of-a-password"
LOGIN = {"KAFKA_SASL_USERNAME": "me", "KAFKA_SASL_PASSWORD": CANARY}
#: What every service needs.
NEEDED = {
    "KAFKA_BOOTSTRAP_SERVERS": "nowhere.invalid:1",
    "REDIS_URL": "redis://nowhere.invalid",
    "master_key": b64encode(MASTER).decode(),
    "jwks": "jwks.json",
}


@pytest.fixture
def ca(tmp_path: Path) -> str:
    return str(Authority(tmp_path).ca)


def broker(**given: str) -> Broker:
    return BrokerSettings(KAFKA_BOOTSTRAP_SERVERS="a:1,b:2", **given).broker


def wrong(**given: Any) -> list[str]:
    """What is said of settings that are wrong."""
    with pytest.raises(ValidationError) as raised:
        broker(**given)
    assert CANARY not in str(raised.value)
    return refused(raised.value)


def test_without_settings_kafka_is_spoken_to_in_the_clear_and_as_nobody():
    assert broker() == Broker("a:1,b:2")
    assert Broker("a:1,b:2").faust() == {
        "broker": ["kafka://a:1", "kafka://b:2"],
        "broker_credentials": None,
    }


def test_all_clients_of_kafka_get_the_same_login(ca):
    found = broker(KAFKA_SECURITY_PROTOCOL="SASL_SSL", KAFKA_SSL_CAFILE=ca, **LOGIN)
    tls = found.tls
    assert tls is not None and tls.check_hostname
    assert found.client() == {
        "bootstrap_servers": "a:1,b:2",
        "security_protocol": "SASL_SSL",
        "ssl_context": tls,
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "me",
        "sasl_plain_password": CANARY,
    }
    faust = found.faust()["broker_credentials"]
    assert isinstance(faust, SASLCredentials)
    assert (faust.username, faust.password, faust.ssl_context) == ("me", CANARY, tls)
    assert (faust.protocol.value, faust.mechanism.value) == ("SASL_SSL", "SCRAM-SHA-512")


def test_tls_and_a_login_are_also_there_alone(ca):
    by_tls = broker(KAFKA_SECURITY_PROTOCOL="SSL", KAFKA_SSL_CAFILE=ca)
    assert by_tls.client()["security_protocol"] == "SSL"
    assert isinstance(by_tls.faust()["broker_credentials"], SSLCredentials)
    named = broker(KAFKA_SECURITY_PROTOCOL="SASL_PLAINTEXT", **LOGIN)
    assert named.client()["security_protocol"] == "SASL_PLAINTEXT"
    assert named.faust()["broker_credentials"].protocol.value == "SASL_PLAINTEXT"


def test_the_password_is_in_nothing_that_is_printed():
    found = BrokerSettings(
        KAFKA_BOOTSTRAP_SERVERS="a:1", KAFKA_SECURITY_PROTOCOL="SASL_PLAINTEXT", **LOGIN
    )
    assert CANARY not in f"{found!r} {found} {found.broker!r} {found.model_dump(mode='json')}"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"KAFKA_SECURITY_PROTOCOL": CANARY},
            "KAFKA_SECURITY_PROTOCOL: Input should be 'PLAINTEXT', 'SSL', 'SASL_PLAINTEXT' or 'SASL_SSL'",
        ),
        (
            {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_USERNAME": "me"},
            "KAFKA_SECURITY_PROTOCOL is SASL_SSL, which needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD",
        ),
        # Whoever sets a password believes that it is used.
        (
            LOGIN,
            "KAFKA_SECURITY_PROTOCOL is PLAINTEXT, which logs in as nobody: set SASL_SSL, or no"
            " KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD",
        ),
        (
            {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_SASL_MECHANISM": "PLAIN", **LOGIN},
            "KAFKA_SASL_MECHANISM is PLAIN, which sends the password as it is: set"
            " KAFKA_SECURITY_PROTOCOL to SASL_SSL",
        ),
        (
            {"KAFKA_SSL_CAFILE": "ca.pem"},
            "KAFKA_SECURITY_PROTOCOL is PLAINTEXT, which uses no TLS: set SSL or SASL_SSL, or no"
            " KAFKA_SSL_CAFILE",
        ),
        (
            {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CAFILE": "/none/ca.pem"},
            "KAFKA_SSL_CAFILE: no certificates can be read from /none/ca.pem",
        ),
    ],
)
def test_a_contradiction_is_said_in_a_sentence(given, said):
    assert wrong(**given) == [said]


def test_a_file_without_certificates_is_said(tmp_path):
    path = tmp_path / "ca.pem"
    path.write_text(CANARY, encoding="utf-8")
    assert wrong(KAFKA_SECURITY_PROTOCOL="SSL", KAFKA_SSL_CAFILE=path) == [
        f"KAFKA_SSL_CAFILE: no certificates can be read from {path}"
    ]


def test_an_operators_command_says_it_too_and_ends_with_2():
    given = {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_PASSWORD": CANARY}
    answer = CliRunner().invoke(app, ["topics", "show", "--bootstrap", "a:1"], env=given)
    assert (answer.exit_code, answer.stderr) == (
        2,
        "KAFKA_SECURITY_PROTOCOL is SASL_SSL, which needs KAFKA_SASL_USERNAME and"
        " KAFKA_SASL_PASSWORD\n",
    )


# ---- Redis ---------------------------------------------------------------------------------------


def test_redis_is_reached_by_tls_as_its_user_and_commands_are_still_packed_in_c(ca):
    found = StoreSettings(
        REDIS_URL="rediss://store:6379/1",
        REDIS_USERNAME="me",
        REDIS_PASSWORD=CANARY,
        REDIS_SSL_CAFILE=ca,
    )
    assert CANARY not in f"{found!r} {found.store!r} {found.model_dump(mode='json')}"
    connection = RedisStore(found.store, "x")._redis.connection_pool.make_connection()
    assert isinstance(connection, redis.SSLConnection)
    assert (connection.host, connection.db) == ("store", 1)
    assert (connection.username, connection.password) == ("me", CANARY)
    assert connection.ssl_context.get().verify_mode == ssl.CERT_REQUIRED
    assert connection.check_hostname
    assert connection.pack_command("GET", "a") == [b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"REDIS_URL": CANARY}, "REDIS_URL must be like redis://host:6379/0 or rediss://…"),
        # redis-py would say a part of the password, where a character of it should be escaped.
        (
            {"REDIS_URL": "redis://me:can/ary@store:6379/0"},
            "REDIS_URL must be like redis://host:6379/0 or rediss://…",
        ),
        ({"REDIS_USERNAME": "me"}, "REDIS_USERNAME is set, which needs REDIS_PASSWORD"),
        (
            {"REDIS_SSL_CAFILE": "ca.pem"},
            "REDIS_SSL_CAFILE is set, but REDIS_URL is not rediss://…",
        ),
        (
            {"REDIS_URL": "rediss://store", "REDIS_SSL_CAFILE": "/none/ca.pem"},
            "REDIS_SSL_CAFILE: no certificates can be read from /none/ca.pem",
        ),
    ],
)
def test_what_contradicts_about_redis_is_said_in_a_sentence(given, said):
    with pytest.raises(ValidationError) as raised:
        StoreSettings(**{"REDIS_URL": "redis://store", **given})
    assert refused(raised.value) == [said]
    assert not any(part in str(raised.value) for part in (CANARY, "can/ary", "'can'"))


# ---- mail ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"smtp_username": "me"},
            "SERVICE_CHECK_SMTP_USERNAME and SERVICE_CHECK_SMTP_PASSWORD: set both or neither",
        ),
        (
            {"smtp_username": "me", "smtp_password": CANARY},
            "SERVICE_CHECK_SMTP_PASSWORD would be sent in the clear: set SERVICE_CHECK_SMTP_TLS to"
            " starttls or tls",
        ),
        (
            {"smtp_ca": "/none/ca.pem"},
            "SERVICE_CHECK_SMTP_CA: no certificates can be read from /none/ca.pem",
        ),
        (
            {"smtp_tls": CANARY},
            "SERVICE_CHECK_SMTP_TLS: Input should be 'offered', 'starttls', 'tls' or 'none'",
        ),
    ],
)
def test_what_contradicts_about_mail_is_said_in_a_sentence(given, said):
    with pytest.raises(ValidationError) as raised:
        NotifierSettings(**NEEDED, **given)
    assert refused(raised.value) == [said]
    assert CANARY not in str(raised.value)


# ---- secrets from files --------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    path = tmp_path / "secrets"
    path.mkdir()
    monkeypatch.setenv("SERVICE_CHECK_SECRETS_DIR", str(path))
    return path


def mounted(folder: Path, name: str, secret: bytes) -> None:
    """A file as Kubernetes mounts it: a link to one in a folder that is exchanged as a whole."""
    version = folder / "..2026_11_29"
    version.mkdir(exist_ok=True)
    (version / name).write_bytes(secret)
    if not (folder / "..data").is_symlink():
        (folder / "..data").symlink_to(version.name)
    (folder / name).symlink_to(Path("..data") / name)


def test_a_secret_is_read_from_a_file_of_its_name_and_a_variable_goes_before_it(
    folder, monkeypatch
):
    mounted(folder, "KAFKA_SASL_PASSWORD", f"{CANARY}\n".encode())
    mounted(folder, "kafka_sasl_username", b"me")
    given = {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT"}
    assert broker(**given).login == Login("SCRAM-SHA-512", "me", CANARY)
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", "")
    assert broker(**given).login == Login("SCRAM-SHA-512", "me", CANARY)
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", "another")
    assert broker(**given).login == Login("SCRAM-SHA-512", "me", "another")


def test_a_folder_of_secrets_that_is_not_there_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("SERVICE_CHECK_SECRETS_DIR", f"{tmp_path}/none")
    assert wrong() == [f"SERVICE_CHECK_SECRETS_DIR: there is no folder {tmp_path}/none"]


def test_a_file_that_is_no_text_is_said_without_its_bytes(folder, capsys):
    mounted(folder, "SERVICE_CHECK_MASTER_KEY", CANARY.encode() + b"\xff")
    with pytest.raises(SystemExit) as ended:
        settings_or_exit(ComplaintsSettings)
    said = capsys.readouterr().err
    assert (ended.value.code, said.count("\n")) == (2, 1)
    assert said.startswith("SERVICE_CHECK_SECRETS_DIR: a file in it cannot be read as text:")
    assert "master_key" in said and CANARY not in said


@pytest.mark.parametrize("key", [CANARY, b64encode(b"short").decode(), "a" * 43])
def test_a_master_key_of_another_form_ends_the_start_with_a_sentence(folder, capsys, key):
    mounted(folder, "SERVICE_CHECK_MASTER_KEY", key.encode())
    given = {name: value for name, value in NEEDED.items() if name != "master_key"}
    with pytest.raises(SystemExit) as ended:
        settings_or_exit(lambda: ComplaintsSettings(**given))
    assert ended.value.code == 2
    assert capsys.readouterr().err == "SERVICE_CHECK_MASTER_KEY: must be 32 bytes in base64\n"


# ---- leases --------------------------------------------------------------------------------------


def test_two_processes_with_one_pid_on_hosts_of_one_name_hold_leases_under_two_names(monkeypatch):
    """As two containers may be; with one name both would publish one outbox."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    monkeypatch.setattr(socket, "gethostname", lambda: "service")
    first, second = (ComplaintsSettings(**NEEDED).holder for _ in range(2))
    assert first != second
    assert first.startswith("service-1-")
