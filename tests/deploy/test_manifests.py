"""What the manifests promise, read from the rendered documents: no cluster, no engine, no network."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from devstack.stack import REDIS_SETTINGS
from services.web.proxy.rules import PAGES
from services.web.settings import Settings
from shared.contracts.catalogue import (
    FACTS,
    OPERATOR,
    OTHER_SYSTEMS,
    SERVICES,
    TABLE,
    TOPICS,
    dead_letters,
    subscriptions,
)
from shared.contracts.complaints import CustomerErased
from shared.contracts.topics import TopicRaised
from shared.contracts.vault import CustomerKeyCreated
from shared.ops import dashboard, manifests, openapi
from shared.ops.__main__ import app
from shared.ops.rebuild import password_of
from shared.runtime import observe
from shared.runtime.settings import SECRETS_DIR

ROOT = Path(__file__).parents[2]
K8S = ROOT / "deploy/k8s"
OVERLAYS = ("dev", "prod")
FACES = ("api", "stream")
Document = dict[str, Any]
in_each = pytest.mark.parametrize("overlay", OVERLAYS)


@cache
def read(overlay: str) -> list[Document]:
    text = (K8S / f"rendered/{overlay}.yaml").read_text(encoding="utf-8")
    return list(yaml.load_all(text, yaml.CSafeLoader))


def rendered(overlay: str, kind: str | None = None) -> list[Document]:
    """The documents of an overlay, copies of them, or those of one kind."""
    return copy.deepcopy([one for one in read(overlay) if kind in (None, one["kind"])])


def name(document: Document) -> str:
    return document["metadata"]["name"]


def named(overlay: str, kind: str, wanted: str) -> Document:
    (found,) = [one for one in rendered(overlay, kind) if name(one) == wanted]
    return found


def in_words(document: Document) -> str:
    return f"{document['kind']} {name(document)}"


# Validity ----------------------------------------------------------------------------------------


def schema_of(document: Document) -> Path:
    group, _, version = document["apiVersion"].rpartition("/")
    file = f"{document['kind'].lower()}_{version}.json"
    return ROOT / "tests/deploy/schemas" / (group or "core") / file


@cache
def validator(path: Path) -> Draft202012Validator:
    return Draft202012Validator(json.loads(path.read_text(encoding="utf-8")))


def problems(document: Document) -> list[str]:
    errors = validator(schema_of(document)).iter_errors(document)
    return [f"{in_words(document)}: {error.json_path} {error.message[:200]}" for error in errors]


@in_each
def test_every_document_is_what_a_cluster_takes(overlay: str) -> None:
    found = [problem for one in rendered(overlay) for problem in problems(one)]
    assert found == []


def test_a_field_that_no_kind_has_is_found_in_every_kind() -> None:
    kinds = {one["kind"]: one for one in rendered("prod")}
    for document in kinds.values():
        document["metadata" if document["kind"] == "Namespace" else "spec"] = {"sepc": 1}
        assert document["kind"] == "Namespace" or problems(document), document["kind"]


def test_a_misspelt_field_deep_inside_is_found() -> None:
    document = named("prod", "Deployment", "complaints-api")
    document["spec"]["template"]["spec"]["containers"][0]["readinessProb"] = {}
    assert problems(document)


@in_each
def test_names_are_unique_and_everything_is_in_one_namespace(overlay: str) -> None:
    found = [in_words(one) for one in rendered(overlay)]
    assert len(found) == len(set(found))
    for one in rendered(overlay):
        assert one["kind"] == "Namespace" or one["metadata"]["namespace"] == "service-check"


@in_each
def test_the_rendered_documents_are_what_the_sources_give(overlay: str) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not here, so rendering cannot be compared")
    given = subprocess.run(
        ["kubectl", "kustomize", K8S / "overlays" / overlay],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    committed = (K8S / f"rendered/{overlay}.yaml").read_text(encoding="utf-8")
    assert given.stdout == committed, "run: make manifests"


def test_generated_files_are_in_step_with_the_code() -> None:
    for path, text in manifests.rendered().items():
        assert (ROOT / path).read_text(encoding="utf-8") == text, "run: python -m shared.ops docs"
    assert manifests.orphans(ROOT) == []


def test_a_folder_of_a_service_that_is_gone_is_found(tmp_path: Path) -> None:
    gone = manifests.K8S / "base/services/gone/settings.yaml"
    (tmp_path / gone).parent.mkdir(parents=True)
    (tmp_path / gone).touch()
    assert manifests.orphans(tmp_path) == [gone]


# Pods --------------------------------------------------------------------------------------------


def pod_of(document: Document) -> Document | None:
    """The pod template of a workload."""
    spec = document.get("spec", {})
    if document["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return spec["template"] if document["kind"] in WORKLOADS else None


WORKLOADS = {"Deployment", "StatefulSet", "Job", "CronJob"}


def pods(overlay: str) -> dict[str, Document]:
    every = rendered(overlay)
    return {in_words(one): pod for one in every if (pod := pod_of(one)) is not None}


def containers(pod: Document) -> list[Document]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


#: A name of this machine, or one with its host: engines complete a short one differently.
IMAGE = r"([\w-]+|[\w-]+(\.[\w-]+)+(:\d+)?(/[\w.-]+)+)"


def breaches(pod: Document) -> set[str]:
    """What of Pod Security `restricted`, and of our own rules, a pod breaks."""
    spec = pod["spec"]
    context = spec.get("securityContext", {})
    found = {
        "token": spec.get("automountServiceAccountToken") is not False,
        "variables of Services": spec.get("enableServiceLinks") is not False,
        "account": spec.get("serviceAccountName", "default") == "default",
        "root": context.get("runAsNonRoot") is not True or context.get("runAsUser", 0) == 0,
        "seccomp": context.get("seccompProfile") != {"type": "RuntimeDefault"},
        "host": any(spec.get(part) for part in ("hostNetwork", "hostPID", "hostIPC")),
        "volumes": any(
            not set(volume) - {"name"}
            <= {"configMap", "secret", "projected", "emptyDir", "persistentVolumeClaim"}
            or volume.get("emptyDir", {"sizeLimit": ""}).get("sizeLimit") is None
            for volume in spec.get("volumes", [])
        ),
    }
    for container in containers(pod):
        own, resources = container.get("securityContext", {}), container.get("resources", {})
        found |= {
            key: True
            for key, broken in {
                "privileges": own.get("allowPrivilegeEscalation") is not False
                or own.get("privileged"),
                "writable root": own.get("readOnlyRootFilesystem") is not True,
                "capabilities": own.get("capabilities") != {"drop": ["ALL"]},
                "requests": set(resources.get("requests", {})) != {"cpu", "memory"},
                "memory limit": "memory" not in resources.get("limits", {}),
                "shell": "sh" in container.get("command", []),
                "image": not re.fullmatch(
                    rf"{IMAGE}(:(?!latest$)[\w.-]+|@sha256:[0-9a-f]{{64}})", container["image"]
                ),
            }.items()
            if broken
        }
    return {key for key, broken in found.items() if broken}


@in_each
def test_every_pod_meets_pod_security_restricted(overlay: str) -> None:
    assert {where: found for where, pod in pods(overlay).items() if (found := breaches(pod))} == {}
    labels = named(overlay, "Namespace", "service-check")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    for pool in rendered(overlay, "KafkaNodePool"):
        template = pool["spec"]["template"]
        assert template["pod"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert template["kafkaContainer"]["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize(
    ("where", "value", "found"),
    [
        ("spec.automountServiceAccountToken", True, "token"),
        ("spec.enableServiceLinks", True, "variables of Services"),
        ("spec.serviceAccountName", "default", "account"),
        ("spec.securityContext.runAsUser", 0, "root"),
        ("spec.securityContext.seccompProfile", {"type": "Unconfined"}, "seccomp"),
        ("spec.hostNetwork", True, "host"),
        ("spec.volumes", [{"name": "x", "hostPath": {"path": "/"}}], "volumes"),
        ("spec.volumes", [{"name": "x", "emptyDir": {}}], "volumes"),
        ("spec.containers.0.securityContext.allowPrivilegeEscalation", True, "privileges"),
        ("spec.containers.0.securityContext.readOnlyRootFilesystem", False, "writable root"),
        ("spec.containers.0.securityContext.capabilities", {"add": ["NET_RAW"]}, "capabilities"),
        ("spec.containers.0.resources", {"limits": {"cpu": 1}}, "memory limit"),
        ("spec.containers.0.image", "service-check:latest", "image"),
        ("spec.containers.0.image", "service-check", "image"),
        ("spec.containers.0.image", "valkey/valkey:9.0", "image"),
        ("spec.containers.0.command", ["sh", "-c", "x"], "shell"),
    ],
)
def test_a_pod_that_breaks_a_rule_is_found(where: str, value: object, found: str) -> None:
    pod = pods("prod")["Deployment complaints-api"]
    part: Any = pod
    *steps, last = where.split(".")
    for step in steps:
        part = part[int(step)] if step.isdigit() else part[step]
    part[last] = value
    assert found in breaches(pod)


@in_each
@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("service", SERVICES)
def test_every_face_of_every_service_runs_stops_and_is_spread(
    overlay: str, service: str, face: str
) -> None:
    one = f"{service}-{face}"
    deployment = named(overlay, "Deployment", one)
    spec = deployment["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["args"] == [f"services.{service}"]
    assert {"name": "SERVICE_CHECK_FACE", "value": face} in container["env"]
    assert name(named(overlay, "ServiceAccount", one)) == spec["serviceAccountName"]
    # Longer than preStop and the longest stop together.
    assert container["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}
    assert spec["terminationGracePeriodSeconds"] == 45
    probes = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in PROBES}
    assert probes == PROBES
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    keys = [part["topologyKey"] for part in spec["topologySpreadConstraints"]]
    assert keys == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]
    # What selects the pods of this face selects no others.
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    selectors = [
        deployment["spec"]["selector"]["matchLabels"],
        named(overlay, "Service", one)["spec"]["selector"],
        named(overlay, "PodDisruptionBudget", one)["spec"]["selector"]["matchLabels"],
        *(part["labelSelector"]["matchLabels"] for part in spec["topologySpreadConstraints"]),
    ]
    for selector in selectors:
        assert selector["app.kubernetes.io/name"] == service
        assert selector["app.kubernetes.io/component"] == face
        assert selector.items() <= labels.items()
    assert named(overlay, "PodDisruptionBudget", one)["spec"]["maxUnavailable"] == 1


PROBES = {"startup": "/live", "liveness": "/live", "readiness": "/ready"}


# Settings and secrets ----------------------------------------------------------------------------


def chosen(overlay: str) -> tuple[str, dict[str, str]]:
    """The name of the ConfigMap with an operator's values, which ends with their hash, and the values."""
    (found,) = [
        one
        for one in rendered(overlay, "ConfigMap")
        if re.fullmatch(r"service-check-[a-z0-9]{10}", name(one))
    ]
    return name(found), found["data"]


@in_each
@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_gets_what_it_reads_and_nothing_else(
    overlay: str, service: str, face: str
) -> None:
    settings = manifests.settings_of(service)
    known = {manifests.variable(field, info): field for field, info in settings.items()}
    config, values = chosen(overlay)
    (container,) = named(overlay, "Deployment", f"{service}-{face}")["spec"]["template"]["spec"][
        "containers"
    ]
    mounted = [mount["mountPath"] for mount in container["volumeMounts"]]
    given: dict[str, Any] = {}
    for one in container["env"]:
        if "valueFrom" in one:
            reference = one["valueFrom"]["configMapKeyRef"]
            assert reference["name"] == config
            given[one["name"]] = values[reference["key"]]
        else:
            given[one["name"]] = one["value"]
        if str(given[one["name"]]).startswith("/") and one["name"] != SECRETS_DIR:
            assert str(Path(given[one["name"]]).parent) in mounted
    assert len(given) == len(container["env"]), "each once"
    assert given.pop(SECRETS_DIR) in mounted
    key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    given |= {file: key for file in secret_files(overlay, f"Deployment {service}-{face}")}
    if not given.get(
        "SERVICE_CHECK_SMTP_USERNAME"
    ):  # a mail server without a login: no such Secret
        given.pop("SERVICE_CHECK_SMTP_PASSWORD", None)
    assert given.keys() <= known.keys()
    required = {variable for variable, one in known.items() if settings[one].is_required()}
    assert required <= given.keys()
    # And the service takes the values: as it reads them, all but the files, which are not here.
    for file in FILES_ELSEWHERE:
        given.pop(file, None)
    by_field = {
        variable if settings[known[variable]].validation_alias else known[variable]: value
        for variable, value in given.items()
    }
    model = manifests.settings_model(service)
    made = model(_env_prefix="UNSET_", **by_field)
    assert (made.port, made.ops_port, made.host) == (8080, 9000, "0.0.0.0")


FILES_ELSEWHERE = (
    "SERVICE_CHECK_MAILBOXES", "SERVICE_CHECK_PROVIDERS", "SERVICE_CHECK_WEBHOOKS", "SERVICE_CHECK_SIGNING_KEY",
    "SERVICE_CHECK_MAIL_ACCOUNTS", "KAFKA_SSL_CAFILE",
    "REDIS_SSL_CAFILE",
)  # fmt: skip


def secret_files(overlay: str, where: str) -> dict[str, tuple[str, str]]:
    """Secret and key by the name of each file in the folder of secrets of a pod."""
    found = {}
    (volume,) = [one for one in pods(overlay)[where]["spec"]["volumes"] if one["name"] == "secrets"]
    plain = {**volume.get("secret", {}), "name": volume.get("secret", {}).get("secretName")}
    for source in volume.get("projected", {}).get("sources", [{"secret": plain}]):
        for item in source["secret"]["items"]:
            assert item["path"] not in found, "each once"
            found[item["path"]] = (source["secret"]["name"], item["key"])
    return found


@in_each
def test_no_secret_is_in_a_variable_and_each_is_a_file_that_only_the_service_may_read(
    overlay: str,
) -> None:
    for where, pod in pods(overlay).items():
        for container in containers(pod):
            assert "envFrom" not in container, where
            given = {one["name"]: one for one in container.get("env", [])}
            for one in given.values():
                assert set(one.get("valueFrom", {})) <= {"configMapKeyRef"}, (where, one["name"])
            if "KAFKA_SASL_USERNAME" not in given:
                continue
            folder = given[SECRETS_DIR]["value"]
            mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
            assert (mounts["secrets"]["mountPath"], mounts["secrets"]["readOnly"]) == (folder, True)
            (volume,) = [one for one in pod["spec"]["volumes"] if one["name"] == "secrets"]
            (kind,) = set(volume) - {"name"}
            assert volume[kind]["defaultMode"] == 0o440, where
            assert pod["spec"]["securityContext"]["fsGroup"] == 10001, where
    for service in SERVICES:
        settings = manifests.settings_of(service)
        secret = {
            manifests.variable(one, field)
            for one, field in settings.items()
            if manifests.is_secret(field)
        }
        for face in FACES:
            assert secret_files(overlay, f"Deployment {service}-{face}").keys() == secret
        rebuild = secret_files(overlay, f"CronJob {service}-rebuild").keys()
        assert rebuild == {"KAFKA_SASL_PASSWORD", "REDIS_PASSWORD"}


def test_a_secret_setting_without_a_source_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(manifests.SECRETS, "smtp_password")
    with pytest.raises(LookupError, match="SERVICE_CHECK_SMTP_PASSWORD comes from"):
        manifests.secret_files("notifier", manifests.settings_of("notifier"))


def test_a_required_setting_without_a_source_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "FOLDERS", {})
    with pytest.raises(LookupError, match="SERVICE_CHECK_JWKS of complaints"):
        manifests.environment("complaints")


def wanted_secrets(overlay: str, *, optional: bool = False) -> dict[str, set[str]]:
    """Each secret that a pod needs, or also may have, with the keys it names.

    With the password of web, which is a component of its own, while the store always knows its user.
    """
    found = {f"{manifests.WEB}-store": {"password"}}
    for pod in pods(overlay).values():
        for volume in pod["spec"].get("volumes", []):
            sources = [one["secret"] for one in volume.get("projected", {}).get("sources", [])]
            if secret := volume.get("secret"):
                sources.append({**secret, "name": secret["secretName"]})
            for source in sources:
                keys = {item["key"] for item in source.get("items", [])}
                if optional or not source.get("optional"):
                    found.setdefault(source["name"], set()).update(keys)
    return found


def made_in_the_cluster(overlay: str) -> set[str]:
    """Secrets that cert-manager and Strimzi make: certificates, and the passwords of Kafka's users."""
    (kafka,) = rendered(overlay, "Kafka")
    return {
        *(one["spec"]["secretName"] for one in rendered(overlay, "Certificate")),
        *(name(one) for one in rendered(overlay, "KafkaUser")),
        f"{name(kafka)}-cluster-ca-cert",
    }


def test_every_secret_comes_from_the_operators_store_or_is_made_in_the_cluster() -> None:
    wanted, may = wanted_secrets("prod"), wanted_secrets("prod", optional=True)
    certificates = made_in_the_cluster("prod")
    made = {}
    for one in rendered("prod", "ExternalSecret"):
        target = one["spec"]["target"]
        if "dataFrom" in one["spec"]:  # a whole entry of the store, whatever it has
            made[target["name"]] = wanted[target["name"]]
            continue
        keys = target.get("template", {}).get("data") or [
            d["secretKey"] for d in one["spec"]["data"]
        ]
        made[target["name"]] = set(keys)
    assert may.keys() - certificates == made.keys()
    for secret, keys in wanted.items():
        assert keys <= made.get(secret, {"ca.crt", "password"})
    assert {
        one["spec"]["secretStoreRef"]["kind"] for one in rendered("prod", "ExternalSecret")
    } == {"ClusterSecretStore"}


@in_each
def test_the_key_that_signs_heads_is_mounted_where_audit_reads_it_and_nowhere_else(
    overlay: str,
) -> None:
    """INV-09: the record holds against whoever runs another service, who has the master key."""
    where = {
        pod
        for pod, one in pods(overlay).items()
        for volume in one["spec"].get("volumes", [])
        if volume.get("secret", {}).get("secretName") == "audit-signing-key"
    }
    assert len(where) == len(FACES)
    assert all("audit" in one for one in where), where


@in_each
def test_no_secret_is_in_git(overlay: str) -> None:
    assert rendered(overlay, "Secret") == []
    for one in rendered(overlay, "ConfigMap"):
        assert "master" not in json.dumps(one).lower()


def test_the_command_prints_each_secret_of_a_trial_cluster(tmp_path: Path) -> None:
    words = ["manifests", "secrets", "--run-dir", str(tmp_path / "run")]
    words += ["--mailboxes", str(ROOT / "policy/mailboxes.yaml")]
    words += ["--providers", str(ROOT / "policy/providers.yaml")]
    words += ["--webhooks", str(ROOT / "policy/webhooks.yaml")]
    answer, again = (CliRunner().invoke(app, words) for _ in range(2))
    assert answer.exit_code == 0, answer.output
    assert answer.output != again.output, "new values each time"
    printed = {name(one): one for one in yaml.safe_load_all(answer.output)}
    certificates = made_in_the_cluster("dev")
    wanted = wanted_secrets("dev")
    assert printed.keys() == wanted.keys() - certificates
    for secret, one in printed.items():
        assert problems(one) == []
        assert wanted[secret] <= one["stringData"].keys()
    users = printed["valkey-users"]["stringData"]["users.acl"].splitlines()
    assert users[0] == "user default off ~* &* +@all", "the store reads its file with these rights"
    assert re.fullmatch(rf"user operator on #\w{{64}} {re.escape(RELOADS)}", users.pop())
    for service, line in zip([*SERVICES, manifests.WEB], users[1:], strict=True):
        assert f" ~{service}:* &{service}:* -@all " in line
        assert "password" not in line
    assert "#{{ .complaints | sha256sum }}" in json.dumps(rendered("prod", "ExternalSecret"))


#: No key and no channel: whoever replaces passwords reads nothing.
RELOADS = "resetchannels -@all +acl|load +acl|list"


# Kafka -------------------------------------------------------------------------------------------


def test_kafka_keeps_what_it_confirmed_when_one_node_is_lost() -> None:
    (pool,), (kafka,) = rendered("prod", "KafkaNodePool"), rendered("prod", "Kafka")
    assert pool["spec"]["replicas"] == 3
    assert pool["spec"]["roles"] == ["controller", "broker"]
    config = kafka["spec"]["kafka"]["config"]
    assert config["default.replication.factor"] == 3
    assert config["offsets.topic.replication.factor"] == 3
    assert config["min.insync.replicas"] == 2
    assert config["auto.create.topics.enable"] is False
    assert config["unclean.leader.election.enable"] is False
    largest = max(topic.message_bytes_max or 0 for topic in TOPICS)
    assert config["message.max.bytes"] >= largest
    assert config["replica.fetch.max.bytes"] >= largest


@in_each
def test_everybody_comes_to_kafka_over_tls_with_a_login_and_has_rights_of_their_own(
    overlay: str,
) -> None:
    (kafka,) = rendered(overlay, "Kafka")
    assert kafka["spec"]["kafka"]["authorization"] == {"type": "simple"}
    (listener,) = kafka["spec"]["kafka"]["listeners"]
    assert (listener["type"], listener["tls"]) == ("internal", True)
    assert listener["authentication"] == {"type": "scram-sha-512"}
    users = {name(user) for user in rendered(overlay, "KafkaUser")}
    for where, pod in pods(overlay).items():
        for container in containers(pod):
            given = {one["name"]: one for one in container.get("env", [])}
            if "KAFKA_BOOTSTRAP_SERVERS" in given:
                assert given["KAFKA_SECURITY_PROTOCOL"]["value"] == "SASL_SSL", where
                user = given["KAFKA_SASL_USERNAME"]["value"]
                assert user in users
                secret = secret_files(overlay, where)["KAFKA_SASL_PASSWORD"]
                assert secret == (user, "password"), where
                folder = str(Path(given["KAFKA_SSL_CAFILE"]["value"]).parent)
                assert folder in {mount["mountPath"] for mount in container["volumeMounts"]}
    assert chosen(overlay)[1]["kafka-bootstrap-servers"].endswith(f":{listener['port']}")


@in_each
def test_the_topics_are_those_of_the_catalogue(overlay: str) -> None:
    found = {name(one): one["spec"] for one in rendered(overlay, "KafkaTopic")}
    assert found.keys() == {topic.name for topic in TOPICS}
    replicas = 3 if overlay == "prod" else 1
    for topic in TOPICS:
        spec = found[topic.name]
        assert (spec["partitions"], spec["replicas"]) == (manifests.PARTITIONS, replicas)
        assert spec["config"]["cleanup.policy"] == topic.cleanup
        assert int(spec["config"]["min.insync.replicas"]) == max(1, replicas - 1)
        kept = topic.retention and str(int(topic.retention.total_seconds() * 1000))
        assert spec["config"].get("retention.ms") == kept


def test_the_job_for_another_kafka_makes_the_topics_alike() -> None:
    job = (K8S / "components/topics-job/job.yaml").read_text(encoding="utf-8")
    document = yaml.safe_load(job)
    assert problems(document) == []
    document["spec"]["template"]["spec"]["containers"][0]["image"] += ":0.1.0"  # an overlay's
    assert breaches(document["spec"]["template"]) == set()
    words = document["spec"]["template"]["spec"]["containers"][0]["args"]
    assert words[1:] == [
        "topics", "create", "--partitions", str(manifests.PARTITIONS), "--replication", "3",
    ]  # fmt: skip


def changed_by(component: str, folder: Path) -> dict[str, Document]:
    """What a component that no overlay has adds to `prod` or changes there."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not here, so nothing can be rendered")
    shutil.copytree(K8S, folder / "k8s")
    overlay = folder / "k8s/overlays/more"
    overlay.mkdir()
    (overlay / "kustomization.yaml").write_text(
        f"namespace: service-check\nresources: [../prod]\ncomponents: [../../components/{component}]\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        ["kubectl", "kustomize", overlay], capture_output=True, text=True, check=True
    )
    found = [one for one in yaml.safe_load_all(done.stdout) if one]
    assert [problem for one in found for problem in problems(one)] == []
    before = {in_words(one): one for one in rendered("prod")}
    return {in_words(one): one for one in found if one != before.get(in_words(one))}


def test_the_operators_pod_has_the_master_key_only_by_a_component_of_its_own(
    tmp_path: Path,
) -> None:
    ((where, job),) = changed_by("operator-keys", tmp_path).items()
    assert where == "CronJob operator"
    volumes = {one["name"]: one for one in pod_of(job)["spec"]["volumes"]}
    *before, added = volumes["secrets"]["projected"]["sources"]
    item = {"key": "key", "path": "SERVICE_CHECK_MASTER_KEY"}
    assert added == {"secret": {"name": "master-key", "items": [item]}}
    files = {one["secret"]["items"][0]["path"] for one in before}
    assert files == secret_files("prod", where).keys()


def test_the_component_of_traces_names_a_collector_to_every_service_and_opens_the_way(
    tmp_path: Path,
) -> None:
    changed = changed_by("traces", tmp_path)
    (way,) = [one for one in changed if one.startswith("NetworkPolicy ")]
    assert way == "NetworkPolicy services-to-collector"
    assert changed.keys() - {way} == {
        f"Deployment {service}-{face}" for service in SERVICES for face in ("api", "stream")
    }
    for deployment in (changed[one] for one in changed if one != way):
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        given = {one["name"]: one.get("value") for one in container["env"]}
        assert given["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://otel-collector.tracing:4318"
        assert breaches(deployment["spec"]["template"]) == set()


def test_the_component_of_web_adds_one_address_for_browsers_and_opens_its_ways_alone(
    tmp_path: Path,
) -> None:
    changed = changed_by("web", tmp_path)
    assert changed.keys() == {
        "Deployment web", "Service web", "ServiceAccount web", "PodDisruptionBudget web", "HTTPRoute web",
        *(f"NetworkPolicy {way}" for way in (
            "web-from-gateway", "web-to-services", "services-from-web", "web-to-valkey", "valkey-from-web",
            "web-to-issuer",
        )),
    }  # fmt: skip
    deployment = changed["Deployment web"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    given = {one["name"] for one in container["env"]}
    settings = Settings.model_fields.items()
    needed = {manifests.variable(*item) for item in settings if item[1].is_required()}
    assert needed <= given <= {manifests.variable(*item) for item in settings}
    container["image"] += ":0.1.0"  # an overlay's
    assert breaches(deployment["spec"]["template"]) == set()
    (rule,) = changed["HTTPRoute web"]["spec"]["rules"]
    begins = {match["path"]["value"] for match in rule["matches"]}
    assert begins == {"/", "/app", "/board", "/assets", "/sign-in", "/sign-out", "/session", "/api"}
    assert not [begin for begin in PAGES if f"/{begin}" in begins], "pages need no session"


def allowed(overlay: str) -> dict[str, dict[tuple[str, str], set[str]]]:
    """What each user of Kafka may do, by resource."""
    return {
        name(user): {
            (acl["resource"]["type"], acl["resource"]["name"]): set(acl["operations"])
            for acl in user["spec"]["authorization"]["acls"]
        }
        for user in rendered(overlay, "KafkaUser")
    }


@in_each
def test_the_users_of_kafka_may_do_what_the_table_says_and_no_more(overlay: str) -> None:
    users = allowed(overlay)
    assert users.keys() == {*SERVICES, "operator", "backup", "restore", "publisher", "keda"}
    for service in SERVICES:
        writes = {r.fact.TOPIC for r in TABLE if service in (r.producer, *r.also_from)}
        reads = {r.fact.TOPIC for r in TABLE if service in r.consumers} | {f"recovery.{service}.v1"}
        reads.add(TopicRaised.TOPIC)  # when it starts
        expected = {("topic", dead_letters(service)): {"Read", "Write", "Describe"}}
        for topic in {topic.name for topic in TOPICS} - {dead_letters(service)}:
            expected["topic", topic] = {"Describe"} | {
                right for right, topics in (("Write", writes), ("Read", reads)) if topic in topics
            }
        expected["group", f"recovery-{service}"] = {"Read"}
        assert users[service] == expected, service
    assert set().union(*users["keda"].values()) == {"Describe"}
    for user in rendered(overlay, "KafkaUser"):
        assert user["spec"]["authentication"] == {"type": "scram-sha-512"}
        for acl in user["spec"]["authorization"]["acls"]:
            assert acl["resource"]["patternType"] == "literal"


def test_only_publishers_write_the_intake_and_only_complaints_reads_it() -> None:
    may = {
        right: {
            user
            for user, rights in allowed("prod").items()
            if right in rights.get(("topic", "recovery.intake.v1"), ())
        }
        for right in ("Write", "Read")
    }
    assert may == {"Write": {"publisher"}, "Read": {"complaints"}}
    assert allowed("prod")["publisher"].keys() == {("topic", "recovery.intake.v1")}


def test_only_services_that_seal_and_a_restore_write_the_vault_and_nobody_else_reads_it_but_a_backup() -> (
    None
):
    (row,) = [row for row in TABLE if row.fact is CustomerKeyCreated]
    rights = {
        user: topics.get(("topic", "recovery.vault.v1"), set())
        for user, topics in allowed("prod").items()
    }
    assert {user for user, may in rights.items() if "Write" in may} == {
        row.producer,
        *row.also_from,
        "restore",
    }
    readers = {*row.consumers, "backup", "restore"}
    assert {user for user, may in rights.items() if "Read" in may} == readers


@in_each
def test_a_backup_reads_what_nothing_else_can_make_again_and_a_restore_writes_nothing_else(
    overlay: str,
) -> None:
    users = allowed(overlay)
    compacted = {topic.name for topic in TOPICS if topic.cleanup == "compact"}
    reads = {place for place, may in users["backup"].items() if may != {"Describe"}}
    assert reads == {("topic", topic) for topic in compacted}
    assert set().union(*users["backup"].values()) == {"Read", "Describe"}
    writes = {place for place, may in users["restore"].items() if "Write" in may}
    assert writes == {("topic", topic) for topic in compacted}
    assert users["restore"]["topic", CustomerErased.TOPIC] == {"Read", "Describe"}


@in_each
def test_a_backup_is_taken_each_day_and_kept_as_long_as_the_certificate_waits(overlay: str) -> None:
    daily, restore = (named(overlay, "CronJob", one)["spec"] for one in ("backup", "restore"))
    assert re.fullmatch(r"\d+ \d+ \* \* \*", daily["schedule"])
    assert (daily.get("suspend", False), restore["suspend"]) == (False, True)
    (container,) = daily["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    kept = [
        one["valueFrom"]["configMapKeyRef"]["key"]
        for place in (container, *_containers_of(overlay, "complaints"))
        for one in place["env"]
        if one["name"] == "SERVICE_CHECK_BACKUPS_KEPT_DAYS"
    ]
    assert kept == ["backups-kept-days"] * 3


def _containers_of(overlay: str, service: str) -> list[Document]:
    pods_ = [named(overlay, "Deployment", f"{service}-{face}") for face in FACES]
    return [one["spec"]["template"]["spec"]["containers"][0] for one in pods_]


@in_each
def test_nothing_but_a_backup_and_a_restore_mounts_the_backups_and_neither_has_the_master_key(
    overlay: str,
) -> None:
    where = {
        pod: one
        for pod, one in pods(overlay).items()
        if any("persistentVolumeClaim" in volume for volume in one["spec"].get("volumes", []))
    }
    assert where.keys() == {"CronJob backup", "CronJob restore"}
    assert "master-key" not in json.dumps(list(where.values()))
    (claim,) = rendered(overlay, "PersistentVolumeClaim")
    for pod in where.values():
        (container,) = pod["spec"]["containers"]
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        (volume,) = [one for one in pod["spec"]["volumes"] if "persistentVolumeClaim" in one]
        assert volume["persistentVolumeClaim"] == {"claimName": name(claim)}
        assert container["args"][3] == mounts[volume["name"]]
        assert pod["spec"]["securityContext"]["fsGroup"] == 10001


def test_a_fact_that_somebody_else_reads_too_gives_them_the_right_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert manifests.rights("notifier")["recovery.intake.v1"] == {"Describe"}
    more = {"recovery.intake.v1": (FACTS["recovery.complaint.raised.v1"],)}
    monkeypatch.setattr(manifests, "subscriptions", lambda who: {**subscriptions(who), **more})
    assert manifests.rights("notifier")["recovery.intake.v1"] == {"Read", "Describe"}
    assert "Write" in manifests.rights(OPERATOR)["recovery.policy.v1"]
    assert manifests.rights(OTHER_SYSTEMS) == {"recovery.intake.v1": {"Write", "Describe"}}


def test_workers_follow_the_lag_of_topics_that_the_service_reads() -> None:
    found = {name(one): one["spec"] for one in rendered("prod", "ScaledObject")}
    assert found.keys() == {f"{service}-stream" for service in SERVICES}
    partitions = {name(one): one["spec"]["partitions"] for one in rendered("prod", "KafkaTopic")}
    for service in SERVICES:
        spec = found[f"{service}-stream"]
        deployment = named("prod", "Deployment", spec["scaleTargetRef"]["name"])
        assert "replicas" not in deployment["spec"], "two would decide"
        topics = [trigger["metadata"]["topic"] for trigger in spec["triggers"]]
        assert topics
        assert set(topics) <= set(subscriptions(service))
        (login,) = rendered("prod", "TriggerAuthentication")
        for trigger in spec["triggers"]:
            assert trigger["metadata"]["consumerGroup"] == f"recovery-{service}"
            assert trigger["metadata"]["sasl"] == "scram_sha512"
            assert trigger["metadata"]["tls"] == "enable"
            assert trigger["authenticationRef"] == {"name": name(login)}
        assert spec["minReplicaCount"] == 2
        assert spec["maxReplicaCount"] <= min(partitions[topic] for topic in topics)
        assert spec["fallback"]["replicas"] >= spec["minReplicaCount"]
        behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        assert behavior["scaleDown"]["stabilizationWindowSeconds"] >= 600


def test_the_group_is_called_as_the_service_calls_it() -> None:
    source = (ROOT / "shared/runtime/kafka/consumer.py").read_text(encoding="utf-8")
    assert 'group = f"recovery-{owner}"' in source


# Store -------------------------------------------------------------------------------------------


@in_each
def test_the_store_keeps_every_write_and_evicts_nothing(overlay: str) -> None:
    (configuration,) = [
        one for one in rendered(overlay, "ConfigMap") if name(one).startswith("valkey-")
    ]
    lines = dict(
        line.split(maxsplit=1)
        for line in configuration["data"]["valkey.conf"].splitlines()
        if line and not line.startswith("#")
    )
    for setting in ("appendonly", "appendfsync", "save", "maxmemory-policy"):
        assert lines[setting] == (REDIS_SETTINGS[setting] or '""')
    assert lines["port"] == "0"
    assert lines["tls-port"] == "6379"
    assert lines["aclfile"] == "/etc/valkey/users/users.acl"
    store = named(overlay, "StatefulSet", "valkey")
    assert store["spec"]["replicas"] == 1
    (claim,) = store["spec"]["volumeClaimTemplates"]
    (container,) = store["spec"]["template"]["spec"]["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts[claim["metadata"]["name"]] == lines["dir"]
    volumes = {one["name"] for one in store["spec"]["template"]["spec"]["volumes"]}
    for name_, path in (("users", "aclfile"), ("tls", "tls-cert-file")):
        assert name_ in volumes
        assert lines[path].startswith(mounts[name_] + "/")
    limit_gb = int(container["resources"]["limits"]["memory"].removesuffix("Gi"))
    assert int(lines["maxmemory"].removesuffix("gb")) * 2 <= limit_gb


@in_each
def test_every_process_comes_to_the_store_over_tls_as_its_own_user(overlay: str) -> None:
    url = urlsplit(chosen(overlay)[1]["redis-url"])
    (certificate,) = [one for one in rendered(overlay, "Certificate") if name(one) == "valkey"]
    assert (url.scheme, url.port, url.username, url.password) == ("rediss", 6379, None, None)
    assert url.hostname in certificate["spec"]["dnsNames"]
    for where, pod in pods(overlay).items():
        for container in containers(pod):
            given = {one["name"]: one.get("value") for one in container.get("env", [])}
            if "REDIS_URL" in given:
                mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
                assert str(Path(given["REDIS_SSL_CAFILE"]).parent) in mounts, where
            if "REDIS_USERNAME" in given:
                service = given["REDIS_USERNAME"]
                assert where.split()[1].startswith(f"{service}-")
                assert secret_files(overlay, where)["REDIS_PASSWORD"] == (
                    f"{service}-store",
                    "password",
                )


@in_each
def test_an_operator_has_a_pod_with_every_store_and_no_master_key_that_ends_by_itself(
    overlay: str,
) -> None:
    spec = named(overlay, "CronJob", "operator")["spec"]
    assert spec["suspend"] is True
    job = spec["jobTemplate"]["spec"]
    (container,) = job["template"]["spec"]["containers"]
    assert container["command"] == ["sleep", str(job["activeDeadlineSeconds"])]
    found = secret_files(overlay, "CronJob operator")
    assert found == {
        "KAFKA_SASL_PASSWORD": (OPERATOR, "password"),
        **{
            password_of(user): (f"{user}-store", "password")
            for user in manifests.STORE_USERS
            if user != manifests.WEB
        },
    }
    given = {one["name"] for one in container["env"]}
    assert {"REDIS_URL", "REDIS_SSL_CAFILE", "KAFKA_SSL_CAFILE", SECRETS_DIR} < given
    assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]


# Network -----------------------------------------------------------------------------------------


def selects(selector: Document, labels: dict[str, str]) -> bool:
    if not selector.get("matchLabels", {}).items() <= labels.items():
        return False
    return all(
        one["operator"] == "In" and labels.get(one["key"]) in one["values"]
        for one in selector.get("matchExpressions", [])
    )


#: Who else connects to us or is connected to: the labels of their namespaces, and of their pods.
OUTSIDE = {
    "dns": ({"kubernetes.io/metadata.name": "kube-system"}, {"k8s-app": "kube-dns"}),
    "gateway": ({"kubernetes.io/metadata.name": "gateway-system"}, {}),
    "prometheus": ({"kubernetes.io/metadata.name": "monitoring"}, {}),
    "keda": ({"kubernetes.io/metadata.name": "keda"}, {}),
    "publisher": ({"service-check/publisher": "true"}, {}),
    "stranger": ({"kubernetes.io/metadata.name": "default"}, {}),
}
PORTS = (25, 53, 80, 443, 587, 5432, 6379, 6443, 8080, 9000, 9090, 9091, 9092, 9093, 9094)
STRIMZI = {
    part: {"strimzi.io/cluster": "service-check", "strimzi.io/name": f"service-check-{part}"}
    for part in ("kafka", "entity-operator")
}


def who(overlay: str) -> dict[str, dict[str, str]]:
    """Labels of all pods of ours, also of those that Strimzi makes."""
    found = {where.split()[1]: pod["metadata"]["labels"] for where, pod in pods(overlay).items()}
    return {**found, **STRIMZI}


def peers(rule: Document, side: str, mine: dict[str, dict[str, str]]) -> set[str]:
    found: set[str] = set()
    for peer in rule["from" if side == "ingress" else "to"]:
        if "ipBlock" in peer:
            found.add("anywhere")
        elif "namespaceSelector" in peer:
            found |= {
                one
                for one, (space, labels) in OUTSIDE.items()
                if selects(peer["namespaceSelector"], space)
                and selects(peer.get("podSelector", {}), labels)
            }
        else:
            found |= {one for one, labels in mine.items() if selects(peer["podSelector"], labels)}
    return found


def open_sides(overlay: str, policies: list[Document]) -> dict[str, set[tuple[str, str, int]]]:
    """(from, to, port) by side: what egress rules and what ingress rules allow."""
    mine = who(overlay)
    found: dict[str, set[tuple[str, str, int]]] = {"egress": set(), "ingress": set()}
    for policy in policies:
        spec = policy["spec"]
        selected = {one for one, labels in mine.items() if selects(spec["podSelector"], labels)}
        for side in found:
            assert side.capitalize() in spec["policyTypes"] or side not in spec
            for rule in spec.get(side, []):
                ports = [port["port"] for port in rule["ports"]]
                for one in selected:
                    for other in peers(rule, side, mine):
                        pair = (one, other) if side == "egress" else (other, one)
                        found[side] |= {(*pair, port) for port in ports}
    return found


def declared(overlay: str) -> set[tuple[str, str, int]]:
    """Every connection that there is."""
    mine = who(overlay)
    faces = {f"{service}-{face}" for service in SERVICES for face in FACES}
    operations = {f"{service}-rebuild" for service in SERVICES} | {"publish", "operator"}
    operations |= {"backup", "restore"}
    found = {(one, "dns", 53) for one in mine}
    found |= {(one, "kafka", 9093) for one in faces | operations}
    found |= {(one, "valkey", 6379) for one in faces | operations}
    found |= {(one, other, port) for one in STRIMZI for other in STRIMZI for port in (9090, 9091)}
    found |= {("entity-operator", "anywhere", 443), ("entity-operator", "anywhere", 6443)}
    found |= {("publisher", "kafka", 9093)}
    mail = [s for s in SERVICES if "smtp_host" in manifests.settings_of(s)]
    port = int(chosen(overlay)[1]["smtp-port"])  # the same data in both places
    found |= {(f"{s}-stream", "anywhere", port) for s in mail}
    # Providers of text messages are reached by HTTPS.
    texts = [s for s in SERVICES if "providers" in manifests.settings_of(s)]
    found |= {(f"{s}-stream", "anywhere", 443) for s in texts}
    read = [s for s in SERVICES if "mail_accounts" in manifests.settings_of(s)]
    found |= {(f"{s}-stream", "anywhere", 993) for s in read}
    if overlay == "prod":
        found |= {("gateway", f"{service}-api", 8080) for service in SERVICES}
        found |= {("prometheus", one, 9000) for one in faces}
        found |= {("keda", "kafka", 9093)}
    return found


def half_open(sides: dict[str, set[tuple[str, str, int]]], mine: set[str]) -> set[object]:
    """Connections between pods of ours that one side allows and the other does not."""
    return {
        edge for edge in sides["egress"] ^ sides["ingress"] if edge[0] in mine and edge[1] in mine
    }


@in_each
def test_each_connection_that_there_is_is_allowed_on_both_sides_and_no_other(overlay: str) -> None:
    policies = rendered(overlay, "NetworkPolicy")
    sides = open_sides(overlay, policies)
    assert half_open(sides, set(who(overlay))) == set()
    assert sides["egress"] | sides["ingress"] == declared(overlay)
    (nobody,) = [one for one in policies if name(one) == "nobody"]
    assert nobody["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_a_policy_that_opens_more_or_one_side_only_is_found() -> None:
    policies = rendered("prod", "NetworkPolicy")
    (valkey,) = [one for one in policies if name(one) == "valkey-from-services"]
    rest = [one for one in policies if one is not valkey]
    assert half_open(open_sides("prod", rest), set(who("prod")))
    valkey["spec"]["ingress"][0]["from"] = [{"podSelector": {}}]
    assert ("kafka", "valkey", 6379) in half_open(open_sides("prod", policies), set(who("prod")))
    valkey["spec"]["ingress"][0]["from"] = [{"namespaceSelector": {}}]
    assert ("stranger", "valkey", 6379) in open_sides("prod", policies)["ingress"]


# Outside -----------------------------------------------------------------------------------------


def routed(path: str) -> set[str]:
    """The backends that a path leads to: those of the longest prefix, as the Gateway API has it."""
    found: dict[str, set[tuple[str, int]]] = {}
    for route in rendered("prod", "HTTPRoute"):
        if route["spec"]["parentRefs"][0]["sectionName"] != "https":
            continue
        for rule in route["spec"]["rules"]:
            for match in rule["matches"]:
                prefix = match["path"]["value"]
                if path == prefix or path.startswith(prefix + "/"):
                    to = {(backend["name"], backend["port"]) for backend in rule["backendRefs"]}
                    found.setdefault(prefix, set()).update(to)
    longest = max(found, key=len, default="")
    return {one for one, port in found.get(longest, ()) if port == 8080}


def test_every_path_of_the_api_leads_to_its_service() -> None:
    for service in SERVICES:
        for path in json.loads(openapi.rendered()[service])["paths"]:
            assert routed(path) == {f"{service}-api"}, path
        named("prod", "Service", f"{service}-api")


def test_a_stream_is_not_ended_by_the_gateway_and_other_answers_have_its_own_time() -> None:
    rules = [
        (match["path"]["value"], rule.get("timeouts"))
        for route in rendered("prod", "HTTPRoute")
        for rule in route["spec"]["rules"]
        for match in rule.get("matches", ())
    ]
    for service in SERVICES:
        for path, operations in json.loads(openapi.rendered()[service])["paths"].items():
            if any("text/event-stream" in str(one) for one in operations.values()):
                whole = [one for one in rules if f"{path}/".startswith(f"{one[0]}/")]
                assert max(whole)[1] == {"request": "0s"}, path
    assert ("/v1/complaints", None) in rules


@pytest.mark.parametrize("path", ["/metrics", "/docs", "/openapi.json", "/live", "/ready", "/"])
def test_what_operators_look_at_has_no_route_from_outside(path: str) -> None:
    assert routed(path) == set()


def test_whoever_comes_without_tls_is_sent_to_https() -> None:
    (gateway,) = rendered("prod", "Gateway")
    protocols = {one["name"]: one["protocol"] for one in gateway["spec"]["listeners"]}
    assert protocols == {"https": "HTTPS", "http": "HTTP"}
    for route in rendered("prod", "HTTPRoute"):
        plain = route["spec"]["parentRefs"][0]["sectionName"] == "http"
        assert plain is (name(route) == "to-https")
    redirect = named("prod", "HTTPRoute", "to-https")["spec"]["rules"][0]
    assert "backendRefs" not in redirect


def test_an_installation_names_its_host_once(tmp_path: Path) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not here, so nothing can be rendered")
    shutil.copytree(K8S, tmp_path / "k8s")
    overlay = tmp_path / "k8s/overlays/ours"
    shutil.copytree(K8S / "overlays/prod", overlay)
    chosen_here = overlay / "kustomization.yaml"
    text = chosen_here.read_text(encoding="utf-8")
    assert text.count("service-check.example") == 1
    chosen_here.write_text(text.replace("service-check.example", "hotel.test"), encoding="utf-8")
    done = subprocess.run(
        ["kubectl", "kustomize", overlay], capture_output=True, text=True, check=True
    )
    prod = (K8S / "rendered/prod.yaml").read_text(encoding="utf-8")
    assert "service-check.example" not in done.stdout
    assert done.stdout.count("hotel.test") == prod.count("service-check.example")


# Monitoring --------------------------------------------------------------------------------------


def metrics() -> dict[str, set[str]]:
    """Every series of the product with its labels; `service` and others come from the code."""
    found: dict[str, set[str]] = {}
    for one in vars(observe).values():
        if not hasattr(one, "_labelnames"):
            continue
        endings = {
            "counter": ("_total",),
            "histogram": ("_bucket", "_sum", "_count"),
            "gauge": ("",),
        }
        for ending in endings[one._type]:
            more = {"le"} if ending == "_bucket" else set()
            found[one._name + ending] = set(one._labelnames) | more
    return found


WORDS = {
    "absent", "sum", "by", "increase", "rate", "min", "max", "min_over_time", "and", "on", "or",
    "histogram_quantile",
}  # fmt: skip


def unknown(query: str) -> set[str]:
    """What a query names that is neither a metric, nor one of the labels of its metrics, nor PromQL."""
    bare = re.sub(r'"[^"]*"|\[[^\]]*\]', "", query)
    names = set(re.findall(r"[a-zA-Z_]\w*", bare)) - WORDS
    series = names & metrics().keys()
    labels = set().union(*(metrics()[one] for one in series)) if series else set()
    return names - series - labels if series else names | {"no metric"}


def alerts() -> Iterator[Document]:
    (rules,) = rendered("prod", "PrometheusRule")
    source = yaml.safe_load((ROOT / "deploy/monitoring/rules.yaml").read_text(encoding="utf-8"))
    assert rules["spec"] == source
    for group in source["groups"]:
        yield from group["rules"]


def test_every_alert_asks_for_metrics_that_exist_and_leads_to_a_section_of_the_runbook() -> None:
    text = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^a-z0-9 -]", "", one.lower()).replace(" ", "-")
        for one in re.findall(r"^## (.+)$", text, re.M)
    }
    names = []
    for alert in alerts():
        names.append(alert["alert"])
        assert unknown(alert["expr"]) == set(), alert["alert"]
        page, _, heading = alert["annotations"]["runbook"].partition("#")
        assert (page, heading in headings) == ("docs/runbook.md", True), alert["alert"]
        assert alert["labels"]["severity"] in ("page", "ticket")
    assert len(names) == len(set(names)) > 10


def test_a_query_that_names_no_metric_of_ours_or_a_wrong_label_is_found() -> None:
    assert unknown("sum by (service) (rate(requests_total[5m]))") == set()
    assert unknown("sum by (servce) (rate(requests_total[5m]))") == {"servce"}
    assert unknown("rate(requests[5m])") == {"requests", "no metric"}
    assert unknown('promises_broken_total{service="x"}') == {"service"}


def test_every_metric_of_the_runbook_has_an_alert_that_leads_where_the_runbook_sends() -> None:
    """What an operator acts on is told once, in the runbook; the alert is how they hear of it."""
    table = (ROOT / "docs/runbook.md").read_text(encoding="utf-8").partition("\n## Metrics\n")[2]
    rows = re.findall(r"^\| `([a-z_]+)` \| .*? \| (.*) \|$", table.partition("\n## ")[0], re.M)
    assert rows
    for metric, action in rows:
        sections = {
            one.lower().replace(" ", "-") for one in re.findall(r"\*([A-Z][^*]+)\*", action)
        }
        led = {
            alert["annotations"]["runbook"].partition("#")[2]
            for alert in alerts()
            if re.search(rf"\b{metric}(_total|_bucket|_count)?\b", alert["expr"])
        }
        assert led & sections if sections else led, metric


def test_every_panel_of_the_dashboard_asks_for_metrics_that_exist() -> None:
    boards = [json.loads(text) for text in (dashboard.text(), dashboard.measures())]
    queries = [
        target["expr"]
        for board in boards
        for panel in board["panels"]
        for target in panel.get("targets", ())
    ]
    assert [(query, found) for query in queries if (found := unknown(query))] == []
    shown = set(re.findall(r"[a-z_]+", " ".join(queries)))
    for metric in {re.sub("_(total|bucket|sum|count)$", "", one) for one in metrics()}:
        assert any(one.startswith(metric) for one in shown), metric
    for board in boards:
        ids = [panel["id"] for panel in board["panels"]]
        assert len(ids) == len(set(ids))
    assert boards[0]["uid"] != boards[1]["uid"]


def test_the_monitor_scrapes_the_operators_port_of_every_face() -> None:
    (monitor,) = rendered("prod", "ServiceMonitor")
    (endpoint,) = monitor["spec"]["endpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("ops", "/metrics")
    scraped = {
        name(one)
        for one in rendered("prod", "Service")
        if selects(monitor["spec"]["selector"], one["metadata"]["labels"])
        and any(port["name"] == "ops" for port in one["spec"]["ports"])
    }
    assert scraped == {f"{service}-{face}" for service in SERVICES for face in FACES}
