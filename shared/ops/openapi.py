"""Each service's routes as an OpenAPI document, without starting the service."""

from __future__ import annotations

import json
import secrets
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from shared.contracts.catalogue import SERVICES
from shared.ops.token import JWKS_FILE, demo_key


@cache
def rendered() -> Mapping[str, str]:
    """The documents by service, as JSON; they do not depend on the environment.

    Builds each service with dummy settings and keys and connects to nothing.
    """
    with TemporaryDirectory() as folder:
        demo_key(Path(folder))
        given = {
            "KAFKA_BOOTSTRAP_SERVERS": "nowhere.invalid:1",
            "REDIS_URL": "redis://nowhere.invalid",
            "master_key": b64encode(secrets.token_bytes(32)).decode(),
            "jwks": Path(folder) / JWKS_FILE,
        }
        return {service: _document(service, given) for service in SERVICES}


def _document(service: str, given: Mapping[str, object]) -> str:
    # Imported by name, as `python -m services.<name>` does: shared code imports no service.
    settings = import_module(f"services.{service}.settings").Settings(_env_prefix="UNSET_", **given)
    app = import_module(f"services.{service}.app").build(settings)
    return json.dumps(app.api.openapi(), indent=2, ensure_ascii=False) + "\n"
