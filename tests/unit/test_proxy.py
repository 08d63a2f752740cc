"""The reverse proxy's part is a configuration that nginx takes, and it knows our routes and bounds."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.runtime.http.changes import LISTENERS_MAX, LOOK_S, QUIET_LOOKS
from shared.runtime.http.face import BODY_BYTES_MAX
from shared.runtime.http.server import KEEP_ALIVE_S, URL_BYTES_MAX
from tests.suites.services import Aboard

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "proxy" / "nginx.conf"
TEXT = CONFIGURATION.read_text(encoding="utf-8")


def certificate(folder: Path) -> None:
    """A certificate of the shortest kind, for nginx to find."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "service-check.example")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(
        issuer_name=name, subject_name=name, public_key=key.public_key(), serial_number=1
    )
    made = made.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    signed = made.sign(key, hashes.SHA256())
    (folder / "tls.crt").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "tls.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))


def test_nginx_takes_the_configuration(tmp_path):
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    if nginx is None:
        pytest.skip("needs nginx")
    certificate(tmp_path)
    ours = tmp_path / "service-check.conf"
    ours.write_text(TEXT.replace("/etc/nginx/tls", str(tmp_path)))
    whole = tmp_path / "nginx.conf"
    whole.write_text(
        f"pid {tmp_path}/nginx.pid; error_log stderr; events {{}} http {{ include {ours}; }}"
    )
    done = subprocess.run(
        [nginx, "-t", "-p", str(tmp_path), "-c", str(whole)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


async def test_every_route_is_passed_to_the_service_that_has_it(aboard: Aboard):
    places = dict(
        re.findall(r"location (\S+) +\{[^}]* proxy_pass http://service_check_(\w+);\s+}", TEXT)
    )
    for service, app in aboard.apps.items():
        for path in app.api.openapi()["paths"]:
            longest = max((one for one in places if path.startswith(one)), key=len, default=None)
            assert longest is not None, path
            assert places[longest] == service, path


def test_its_bounds_are_no_larger_than_ours_and_it_keeps_connections_for_a_shorter_time():
    found = dict(re.findall(r"(\w+) (?:4 )?(\d+)k;", TEXT))
    assert int(found["client_max_body_size"]) * 1024 <= BODY_BYTES_MAX
    assert int(found["large_client_header_buffers"]) * 1024 <= URL_BYTES_MAX
    kept = re.findall(r"keepalive 64; keepalive_timeout (\d+)s;", TEXT)
    assert len(kept) == 5
    assert all(int(seconds) < KEEP_ALIVE_S for seconds in kept)


def test_who_follows_the_queue_is_told_at_once_and_counts_apart_from_all_other_connections():
    (live,) = re.findall(r"location /v1/complaints/live +\{([^}]*)}", TEXT)
    assert "proxy_buffering off;" in live
    (followers,) = re.findall(r"limit_conn service_check_followers (\d+);", live)
    assert int(followers) >= LISTENERS_MAX
    (silent_s,) = re.findall(r"proxy_read_timeout (\d+)s;", TEXT)
    assert int(silent_s) > QUIET_LOOKS * LOOK_S
