"""Write the parts of `deploy/` that follow from the catalogue, the settings and the routes.

A new service, topic or route is a new row in the catalogue or in the code; `python -m shared.ops docs`
then writes its manifests. Everything else in `deploy/` is written by hand.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from shared.contracts.catalogue import (
    OPERATOR,
    OTHER_SYSTEMS,
    SERVICES,
    TOPICS,
    Topic,
    dead_letters,
    produced,
    subscriptions,
)
from shared.contracts.topics import TopicRaised
from shared.ops import dashboard, openapi
from shared.ops.backup import AUDIT, BACKED_UP, ERASURES, VAULT
from shared.ops.lock import runtime_lock
from shared.ops.token import JWKS_FILE, RUN_DIR, demo_key
from shared.ops.topics import REPLICATION_SAFE, configs
from shared.runtime.settings import PREFIX, BrokerSettings, RuntimeSettings, StoreSettings

ROOT = Path(__file__).parents[2]
K8S = Path("deploy/k8s")
MONITORING = Path("deploy/monitoring")
NOTICE = "# Generated: `python -m shared.ops docs`. Do not edit.\n"
NAMESPACE = "service-check"
#: Partitions of each topic in a cluster. A key keeps its partition only while this number stays, so it
#: leaves room: as many workers as one service can ever have without moving keys.
PARTITIONS = 12
#: Two of each, so that one may go at any time.
REPLICAS_MIN = 2
#: Records in a partition that wait before another worker is worth its start.
LAG_PER_WORKER = 1000
#: How long a load must be gone before a worker is taken away: each change moves partitions.
SCALE_DOWN_AFTER_S = 1800
LABEL = "app.kubernetes.io/name"
CLUSTER_LABEL = {"strimzi.io/cluster": "service-check"}
BROKERS = "service-check-kafka-bootstrap"
#: What a service may do in the store: its own keys and channel, and INFO, which tells a restart.
#: SCAN, which a rebuild needs, shows the names of all keys; no name holds personal data.
STORE_RIGHTS = "-@all +@read +@write +@pubsub +@connection +@transaction +eval +evalsha +script|load -@dangerous -@admin +info"

#: What the operator may do there: have the file of users read again, and look at it. No key and no channel.
OPERATORS_RIGHTS = "resetchannels -@all +acl|load +acl|list"
#: The service that keeps sessions of browsers in the store, and has no topic.
WEB = "web"
#: Whoever has a password at the store.
STORE_USERS = (*SERVICES, WEB, OPERATOR)
#: A password's hash in the file of users, and of the one beside it while it is replaced, as a template of External Secrets.
HASHES = "#{{{{ .{0} | sha256sum }}}}{{{{ if .{0}_also }}}} #{{{{ .{0}_also | sha256sum }}}}{{{{ end }}}}"

#: The user that the store itself reads its file as: off, so that nobody can be it, and with every right.
STORE_DEFAULT = "user default off ~* &* +@all"

#: The values that an operator chooses, by the name of the setting: keys of the ConfigMap `service-check`.
CHOSEN = {
    "kafka_bootstrap": "kafka-bootstrap-servers",
    "redis_url": "redis-url",
    "jwt_audience": "jwt-audience",
    "jwt_issuer": "jwt-issuer",
    "hsts_s": "hsts-s",
    "backups_kept_days": "backups-kept-days",
    "client_address_header": "client-address-header",
    "smtp_host": "smtp-host",
    "smtp_port": "smtp-port",
    "smtp_tls": "smtp-tls",
    "smtp_username": "smtp-username",
    "reply_address": "reply-address",
}
#: Settings that base/service has already, the same for each service.
IN_BASE = {"face", "host", "port", "ops_port"}
#: What Strimzi calls its Secret with the authority that signs the brokers' certificates.
KAFKA_CA = "service-check-cluster-ca-cert"
#: Whoever scales by lag; its rights are to look.
SCALER = "keda"
#: Who takes backups, and who restores one: users of their own, because no other operator may read or write keys.
BACKUP, RESTORE = "backup", "restore"
#: Files by the name of the setting, and the folder that each is mounted in.
FOLDERS = {
    "jwks": "/etc/service-check/issuer",
    "mailboxes": "/etc/service-check/mailboxes",
    "providers": "/etc/service-check/providers",
    "webhooks": "/etc/service-check/webhooks",
    "mail_accounts": "/etc/service-check/mail-accounts",
    "signing_key": "/etc/service-check/signing-key",
    "kafka_ca": "/etc/service-check/kafka",
}
FILES = {
    "jwks": "jwks.json",
    "mailboxes": "mailboxes.yaml",
    "providers": "providers.yaml",
    "webhooks": "webhooks.yaml",
    "mail_accounts": "mail-accounts.yaml",
    "signing_key": "signing-key.pem",
    "kafka_ca": "ca.crt",
}
#: Settings that are files from a secret that a service has for itself, and what the secret is called.
OWN_FILES = {
    "mailboxes": "mailboxes",
    "providers": "providers",
    "webhooks": "webhooks",
    "mail_accounts": "mail-accounts",
    "signing_key": "signing-key",
}
#: Of those, whose files are all properties of one entry in the operator's store: accounts have passwords beside them.
WHOLE_ENTRIES = {"mail_accounts"}
#: Where the secrets of a service lie, one file each. No secret is in an environment variable, which a child
#: process inherits and a crash report may hold.
SECRETS_FOLDER = "/etc/service-check/secrets"
#: Secret and key of each setting that is secret; `{}` is the service.
SECRETS = {
    "kafka_password": ("{}", "password"),  # Strimzi's Secret of the user
    "redis_password": ("{}-store", "password"),
    "master_key": ("master-key", "key"),
    "wrapping_key": ("master-key", "wrapping"),
    "wrapping_key_also": ("master-key", "wrapping-also"),
    "smtp_password": ("{}-mail", "password"),
}
#: Secrets that there may be none of: keys that wrap are there only while keys are replaced or after it, and a
#: mail server may ask for no login.
OPTIONAL = {"wrapping_key", "wrapping_key_also", "smtp_password"}
#: Readable by the user and the group that services run as.
SECRET_MODE = 0o440

Document = dict[str, Any]


def rendered() -> dict[Path, str]:
    """Every generated file of `deploy/`, by its path from the root of the repository.

    Raises LookupError for a required setting of a service whose value comes from nowhere.
    """
    components = K8S / "components"
    files: dict[Path, str] = {
        K8S / "base/services/kustomization.yaml": _written(
            [_kustomization(resources=list(SERVICES))]
        ),
        components / "kafka-strimzi/topics.yaml": _written(map(_topic, TOPICS)),
        components / "kafka-strimzi/users.yaml": _written(_users()),
        components / "keda/scaledobjects.yaml": _written(
            [*map(_scaled_object, SERVICES), *_scalers_login()]
        ),
        components / "gateway/routes.yaml": _written(_routes()),
        components / "external-secrets/externalsecrets.yaml": _written(_external_secrets()),
        components / "monitoring/rules.yaml": _written([_rules()]),
        components / "monitoring/dashboard.yaml": _written([_dashboard()]),
        MONITORING / "dashboards/service-check.json": dashboard.text(),
        MONITORING / "dashboards/service-check-measures.json": dashboard.measures(),
        MONITORING / "prometheus.yaml": _written([_prometheus()]),
        Path("deploy/compose.yaml"): NOTICE + _source("deploy/compose.in.yaml") + _composed(),
        Path("deploy/images/requirements.txt"): NOTICE
        + runtime_lock(*(_source(name) for name in ("requirements.in", "requirements.txt"))),
    }
    for service in SERVICES:
        files |= _service(service)
    return files


def orphans(root: Path) -> list[Path]:
    """Folders of services that are no longer in the catalogue: their files, from the root."""
    folder = root / K8S / "base/services"
    return [
        path.relative_to(root)
        for path in sorted(folder.glob("*/*.yaml"))
        if path.parent.name not in SERVICES
    ]


def _source(path: Path | str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def _written(documents: Iterable[Document]) -> str:
    return NOTICE + "---\n".join(
        yaml.safe_dump(one, sort_keys=False, allow_unicode=True, width=110) for one in documents
    )


def _document(version: str, kind: str, name: str, spec: object, **metadata: object) -> Document:
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, **metadata},
        "spec": spec,
    }


def _kustomization(**parts: object) -> Document:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        **parts,
    }


# Services ----------------------------------------------------------------------------------------


def settings_model(service: str) -> type[RuntimeSettings]:
    """The class of a service's settings, imported by name, because shared code imports no service."""
    found: type[RuntimeSettings] = import_module(f"services.{service}.settings").Settings
    return found


def settings_of(service: str) -> Mapping[str, FieldInfo]:
    """The settings of a service by their field's name."""
    return settings_model(service).model_fields


def variable(name: str, field: FieldInfo) -> str:
    """The environment variable of a setting."""
    return str(field.validation_alias or f"SERVICE_CHECK_{name.upper()}")


def is_secret(field: FieldInfo) -> bool:
    """Whether a setting is never printed."""
    return SecretStr in (field.annotation, *get_args(field.annotation))


def environment(service: str) -> list[Document]:
    """Where each setting of a service comes from that is no secret, in the order of its settings.

    Settings that are not listed keep their default. Raises LookupError for a required one that has no
    source here.
    """
    found = []
    for name, field in settings_of(service).items():
        value: Document = {}
        own = {
            "secrets_dir": SECRETS_FOLDER,
            "kafka_security": "SASL_SSL",
            "kafka_username": service,
            "redis_username": service,
        }
        chosen = "public-url" if name.endswith("_url") else ""
        if chosen := CHOSEN.get(name, chosen):
            reference = {"name": "service-check", "key": chosen}
            value = {"valueFrom": {"configMapKeyRef": reference}}
        elif name in own:
            value = {"value": own[name]}
        elif name in FOLDERS:
            value = {"value": f"{FOLDERS[name]}/{FILES[name]}"}
        elif field.is_required() and not is_secret(field) and name not in IN_BASE:
            msg = f"say in {__name__} where {variable(name, field)} of {service} comes from"
            raise LookupError(msg)
        if value:
            found.append({"name": variable(name, field), **value})
    return found


def secret_files(service: str, wanted: Iterable[str]) -> Document:
    """The volume with those secrets of a service that are wanted, each in a file named after its variable.

    Raises LookupError for a secret that has no source here.
    """
    sources = []
    for name, field in settings_of(service).items():
        if name not in wanted or not is_secret(field):
            continue
        if name not in SECRETS:
            msg = f"say in {__name__} where the secret {variable(name, field)} comes from"
            raise LookupError(msg)
        secret, key = SECRETS[name]
        one: Document = {"name": secret.format(service)}
        one["items"] = [{"key": key, "path": variable(name, field)}]
        if name in OPTIONAL:
            one["optional"] = True
        sources.append({"secret": one})
    return {"name": "secrets", "projected": {"defaultMode": SECRET_MODE, "sources": sources}}


def _service(service: str) -> dict[Path, str]:
    """The folder of a service: what it adds to base/service."""
    folder = K8S / "base/services" / service
    variables = environment(service)
    secret_mount = {"name": "secrets", "mountPath": SECRETS_FOLDER, "readOnly": True}
    container: Document = {
        "name": "service",
        "args": [f"services.{service}"],
        "env": variables,
        "volumeMounts": [secret_mount],
    }
    pod: Document = {
        "containers": [container],
        "volumes": [secret_files(service, settings_of(service))],
    }
    for setting, name in OWN_FILES.items():
        if setting in settings_of(service):
            where = {"name": name, "mountPath": FOLDERS[setting], "readOnly": True}
            container["volumeMounts"].append(where)
            volume = {"name": name, "secret": {"secretName": f"{service}-{name}"}}
            pod["volumes"].append(volume)
    # A rebuild asks for nothing but the topics and the store.
    needed = BrokerSettings.model_fields | StoreSettings.model_fields
    named = {variable(*item) for item in needed.items()}
    operation = {
        "name": "operation",
        "args": ["shared.ops", "rebuild", service],
        "env": [one for one in variables if one["name"] in named],
        "volumeMounts": [secret_mount],
    }
    rebuild = {"containers": [operation], "volumes": [secret_files(service, needed)]}
    job = {"spec": {"template": {"spec": rebuild}}}
    kustomization = _kustomization(
        namePrefix=f"{service}-",
        resources=["../../service"],
        labels=[{"pairs": {LABEL: service}, "includeSelectors": True, "includeTemplates": True}],
        patches=[
            {"target": {"kind": "Deployment"}, "path": "settings.yaml"},
            {"target": {"kind": "CronJob"}, "path": "rebuild.yaml"},
        ],
    )
    return {
        folder / "kustomization.yaml": _written([kustomization]),
        folder / "settings.yaml": _written(
            [_document("apps/v1", "Deployment", "any", {"template": {"spec": pod}})]
        ),
        folder / "rebuild.yaml": _written(
            [_document("batch/v1", "CronJob", "any", {"jobTemplate": job})]
        ),
    }


# Kafka -------------------------------------------------------------------------------------------


def _topic(topic: Topic) -> Document:
    spec = {
        "partitions": PARTITIONS,
        "replicas": REPLICATION_SAFE,
        "config": configs(topic, REPLICATION_SAFE),
    }
    return _document("kafka.strimzi.io/v1", "KafkaTopic", topic.name, spec, labels=CLUSTER_LABEL)


def rights(who: str) -> dict[str, set[str]]:
    """What a program may do on each topic: exactly what the catalogue says.

    A service also reads its own topic, with which it compares its store, and writes its dead letters, of which
    it reads those that are sent again, and which topics were given more partitions. It may have every topic described, because a rebuild looks whether all
    are there first: names and numbers. The operator reads dead letters, the last fact of each service and what
    it publishes, to find the next version, compares all topics with the catalogue, and gives some more partitions. It has no right to the vault:
    a backup reads the compacted topics, and a restore writes them, and reads who was erased and how far audit came.
    """
    found: dict[str, set[str]] = {}
    for fact in produced(who):
        if who in SERVICES or fact.TOPIC != VAULT:
            found.setdefault(fact.TOPIC, set()).update(("Write", "Describe"))
    if who == BACKUP:
        found |= {name: {"Read", "Describe"} for name in BACKED_UP} | {ERASURES: {"Describe"}}
    if who == RESTORE:
        found |= {name: {"Read", "Write", "Describe"} for name in BACKED_UP}
        found |= {name: {"Read", "Describe"} for name in (ERASURES, AUDIT)}
    if who in SERVICES:
        for name in (*subscriptions(who), f"recovery.{who}.v1"):
            found.setdefault(name, set()).add("Read")
        found[dead_letters(who)] = {"Read", "Write", "Describe"}
        found.setdefault(TopicRaised.TOPIC, set()).add("Read")
    if who in SERVICES or who == SCALER:
        for topic in TOPICS:
            found.setdefault(topic.name, set()).add("Describe")
    if who == OPERATOR:
        facts = (f"recovery.{service}.v1" for service in SERVICES)
        for name in (*found, *map(dead_letters, SERVICES), *facts):
            found.setdefault(name, set()).add("Read")
        for one in TOPICS:
            more = ("Alter",) * one.grows
            found.setdefault(one.name, set()).update(("Describe", "DescribeConfigs", *more))
    return found


def _users() -> list[Document]:
    return [
        _document(
            "kafka.strimzi.io/v1",
            "KafkaUser",
            {OTHER_SYSTEMS: "publisher"}.get(who, who),
            {
                "authentication": {"type": "scram-sha-512"},
                "authorization": {"type": "simple", "acls": _acls(who)},
            },
            labels=CLUSTER_LABEL,
        )
        for who in (*SERVICES, OPERATOR, BACKUP, RESTORE, OTHER_SYSTEMS, SCALER)
    ]


def _acls(who: str) -> list[Document]:
    order = [topic.name for topic in TOPICS]
    found = [
        _right("topic", topic, sorted(operations))
        for topic, operations in sorted(rights(who).items(), key=lambda item: order.index(item[0]))
    ]
    groups = {service: [(service, "Read")] for service in SERVICES}
    for one in (SCALER, OPERATOR, RESTORE):
        groups[one] = [(service, "Describe") for service in SERVICES]
    more = [_right("group", f"recovery-{name}", [right]) for name, right in groups.get(who, [])]
    return [*found, *more]


def _right(kind: str, name: str, operations: list[str]) -> Document:
    resource = {"type": kind, "name": name, "patternType": "literal"}
    return {"resource": resource, "operations": operations}


def _scaled_object(service: str) -> Document:
    """Workers by how far the group is behind on the topics that are not compacted."""
    lasting = {topic.name for topic in TOPICS if topic.cleanup == "delete"}
    triggers = [
        {
            "type": "kafka",
            "metadata": {
                "bootstrapServers": f"{BROKERS}.{NAMESPACE}.svc:9093",
                "consumerGroup": f"recovery-{service}",
                "topic": topic,
                "lagThreshold": str(LAG_PER_WORKER),
                "offsetResetPolicy": "earliest",
                "sasl": "scram_sha512",
                "tls": "enable",
            },
            "authenticationRef": {"name": "kafka-scaler"},
        }
        for topic in subscriptions(service)
        if topic in lasting
    ]
    down = {
        "stabilizationWindowSeconds": SCALE_DOWN_AFTER_S,
        "policies": [{"type": "Pods", "value": 1, "periodSeconds": 300}],
    }
    spec = {
        "scaleTargetRef": {"name": f"{service}-stream"},
        "minReplicaCount": REPLICAS_MIN,
        "maxReplicaCount": PARTITIONS,
        "fallback": {"failureThreshold": 3, "replicas": 2 * REPLICAS_MIN},
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": {"scaleDown": down}}},
        "triggers": triggers,
    }
    return _document("keda.sh/v1alpha1", "ScaledObject", f"{service}-stream", spec)


def _scalers_login() -> list[Document]:
    """How KEDA logs in at Kafka, and whom it trusts; the name it has is no secret."""
    name = "kafka-scaler"
    secret = [("password", SCALER, "password"), ("ca", KAFKA_CA, FILES["kafka_ca"])]
    spec = {
        "configMapTargetRef": [{"parameter": "username", "name": name, "key": "username"}],
        "secretTargetRef": [{"parameter": p, "name": n, "key": k} for p, n, k in secret],
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name},
            "data": {"username": SCALER},
        },
        _document("keda.sh/v1alpha1", "TriggerAuthentication", name, spec),
    ]


# HTTP --------------------------------------------------------------------------------------------


def prefixes(service: str) -> list[str]:
    """The shortest paths that all routes of a service begin with, each whole up to its first parameter."""
    found = sorted(_begin(path) for path in json.loads(openapi.rendered()[service])["paths"])
    shortest = [one for one in found if not any(one.startswith(f"{other}/") for other in found)]
    return list(dict.fromkeys(shortest))


def streamed(service: str) -> list[str]:
    """What the paths of a service's streams begin with, whose answers go on for hours."""
    paths = json.loads(openapi.rendered()[service])["paths"]
    return sorted(
        _begin(path)
        for path, operations in paths.items()
        if any(
            "text/event-stream" in str(one["responses"]["200"])
            for one in operations.values()
            if "200" in one["responses"]
        )
    )


def _begin(path: str) -> str:
    return path.partition("{")[0].rstrip("/")


def _routes() -> list[Document]:
    found = []
    for service in SERVICES:
        if not prefixes(service):  # a service may have no route of its own
            continue
        long = streamed(service)
        short = [prefix for prefix in prefixes(service) if prefix not in long]
        # Without a word some gateways end an answer after a quarter of a minute.
        rules = [
            *([_rule(service, short)] if short else []),
            *([{**_rule(service, long), "timeouts": {"request": "0s"}}] if long else []),
        ]
        spec = {
            "parentRefs": [{"name": "service-check", "sectionName": "https"}],
            "hostnames": ["service-check.example"],
            "rules": rules,
        }
        found.append(_document("gateway.networking.k8s.io/v1", "HTTPRoute", f"{service}-api", spec))
    return found


def _rule(service: str, begins: Sequence[str]) -> dict[str, Any]:
    """Paths that begin so lead to the service's API."""
    return {
        "matches": [{"path": {"type": "PathPrefix", "value": prefix}} for prefix in begins],
        "backendRefs": [{"name": f"{service}-api", "port": 8080}],
    }


# Secrets -----------------------------------------------------------------------------------------


def store_user(user: str, passwords: str) -> str:
    """The line of a user in the store's file of users; `passwords` as `hashed` gives them."""
    own = f"~{user}:* &{user}:* {STORE_RIGHTS}"
    return f"user {user} on {passwords} {OPERATORS_RIGHTS if user == OPERATOR else own}"


def store_users(passwords: Mapping[str, str]) -> str:
    """The store's file of users: one per service, the operator, and nobody without a password.

    A store that starts reads its file as the default user, with that user's rights in a transaction: without
    them it would leave out every transaction, and so what services wrote. Nobody can log in as that user.
    """
    lines = [store_user(user, passwords[user]) for user in STORE_USERS]
    return "\n".join([STORE_DEFAULT, *lines]) + "\n"


def hashed(*passwords: str) -> str:
    """Passwords as the store's file of users has them."""
    return " ".join(f"#{hashlib.sha256(one.encode()).hexdigest()}" for one in passwords)


def own_files() -> Iterator[tuple[str, str, str]]:
    """Each service with a file of its own, the file's setting, and what its secret is called."""
    for setting, name in OWN_FILES.items():
        for service in SERVICES:
            if setting in settings_of(service):
                yield service, setting, name


def _external_secrets() -> list[Document]:
    """Each secret of a workload, from the operator's store."""
    whole: dict[str, tuple[dict[str, tuple[str, str]], Mapping[str, str] | None]] = {
        "master-key": ({"key": ("master-key", "key")}, None),
        "issuer-keys": ({FILES["jwks"]: ("issuer-keys", "jwks")}, None),
        **{
            f"{service}-{name}": ({FILES[setting]: (name, "file")}, None)
            for service, setting, name in own_files()
            if setting not in WHOLE_ENTRIES
        },
        **{
            f"{who}-store": ({"password": (f"store/{who}", "password")}, None)
            for who in STORE_USERS
        },
        **{
            f"{service}-mail": ({"password": ("mail", "password")}, None)
            for service in SERVICES
            if "smtp_password" in settings_of(service)
        },
        "valkey-users": (
            {who: (f"store/{who}", "password") for who in STORE_USERS}
            | {f"{who}_also": (f"store/{who}", "also") for who in STORE_USERS},
            {"users.acl": store_users({who: HASHES.format(who) for who in STORE_USERS})},
        ),
    }
    entries = [
        _external_entry(f"{service}-{name}")
        for service, setting, name in own_files()
        if setting in WHOLE_ENTRIES
    ]
    return [*(_external_secret(name, *parts) for name, parts in whole.items()), *entries]


def _external_entry(name: str) -> Document:
    """A secret with a file for each property of an entry of the operator's store."""
    spec = {
        "refreshInterval": "5m",
        "secretStoreRef": {"kind": "ClusterSecretStore", "name": "service-check"},
        "target": {"name": name, "creationPolicy": "Owner"},
        "dataFrom": [{"extract": {"key": f"service-check/{name}"}}],
    }
    return _document("external-secrets.io/v1", "ExternalSecret", name, spec)


def _external_secret(
    name: str, data: Mapping[str, tuple[str, str]], template: Mapping[str, str] | None
) -> Document:
    target: Document = {"name": name, "creationPolicy": "Owner"}
    if template is not None:
        target["template"] = {"engineVersion": "v2", "data": dict(template)}
    spec = {
        "refreshInterval": "5m",
        "secretStoreRef": {"kind": "ClusterSecretStore", "name": "service-check"},
        "target": target,
        "data": [
            {"secretKey": key, "remoteRef": {"key": f"service-check/{place}", "property": part}}
            for key, (place, part) in data.items()
        ],
    }
    return _document("external-secrets.io/v1", "ExternalSecret", name, spec)


# Monitoring --------------------------------------------------------------------------------------


def _rules() -> Document:
    """The alerts of `deploy/monitoring/rules.yaml` as the Prometheus operator reads them."""
    source = yaml.safe_load(_source(MONITORING / "rules.yaml"))
    return _document("monitoring.coreos.com/v1", "PrometheusRule", "service-check", source)


def _dashboard() -> Document:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "service-check-dashboard", "labels": {"grafana_dashboard": "1"}},
        "data": {
            "service-check.json": dashboard.text(),
            "service-check-measures.json": dashboard.measures(),
        },
    }


def _prometheus() -> Document:
    """What Prometheus does beside the containers of `deploy/compose.yaml`."""
    targets = [f"{service}:9000" for service in SERVICES]
    return {
        "global": {"scrape_interval": "15s", "evaluation_interval": "15s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [
            {
                "job_name": "service-check",
                "honor_labels": True,
                "static_configs": [{"targets": targets}],
            }
        ],
    }


# Containers --------------------------------------------------------------------------------------

#: The port of the first service's container on this machine; the others follow.
FIRST_PORT = 8001


def _composed() -> str:
    """The services of `deploy/compose.yaml`, both faces in one container each."""
    blocks = []
    for number, service in enumerate(SERVICES):
        own: Document = {
            "command": [f"services.{service}"],
            "environment": _contained(service),
            "ports": [f"127.0.0.1:${{{service.upper()}_PORT:-{FIRST_PORT + number}}}:8080"],
        }
        text = yaml.safe_dump(own, sort_keys=False, width=110)
        lines = "".join(f"    {line}\n" for line in text.splitlines())
        blocks.append(f"\n  {service}:\n    <<: *service\n{lines}")
    return "".join(blocks)


def _contained(service: str) -> dict[str, str]:
    """The environment of a service's container; customers' links lead to the ports of this machine."""
    given = {
        "kafka_bootstrap": "kafka:9095",
        "redis_url": "redis://redis:6379/0",
        **{
            name: f"${{{PREFIX}{name.upper()}:-}}"
            for name in ("master_key", "wrapping_key", "wrapping_key_also")
        },
        "host": "0.0.0.0",  # noqa: S104 - inside of its container
        "port": "8080",
        "ops_port": "9000",
        "smtp_host": "mail",
        "smtp_port": "1025",
        "public_url": _address(service),
        "answers_url": _address("notifier"),
        "offers_url": _address("compensation"),
        "complaints_url": _address("complaints"),
        # As web writes it; who comes to the service's own port has the connection's address.
        "client_address_header": "X-Real-IP",
        "mail_accounts": f"${{{service.upper()}_MAIL_ACCOUNTS:-}}",
        "reply_address": f"${{{PREFIX}REPLY_ADDRESS:-}}",
        **{
            name: f"{FOLDERS[name]}/{FILES[name]}"
            for name in ("jwks", "mailboxes", "providers", "webhooks")
        },
    }
    settings = settings_of(service)
    return {
        variable(name, settings[name]): value for name, value in given.items() if name in settings
    }


def _address(service: str) -> str:
    port = FIRST_PORT + SERVICES.index(service)
    return f"http://127.0.0.1:${{{service.upper()}_PORT:-{port}}}"


# The command -------------------------------------------------------------------------------------

app = typer.Typer(name="manifests", help="Manifests of a cluster.", no_args_is_help=True)


@app.callback()
def manifests() -> None:
    """Manifests of a cluster."""


@app.command("secrets")
def secrets_command(
    mailboxes: Annotated[
        Path, typer.Option(help="The file of role mailboxes.", exists=True, dir_okay=False)
    ] = Path("policy/mailboxes.yaml"),
    providers: Annotated[
        Path, typer.Option(help="The file of providers.", exists=True, dir_okay=False)
    ] = Path("policy/providers.yaml"),
    webhooks: Annotated[
        Path, typer.Option(help="The file of webhooks' endpoints.", exists=True, dir_okay=False)
    ] = Path("policy/webhooks.yaml"),
    run_dir: Annotated[
        Path, typer.Option(help="Where the demo's signing key is, or is made.")
    ] = RUN_DIR,
) -> None:
    """Print all secrets of a trial cluster with new random values, for `kubectl apply -f -`.

    Tokens of `token` are valid there. Not for production: a second call prints another master key, and
    what the first one sealed cannot be read any more.
    """
    demo_key(run_dir)
    passwords = {who: secrets.token_hex(24) for who in STORE_USERS}
    pem = Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    signing_key = Ed25519PrivateKey.generate().private_bytes(*pem).decode()
    files = {
        "mailboxes": mailboxes.read_text(encoding="utf-8"),
        "providers": providers.read_text(encoding="utf-8"),
        "webhooks": webhooks.read_text(encoding="utf-8"),
        "mail_accounts": "accounts: {}\n",
        "signing_key": signing_key,
    }
    made = {
        "master-key": {"key": b64encode(secrets.token_bytes(32)).decode()},
        "issuer-keys": {FILES["jwks"]: (run_dir / JWKS_FILE).read_text(encoding="utf-8")},
        **{f"{who}-{name}": {FILES[one]: files[one]} for who, one, name in own_files()},
        **{f"{name}-store": {"password": one} for name, one in passwords.items()},
        "valkey-users": {
            "users.acl": store_users({who: hashed(one) for who, one in passwords.items()})
        },
    }
    documents = [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "stringData": data,
        }
        for name, data in made.items()
    ]
    typer.echo(yaml.safe_dump_all(documents, sort_keys=False, width=1000), nl=False)
