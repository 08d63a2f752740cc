"""The operator's file of providers is whole, or the service does not start, and no secret is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.notifier.channels import providers_file
from services.notifier.channels.bounces import Relay
from services.notifier.channels.wires import FormWire, JsonWire
from shared.runtime.strict_yaml import BrokenFile
from tests.suites.services import FORM_SECRET, ROOT
from tests.suites.services import providers_file as written

KEY = "whsec_" + "a2" * 16


def test_the_file_says_how_each_provider_is_spoken_to(tmp_path: Path):
    found = providers_file.load(written(tmp_path))
    kinds = {name: type(one.spoken()) for name, one in found.items()}
    assert kinds == {"first": FormWire, "second": JsonWire, "returns": Relay}
    assert FORM_SECRET not in repr([one.spoken() for one in found.values()])
    assert FORM_SECRET not in repr(found)


def test_the_demos_file_has_none():
    assert providers_file.load(ROOT / "policy" / "providers.yaml") == {}


@pytest.mark.parametrize(
    ("provider", "why"),
    [
        ("{wire: fax}", "wire"),
        ('{wire: form, url: "http://a.example/", username: u, secret: canary}', "https://"),
        ('{wire: form, url: "https://a.example/", secret: canary}', "username is missing"),
        ('{wire: form, url: "https://a.example/", username: u}', "secret is missing"),
        ('{wire: json, url: "https://a.example/", secret: canary}', "shorter than 24"),
        ("{wire: relay, report_secret: whsec_AAAA}", "shorter than 24"),
        ("{wire: relay, report_secret: canary!}", "not base64"),
        ("{wire: relay, report_secret: 731731}", "report_secret"),
        (f"{{wire: relay, report_secret: {KEY}, ca: /none/ca.pem}}", "no certificates"),
        (f"{{wire: relay, report_secret: {KEY}, wired: so}}", "wired"),
    ],
)
def test_a_provider_that_is_not_whole_is_refused_without_showing_a_secret(
    tmp_path: Path, provider, why
):
    path = tmp_path / "providers.yaml"
    path.write_text(f"providers:\n  one: {provider}\n")
    with pytest.raises(BrokenFile) as broken:
        providers_file.load(path)
    assert why in str(broken.value)
    for secret in ("canary", "731731", KEY):
        assert secret not in str(broken.value)


def test_the_mail_servers_name_is_taken(tmp_path: Path):
    path = tmp_path / "providers.yaml"
    path.write_text(f"providers:\n  smtp: {{wire: relay, report_secret: {KEY}}}\n")
    with pytest.raises(BrokenFile, match="smtp"):
        providers_file.load(path)
