"""A pod of the rendered manifests as a container of podman: its image, words, settings, files and confinement.

Whatever a manifest says that is not read here has no effect in these tests: probes, spread and labels.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Document = dict[str, Any]
#: A step of podman takes seconds; a service may take its whole grace to stop.
STEP_DEADLINE_S = 120.0


class PodmanFailed(AssertionError):
    """A command of podman ended with another status than 0; the message has what it said."""


def podman(*words: str, timeout_s: float = STEP_DEADLINE_S) -> str:
    """Run podman and return what it says on standard output. Blocks; raises PodmanFailed."""
    done = subprocess.run(
        ["podman", *words], capture_output=True, text=True, check=False, timeout=timeout_s
    )
    if done.returncode:
        said = f"{done.stdout}\n{done.stderr}".strip()
        raise PodmanFailed(f"podman {' '.join(words[:4])} …: {said[-3000:]}")
    return done.stdout.strip()


@dataclass(frozen=True)
class Sources:
    """Secrets and ConfigMaps of the namespace, each with its texts by key."""

    secrets: Mapping[str, Mapping[str, str]]
    config_maps: Mapping[str, Mapping[str, str]]

    def files(self, volume: Document) -> Iterator[tuple[str, str]]:
        """Name and text of each file in a volume; raises KeyError for one that has no source."""
        if "projected" in volume:
            parts = [(self.secrets, one["secret"]) for one in volume["projected"]["sources"]]
        elif "secret" in volume:
            secret = volume["secret"]
            parts = [(self.secrets, {**secret, "name": secret["secretName"]})]
        else:
            parts = [(self.config_maps, volume["configMap"])]
        for kind, part in parts:
            optional = part.get("optional", False)
            texts = kind.get(part["name"], {}) if optional else kind[part["name"]]
            items = part.get("items") or [{"key": key, "path": key} for key in texts]
            for item in items:
                if item["key"] in texts or not optional:
                    yield item["path"], texts[item["key"]]

    def environment(self, container: Document) -> Iterator[tuple[str, str]]:
        """Name and value of each variable of a container; raises KeyError, also for a secret."""
        for one in container.get("env", []):
            if "value" in one:
                yield one["name"], one["value"]
            else:
                reference = one["valueFrom"]["configMapKeyRef"]
                yield one["name"], self.config_maps[reference["name"]][reference["key"]]


def words(
    spec: Document, container: Document, sources: Sources, folder: Path, claims: Mapping[str, Path]
) -> list[str]:
    """The words of `podman run` for a container of a pod, from its options to its last argument.

    Files of its volumes are written to `folder`, which is made; `claims` are the folders of its lasting volumes.
    """
    pod, own = spec["securityContext"], container["securityContext"]
    found = [
        "--no-healthcheck",  # the image's own, which a kubelet does not use
        f"--user={pod['runAsUser']}:{pod['runAsGroup']}",
        f"--memory={container['resources']['limits']['memory'].removesuffix('i').lower()}",
        *(f"--cap-drop={one}" for one in own["capabilities"]["drop"]),
        *(f"--env={name}={value}" for name, value in sources.environment(container)),
    ]
    if "fsGroup" in pod:
        found.append(f"--group-add={pod['fsGroup']}")
    if own["readOnlyRootFilesystem"]:
        found += ["--read-only", "--read-only-tmpfs=false"]
    if not own["allowPrivilegeEscalation"]:
        found.append("--security-opt=no-new-privileges")
    volumes = {one["name"]: one for one in spec.get("volumes", [])}
    for mount in container.get("volumeMounts", []):
        name, path = mount["name"], mount["mountPath"]
        if name in claims:
            found.append(f"--volume={claims[name]}:{path}")
        elif empty := volumes[name].get("emptyDir"):
            size = empty["sizeLimit"].removesuffix("i").lower()
            found.append(f"--tmpfs={path}:size={size},mode=1777")
        else:
            place = _written(volumes[name], sources, folder / name, pod.get("fsGroup", 0))
            found.append(f"--volume={place / mount.get('subPath', '')}:{path}:ro")
    program, *more = container.get("command", [""])
    if program:
        found.append(f"--entrypoint={program}")
    return [*found, container["image"], *more, *container.get("args", [])]


def _written(volume: Document, sources: Sources, place: Path, group: int) -> Path:
    """The folder of a volume with its files, as a kubelet makes it: of root, readable by the pod's group."""
    (kind,) = set(volume) - {"name"}
    mode = volume[kind].get("defaultMode", 0o644) | (0o040 if group else 0)
    place.mkdir(parents=True)
    for name, text in sources.files(volume):
        path = place / name
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        os.chown(path, 0, group)
    place.chmod(0o755)
    return place
