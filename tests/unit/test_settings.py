"""A wrong setting is a sentence and exit status 2, and what opens a server is never shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from faust.auth import SASLCredentials, SSLCredentials
from pydantic import ValidationError
from typer.testing import CliRunner

from shared.ops.__main__ import app
from shared.runtime.settings import BrokerSettings, refused
from shared.runtime.wires import Broker
from tests.suites.certificates import Authority

CANARY = "canary-of-a-password"
LOGIN = {"KAFKA_SASL_USERNAME": "me", "KAFKA_SASL_PASSWORD": CANARY}


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
