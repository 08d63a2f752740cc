"""A broker that asks everybody for TLS and a login, with the users, rights and topics of the manifests.

Services come to the port of the manifest, other systems to one beside it: both by SCRAM-SHA-512, both under the
same rights. Administrators, the broker itself and its controller have ports of their own and log in by PLAIN,
because users by SCRAM are there only once somebody made them.
"""

from __future__ import annotations

import re
import secrets
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePattern,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from devstack.stack import KAFKA_SETTINGS
from shared.runtime.wires import Broker, Login
from tests.live.pods import Document

IMAGE = "docker.io/apache/kafka:4.4.0"
#: The user that the image is made for.
USER = "1000:1000"
DATA, TLS = "/var/lib/kafka/data", "/etc/kafka-tls"
SERVICES_PORT, OUTSIDE_PORT, ADMIN_PORT, CONTROLLER_PORT = 9093, 9094, 9095, 9096
MODULES = "org.apache.kafka.common.security"
ADMIN = "admin"


@dataclass
class Kafka:
    """The broker's address, the authority of its certificate, and the passwords of its users."""

    address: str
    #: What services call it.
    name: str
    ca: Path
    passwords: dict[str, str]
    admin_password: str = field(default_factory=lambda: secrets.token_hex(24), repr=False)

    def as_admin(self) -> Broker:
        """How an administrator reaches it."""
        return self._at(ADMIN_PORT, Login("PLAIN", ADMIN, self.admin_password))

    def as_user(self, user: str) -> Broker:
        """How a user of the manifests reaches it."""
        return self._at(OUTSIDE_PORT, Login("SCRAM-SHA-512", user, self.passwords[user]))

    def _at(self, port: int, login: Login) -> Broker:
        tls = ssl.create_default_context(cafile=self.ca)
        return Broker(f"{self.address}:{port}", tls, login)

    def words(self, config: Mapping[str, object], data: Path, tls: Path) -> list[str]:
        """The words of `podman run`; `config` is what the manifest says, `tls` has broker.pem and ca.pem."""
        found = [
            f"--user={USER}", "--read-only", "--read-only-tmpfs=false", "--tmpfs=/tmp:size=64m,mode=1777",
            "--cap-drop=ALL", "--security-opt=no-new-privileges", "--memory=1g",
            f"--volume={data}:{DATA}", f"--volume={tls}:{TLS}:ro",
            "--env=KAFKA_HEAP_OPTS=-Xms256m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1",
        ]  # fmt: skip
        for name, value in self._settings(config).items():
            variable = name.replace("_", "__").replace("-", "___").replace(".", "_").upper()
            found.append(f"--env=KAFKA_{variable}={value}")
        return [*found, IMAGE]

    def _settings(self, config: Mapping[str, object]) -> dict[str, str]:
        ours = {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in config.items()
        }
        login = f'{MODULES}.plain.PlainLoginModule required username="{ADMIN}" password="{self.admin_password}"'
        found = {
            **KAFKA_SETTINGS,
            **ours,
            # Everything runs on one machine: a broker that waits for a core for some seconds must not lose its partitions.
            "broker.session.timeout.ms": "18000",
            "listeners": f"SERVICES://:{SERVICES_PORT},OUTSIDE://:{OUTSIDE_PORT},ADMIN://:{ADMIN_PORT},"
            f"CONTROLLER://localhost:{CONTROLLER_PORT}",
            "advertised.listeners": f"SERVICES://{self.name}:{SERVICES_PORT},"
            f"OUTSIDE://{self.address}:{OUTSIDE_PORT},ADMIN://{self.address}:{ADMIN_PORT}",
            "listener.security.protocol.map": ",".join(
                f"{one}:SASL_SSL" for one in ("SERVICES", "OUTSIDE", "ADMIN", "CONTROLLER")
            ),
            "inter.broker.listener.name": "ADMIN",
            "sasl.mechanism.inter.broker.protocol": "PLAIN",
            "sasl.mechanism.controller.protocol": "PLAIN",
            "controller.quorum.voters": f"1@localhost:{CONTROLLER_PORT}",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": f"{TLS}/broker.pem",
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": f"{TLS}/ca.pem",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:{ADMIN}",
            "log.dirs": DATA,
        }
        for listener in ("services", "outside"):
            prefix = f"listener.name.{listener}"
            found[f"{prefix}.sasl.enabled.mechanisms"] = "SCRAM-SHA-512"
            scram = f"{MODULES}.scram.ScramLoginModule required;"
            found[f"{prefix}.scram-sha-512.sasl.jaas.config"] = scram
        for listener in ("admin", "controller"):
            prefix = f"listener.name.{listener}"
            found[f"{prefix}.sasl.enabled.mechanisms"] = "PLAIN"
            users = f'{login} user_{ADMIN}="{self.admin_password}";'
            found[f"{prefix}.plain.sasl.jaas.config"] = users
        return found

    def set_up(self, users: Sequence[Document], topics: Sequence[Document]) -> None:
        """Make the users with their rights, and the topics, as an operator of Kafka does. Blocks."""
        with closing(KafkaAdminClient(**self.as_admin().client())) as admin:
            self._set_passwords(admin, self.passwords)
            admin.create_acls([acl for user in users for acl in _acls(user)])
            for topic in topics:
                spec = topic["spec"]
                options = {
                    "num_partitions": spec["partitions"],
                    "replication_factor": spec["replicas"],
                    "configs": {name: str(value) for name, value in spec["config"].items()},
                }
                admin.create_topics({topic["metadata"]["name"]: options})
            names = [topic["metadata"]["name"] for topic in topics]
            admin.wait_for_topics(names, timeout_ms=60_000)

    def replace_passwords(self, passwords: Mapping[str, str]) -> None:
        """Give users other passwords, as Strimzi does once a Secret is deleted: the ones before are refused. Blocks."""
        with closing(KafkaAdminClient(**self.as_admin().client())) as admin:
            self._set_passwords(admin, passwords)
        self.passwords.update(passwords)

    def _set_passwords(self, admin: KafkaAdminClient, passwords: Mapping[str, str]) -> None:
        mechanism = ScramMechanism.SCRAM_SHA_512
        admin.alter_user_scram_credentials(
            [
                UserScramCredentialUpsertion(user, mechanism, password)
                for user, password in passwords.items()
            ]
        )


def _acls(user: Document) -> Iterator[ACL]:
    """The rights of a KafkaUser, each for itself."""
    for acl in user["spec"]["authorization"]["acls"]:
        resource = acl["resource"]
        pattern = ResourcePattern(
            ResourceType[resource["type"].upper()],
            resource["name"],
            ACLResourcePatternType[resource["patternType"].upper()],
        )
        for operation in acl["operations"]:
            name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).upper()
            who = f"User:{user['metadata']['name']}"
            yield ACL(who, "*", ACLOperation[name], ACLPermissionType.ALLOW, pattern)
