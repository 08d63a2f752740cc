"""A container engine for a Debian machine that has none: podman, its API service, and the images to begin with.

An image that cannot be pulled is made of Debian's packages instead, under the same name: a stand-in for trials and
tests, never for production. `make engine` and `make engine-down` are its commands.
"""

from __future__ import annotations

import ast
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer

from devstack import pids
from devstack.stack import (
    POM_FILE,
    ROOT,
    RUN_DIRECTORY,
    StackError,
    maven_jars,
    pip_packages,
)

SOURCES = ROOT / "deploy" / "engine"
CONTAINERS_CONF = SOURCES / "containers.conf"
COMPOSE_LOCK = SOURCES / "requirements.txt"
FOLDER = RUN_DIRECTORY / "engine"
SOCKET = FOLDER / "podman.sock"
PID_FILE = FOLDER / "podman.pid"
#: What a shell sources, and `make` by itself, to use the engine.
ENVIRONMENT_FILE = RUN_DIRECTORY / "engine.env"

#: Each program, and the Debian package that has it. crun refuses a machine that mixes both versions of cgroups.
PROGRAMS: Mapping[str, str] = {"podman": "podman", "runc": "runc"}
#: Made from Debian's archive, so that only its mirror is needed.
MAKER: Mapping[str, str] = {"mmdebstrap": "mmdebstrap"}
STAND_IN = "service-check.stand-in"
#: A pull, an installation or an image takes a minute or two.
STEP_DEADLINE_S = 600
ANSWER_DEADLINE_S = 30.0
#: Somebody else may be installing.
LOCK_WAIT_S = 300


@dataclass(frozen=True)
class Image:
    """An image that others start from or run, and the stand-in for it."""

    name: str
    suite: str
    packages: tuple[str, ...]
    #: Words of `podman import --change`.
    changes: tuple[str, ...]
    #: The files that go into the stand-in: their source, and the folder that they are copied to.
    files: Callable[[], Mapping[Path, str]] = dict
    #: Shell commands on the new root, which is `$1`.
    commands: tuple[str, ...] = ()


def _kafka_files() -> Mapping[Path, str]:
    return {
        SOURCES / "kafka.sh": "/usr/local/bin",
        **dict.fromkeys(
            maven_jars(POM_FILE, "Apache Kafka", "kafka").glob("*.jar"), "/opt/kafka/libs"
        ),
    }


#: Users, folders and entry points are those of the real images.
IMAGES = (
    Image(
        name="docker.io/library/python:3.11-slim-bookworm",
        suite="bookworm",
        packages=("ca-certificates", "python3", "python3-venv", "python3-pip"),
        changes=('CMD ["python3"]',),
    ),
    Image(
        name="docker.io/apache/kafka:4.4.0",
        suite="bookworm",
        packages=("openjdk-17-jre-headless",),
        changes=(
            'ENTRYPOINT ["kafka.sh"]',
            "USER 1000",
            "EXPOSE 9092",
            "VOLUME /var/lib/kafka/data",
        ),
        files=_kafka_files,
        commands=('install -d -o 1000 -g 1000 "$1/var/lib/kafka/data"',),
    ),
    Image(
        name="docker.io/valkey/valkey:9.0",
        # The first suite that has it, with TLS; it is version 8.1 there.
        suite="trixie",
        packages=("valkey-server", "valkey-tools"),
        changes=(
            'ENTRYPOINT ["valkey.sh"]',
            'CMD ["valkey-server"]',
            "USER 999",
            "WORKDIR /data",
            "EXPOSE 6379",
            "VOLUME /data",
        ),
        files=lambda: {SOURCES / "valkey.sh": "/usr/local/bin"},
        # The folder of the package's own file, which no other user may enter.
        commands=('install -d -o 999 -g 999 "$1/data"', 'rm -r "$1/etc/valkey"'),
    ),
)

app = typer.Typer(name="engine", help="A local container engine.", no_args_is_help=True)


@app.command("up")
def up_command() -> None:
    """Install podman, start its service and get the images, as far as they are missing; print the environment."""
    try:
        install(PROGRAMS)
        serve()
        for image in IMAGES:
            provide(image)
        variables = environment()
    except (StackError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    text = "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())
    ENVIRONMENT_FILE.write_text(text)
    _say(
        f"ready; `make` finds it by itself, a shell by: set -a; . {_shown(ENVIRONMENT_FILE)}; set +a"
    )
    typer.echo(text, nl=False)


@app.command("down")
def down_command() -> None:
    """Stop the service. Images and containers stay with podman."""
    service = pids.recall(PID_FILE)
    pids.stop([] if service is None else [service])
    for left in (SOCKET, PID_FILE, ENVIRONMENT_FILE):
        left.unlink(missing_ok=True)
    _say("stopped" if service is not None else "nothing to stop")


def environment() -> dict[str, str]:
    """Return the variables by which podman, docker's client, compose, testcontainers and `make image` find the engine.

    The first time it fetches podman-compose; raises StackError if that fails.
    """
    compose = pip_packages(COMPOSE_LOCK, "podman-compose", "podman-compose") / "podman_compose.py"
    return {
        "CONTAINERS_CONF": str(CONTAINERS_CONF),
        "DOCKER_HOST": f"unix://{SOCKET}",
        "COMPOSE": shlex.join([sys.executable, str(compose)]),
        # Ryuk is one more image, and it mounts the socket at the path where docker has it.
        "TESTCONTAINERS_RYUK_DISABLED": "true",
        "TESTCONTAINERS_HOST_OVERRIDE": "127.0.0.1",
        "TESTCONTAINERS_CONNECTION_MODE": "docker_host",
        # docker's client cannot mount files into a build.
        "ENGINE": "podman",
        "ENGINE_BUILD": shlex.join(build_words()),
    }


# Steps ---------------------------------------------------------------------------------------------


def install(programs: Mapping[str, str]) -> None:
    """Install the packages of missing programs; blocks for a minute. Raises StackError if that cannot be done."""
    missing = [package for program, package in programs.items() if shutil.which(program) is None]
    if not missing:
        return
    apt = shutil.which("apt-get")
    if apt is None or os.getuid() != 0:
        msg = f"missing: {' '.join(missing)}; install them, or run this as root on Debian"
        raise StackError(msg)
    _say(f"installing {' '.join(missing)}")
    quiet = (apt, "-qq", "-o", f"DPkg::Lock::Timeout={LOCK_WAIT_S}")
    _run(*quiet, "update")
    _run(*quiet, "install", "--yes", "--no-install-recommends", *missing)


def serve() -> None:
    """Start podman's API service on a socket of this clone, and wait until it answers."""
    if pids.recall(PID_FILE) is not None and _answers():
        _say("the service runs")
        return
    pids.private_folder(FOLDER)
    _say(f"starting podman's service on {_shown(SOCKET)}")
    service = pids.spawn(
        ["podman", "system", "service", "--time=0", f"unix://{SOCKET}"],
        directory=FOLDER,
        log=FOLDER / "podman.log",
        dies_with_parent=False,
    )
    pids.remember(service, PID_FILE)
    if not pids.wait_until(_answers, ANSWER_DEADLINE_S):
        pids.stop([service])
        msg = f"podman's service does not answer within {ANSWER_DEADLINE_S:.0f} s: {FOLDER / 'podman.log'}"
        raise StackError(msg)


def provide(image: Image) -> None:
    """Leave an image as it is, pull it, or make its stand-in; blocks for up to some minutes. Raises StackError."""
    if _succeeds("podman", "image", "exists", image.name):
        made_by = _label(image)
        if made_by in ("", recipe(image)):
            _say(f"{image.name} is here{', a stand-in' if made_by else ''}")
            return
        _say(f"{image.name} is a stand-in that was made differently: making it again")
        install(MAKER)
        make(image)
    elif _succeeds("podman", "pull", "--quiet", image.name):
        _say(f"{image.name} is pulled")
    else:
        _say(f"{image.name} cannot be pulled: making a stand-in of Debian {image.suite}'s packages")
        install(MAKER)
        make(image)


def _label(image: Image) -> str:
    """By which recipe a stand-in was made; empty for a real image."""
    form = f'{{{{index .Labels "{STAND_IN}"}}}}'
    return _run("podman", "image", "inspect", "--format", form, image.name).strip()


def recipe(image: Image) -> str:
    """The fingerprint of everything that a stand-in is made of, without fetching any of it."""
    made = hashlib.sha256(
        repr((image.suite, image.packages, image.changes, image.commands)).encode()
    )
    for source in (*sorted(SOURCES.glob("*.sh")), POM_FILE):
        made.update(source.read_bytes())
    return made.hexdigest()[:12]


def make(image: Image) -> None:
    """Make the stand-in of an image; blocks for a minute. Raises StackError."""
    with _apt_settings() as settings, tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        root = Path(folder) / "root.tar"
        hooks = [f'mkdir -p "$1{target}"' for target in sorted(set(image.files().values()))]
        hooks += [f"copy-in {shlex.quote(str(one))} {to}" for one, to in image.files().items()]
        # The machine's own settings are for fetching alone.
        hooks += [
            *image.commands,
            'rm -f "$1"/etc/apt/apt.conf.d/99mmdebstrap "$1"/etc/apt/sources.list',
        ]
        _run(
            "mmdebstrap",
            "--quiet",
            "--variant=minbase",
            f"--include={','.join(image.packages)}",
            f"--aptopt={settings}",
            *(f"--customize-hook={hook}" for hook in hooks),
            image.suite,
            str(root),
            *_mirrors(),
        )
        changes = (*image.changes, f"LABEL {STAND_IN}={recipe(image)}")
        words = [word for change in changes for word in ("--change", change)]
        _run("podman", "import", "--quiet", *words, str(root), image.name)


@contextmanager
def _apt_settings() -> Iterator[Path]:
    """Give a file with how this machine fetches packages, which a new root does not know by itself."""
    with tempfile.NamedTemporaryFile("w", dir=FOLDER, suffix=".conf") as file:
        file.write(_run("apt-config", "dump", "Acquire"))
        file.flush()
        yield Path(file.name)


def _mirrors() -> list[str]:
    """The mirror of Debian that this machine uses, if it names one."""
    wanted = ("Created-By: Packages", "Origin: Debian", "Label: Debian", "Component: main")
    return _run("apt-get", "indextargets", "--format", "$(REPO_URI)", *wanted).splitlines()[:1]


def build_words() -> list[str]:
    """Words of `podman build` by which pip and apt in a build fetch as they do here; they are in no layer."""
    pip = {}
    for line in _run("python3", "-m", "pip", "config", "list").splitlines():
        name, _, value = line.partition("=")
        pip[name.rpartition(".")[2]] = str(ast.literal_eval(value))
    mirrors = _mirrors()
    files = {
        "/etc/pip.conf": ["[global]", *(f"{name} = {value}" for name, value in pip.items())],
        "/etc/apt/apt.conf.d/99machine": _run("apt-config", "dump", "Acquire").splitlines(),
        "/etc/apt/sources.list": [f"deb {mirror} bookworm main" for mirror in mirrors],
    }
    mounts = {}
    for place, lines in files.items():
        here = FOLDER / Path(place).name
        here.write_text("".join(f"{line}\n" for line in lines))
        here.chmod(0o600)
        mounts[str(here)] = place
    if "cert" in pip:
        mounts[pip["cert"]] = pip["cert"]
    if not mirrors:
        del mounts[str(FOLDER / "sources.list")]
    return ["--network=host", *(f"--volume={here}:{there}:ro" for here, there in mounts.items())]


def _answers() -> bool:
    return _succeeds("podman", "--remote", "--url", f"unix://{SOCKET}", "version")


def _succeeds(*command: str) -> bool:
    try:
        _run(*command)
    except StackError:
        return False
    return True


def _run(*command: str) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=STEP_DEADLINE_S
        )
    except subprocess.TimeoutExpired:
        msg = f"{command[0]} did not end within {STEP_DEADLINE_S} s"
        raise StackError(msg) from None
    if done.returncode:
        msg = f"{shlex.join(command[:3])} failed: {(done.stderr or done.stdout).strip()[-2000:]}"
        raise StackError(msg)
    return done.stdout


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _say(line: str) -> None:
    typer.echo(f"engine: {line}", err=True)


if __name__ == "__main__":
    os.environ["CONTAINERS_CONF"] = str(CONTAINERS_CONF)
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    app(prog_name="python -m devstack.engine")
