"""The structure is what the documents say."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from shared.contracts.catalogue import SERVICES as WITH_TOPICS
from shared.contracts.catalogue import produced, subscriptions
from shared.contracts.reasons import Reason
from shared.runtime.engine.redis_store import script
from tests.suites.services import Aboard

ROOT = Path(__file__).parents[2]
SERVICES = sorted(path.parent for path in ROOT.glob("services/*/__main__.py"))
FILES = {"__init__.py", "__main__.py", "stream.py", "settings.py", "app.py"}
#: Capabilities that write and hand over, and decide nothing.
WITHOUT_DECISIONS = {"channels", "wording"}
#: Of a service with one capability beside those, and of each capability in a folder of its own: the
#: last two only where it is asked for something.
CAPABILITY = ("rules.py", "handlers.py", "api.py")
SOURCES = sorted([*ROOT.glob("services/**/*.py"), *ROOT.glob("shared/**/*.py")])
#: Of one function: what a reader sees at once.
LINES_MAX = 70
#: Modules that only run; importing them is running them.
RUNNABLE = {"__main__.py"}
PURE = {
    "__future__", "bisect", "collections", "dataclasses", "datetime", "enum", "functools", "itertools", "math",
    "typing", "zlib", "zoneinfo", "shared.contracts", "shared.kernel", "shared.money",
}  # fmt: skip
IMPURE_CALLS = {
    "now",
    "utcnow",
    "today",
    "monotonic",
    "open",
    "print",
    "input",
    "random",
    "urandom",
    "uuid4",
}


def committed() -> list[Path]:
    """Every text file that is or would be committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    found = [ROOT / name for name in listed.stdout.splitlines()]
    return [path for path in found if path.is_file() and path.stat().st_size < 5_000_000]


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_every_service_has_the_same_files_and_a_card(service):
    files = {path.name for path in service.iterdir()}
    assert FILES - ({"stream.py"} if service.name not in WITH_TOPICS else set()) <= files
    capabilities = [path for path in service.iterdir() if (path / "__init__.py").exists()]
    flat = set(CAPABILITY) <= files
    assert flat or capabilities, (
        "a service is flat, cut into capabilities, or flat with one beside it"
    )
    for capability in capabilities:
        decides = (capability / "rules.py").exists() or (capability / "handlers.py").exists()
        assert decides or capability.name in WITHOUT_DECISIONS
    card = ast.get_docstring(tree(service / "__init__.py")) or ""
    assert all(f"\n{word}" in card for word in ("owns", "consumes", "emits", "never"))


def of_card(part: str) -> set[tuple[str, str]]:
    """Topic and type of each fact in a part of a card: `topic (thing: happened, happened; thing: …)`."""
    return {
        (topic, f"recovery.{thing}.{happened}.v1")
        for topic, facts in re.findall(r"(recovery\.[a-z]+\.v1) \(([^)]*)\)", part)
        for thing, listed in re.findall(r"([a-z-]+):([^;]*)", facts)
        for happened in re.findall(r"[a-z]+", listed)
    }


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.name)
def test_a_card_names_every_fact_that_its_service_reads_or_makes(service):
    card = ast.get_docstring(tree(service / "__init__.py")) or ""
    parts = re.split(r"^(owns|consumes|emits|never) ", card, flags=re.M)
    by_word = dict(zip(parts[1::2], parts[2::2], strict=True))
    subscribed = subscriptions(service.name) if service.name in WITH_TOPICS else {}
    read = {(fact.TOPIC, fact.TYPE) for of in subscribed.values() for fact in of}
    assert of_card(by_word["consumes"]) == read
    made = {(fact.TOPIC, fact.TYPE) for fact in produced(service.name)}
    assert of_card(by_word["emits"]) == made


#: Every module of every service's rules, with the service it belongs to.
RULES = [
    (service.name, path)
    for service in SERVICES
    for path in sorted(
        {
            *service.glob("**/rules.py"),
            *service.glob("authority/*.py"),
            *service.glob("measures/[dp]*.py"),
        }
    )
]


def test_every_service_has_rules_to_look_at():
    assert {name for name, _ in RULES} == {service.name for service in SERVICES}


@pytest.mark.parametrize(
    ("name", "path"), RULES, ids=[str(path.relative_to(ROOT / "services")) for _, path in RULES]
)
def test_rules_are_pure(name, path):
    """No clock, randomness, IO or framework: time and ids are arguments."""
    own = {f"services.{name}.{place.parent.name}.{place.stem}" for _, place in RULES}
    allowed = {*PURE, *own, f"services.{name}.authority"}
    for node in ast.walk(tree(path)):
        names = (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        for found in names:
            assert any(found == pure or found.startswith(f"{pure}.") for pure in allowed), found
        if isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            assert called not in IMPURE_CALLS, f"line {node.lineno}: {called}"
        assert not isinstance(node, ast.AsyncFunctionDef | ast.Await)


def test_every_module_says_what_it_is_for():
    assert [path for path in SOURCES if not ast.get_docstring(tree(path))] == []


#: Not read at run time.
EXAMPLES = ROOT / "shared" / "contracts" / "examples"


def test_an_installed_package_has_every_file_that_is_read_at_run_time():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    packed = {
        path
        for package, patterns in settings["setuptools"]["package-data"].items()
        for pattern in patterns
        for path in ROOT.joinpath(*package.split(".")).glob(pattern)
    }
    wanted = {
        path
        for path in committed()
        if {"services", "shared"} & {*path.relative_to(ROOT).parts[:1]}
        if path.suffix != ".py" and EXAMPLES not in path.parents
    }
    assert packed == wanted


def test_every_script_of_the_store_is_found_as_a_resource_of_its_package():
    names = {path.stem for path in ROOT.glob("shared/runtime/engine/lua/*.lua")}
    source = (ROOT / "shared/runtime/engine/redis_store.py").read_text(encoding="utf-8")
    assert set(re.findall(r"script\(\"(\w+)\"\)", source)) == names
    assert all(script(name) for name in names)


def functions(path: Path) -> dict[str, int]:
    """The functions of a module by name and line, and how long each is without those inside it.

    A function that holds others, as a table of routes does, is as long as what it adds to them.
    """
    found: dict[str, int] = {}

    def lines(node: ast.AST) -> int:
        """Lines of the functions in a node."""
        inside = 0
        for child in ast.iter_child_nodes(node):
            within = lines(child)
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (child.end_lineno or 0) - child.lineno + 1
                found[f"{path}:{child.lineno} {child.name}"] = length - within
                within = length
            inside += within
        return inside

    lines(tree(path))
    return found


def test_every_function_fits_on_a_screen():
    """CONTRIBUTING: a reader holds one function in their head."""
    places = ("services", "shared", "devstack", "demo", "bench", "tests")
    every = [path for place in places for path in sorted((ROOT / place).rglob("*.py"))]
    long = {name: n for path in every for name, n in functions(path).items() if n > LINES_MAX}
    assert long == {}


def test_a_function_is_counted_without_those_inside_it(tmp_path):
    module = tmp_path / "one.py"
    module.write_text("def a():\n    x = 1\n\n    def b():\n        pass\n    return b\n")
    assert functions(module) == {f"{module}:1 a": 4, f"{module}:4 b": 2}


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.value)
def test_every_reason_is_given_somewhere(reason):
    texts = (path.read_text(encoding="utf-8") for path in SOURCES if path.name != "reasons.py")
    assert any(f"Reason.{reason.name}" in text for text in texts)


#: Ids that are spoken of, also as "INV-01, 02, 08".
CITATION = re.compile(r"INV-(\d\d)((?:, \d\d\b)*)")


def cited(text: str) -> set[str]:
    """Every invariant's id in a text."""
    return {
        f"INV-{number}"
        for first, more in CITATION.findall(text)
        for number in [first, *re.findall(r"\d\d", more)]
    }


def test_every_invariant_in_force_is_cited_by_a_test_and_every_citation_is_of_one():
    table, _, later = (
        (ROOT / "docs/invariants.md").read_text(encoding="utf-8").partition("## Later")
    )
    in_force = set(re.findall(r"^\| (INV-\d\d) ", table, re.M))
    tested: set[str] = set()
    for path in ROOT.glob("tests/**/test_*.py"):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(
                "test_"
            ):
                tested |= cited(ast.get_docstring(node) or "")
    assert in_force
    assert in_force <= tested
    assert tested <= in_force
    known = in_force | cited(later)
    places = [*SOURCES, *ROOT.glob("tests/**/*.py"), *ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    unknown = {
        str(path.relative_to(ROOT)): found
        for path in places
        if (found := cited(path.read_text(encoding="utf-8")) - known)
    }
    assert unknown == {}
    named = set(re.findall(r"`(tests/[a-z_/]+\.py)`", table))
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize(
    "text", ["INV" + "-98.", "INV" + "-01, 98: both", "INV" + "-01, INV" + "-98"]
)
def test_a_citation_of_an_invariant_that_is_not_there_would_be_found(text):
    assert "INV" + "-98" in cited(text)


def test_no_test_patches_what_it_tests():
    word = "mock" + ".patch"
    other = "unittest" + ".mock"
    for path in ROOT.glob("tests/**/*.py"):
        text = path.read_text(encoding="utf-8")
        assert word not in text, path
        assert other not in text, path


#: Put together here so that this file does not hold them.
FORBIDDEN = [
    "pypi" + r"\.org", r"registry\." + "npmjs", r"files\." + "pythonhosted", r"repo\.maven" + r"\.apache",
    r"repo1\." + "maven", r"index\." + "docker", r"registry-1\." + "docker", r"proxy\." + r"golang\.org",
    r"(?<![\w.])/" + "work/", "/tmp" + "/v/", "/home" + "/[a-z]+/", "/Users" + "/[A-Za-z]+/",
]  # fmt: skip


def test_no_committed_file_names_a_registry_or_a_place_on_somebodys_machine():
    pattern = re.compile("|".join(FORBIDDEN))
    found = []
    for path in committed():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {one[0]}" for one in pattern.finditer(text)]
    assert found == []


IMPORT = """
import importlib, json, socket, sys, threading
from pathlib import Path
opened = []
class Watched(socket.socket):
    def connect(self, address): opened.append(str(address)); return super().connect(address)
    def bind(self, address): opened.append(str(address)); return super().bind(address)
socket.socket = Watched
threads = threading.active_count()
for name in sys.argv[1:]:
    importlib.import_module(name)
assert threading.active_count() == threads, [one.name for one in threading.enumerate()]
assert not opened, opened
"""


def test_importing_anything_starts_nothing(tmp_path):
    """No threads, no sockets, no prints, no files."""
    modules = [
        str(path.relative_to(ROOT).with_suffix("")).replace("/", ".").removesuffix(".__init__")
        for path in SOURCES
        # Tables in Parquet need pyarrow, and training needs scikit-learn, which few have.
        if path.name not in (*RUNNABLE, "parquet.py", "training.py")
    ]
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, *modules],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr[-2000:]
    assert list(tmp_path.iterdir()) == []


async def test_apps_of_all_services_live_in_one_process_and_twice(tmp_path):
    first, second = await Aboard(tmp_path).begin(), await Aboard(tmp_path).begin()
    await first.raise_complaint()
    assert await second.types("complaints") == []
    for name in first.apps:
        for one in (first, second):
            async with one.http(name) as phone:
                assert (await phone.get("/live")).status_code == 200


def test_only_one_place_says_how_a_client_reaches_kafka():
    """A client made elsewhere would speak without TLS and login, whatever the settings say."""
    made = {
        str(path.relative_to(ROOT))
        for folder in ("services", "shared")
        for path in ROOT.glob(f"{folder}/**/*.py")
        if re.search(r"""\bbootstrap_servers["']?\s*[=:]""", path.read_text(encoding="utf-8"))
    }
    assert made == {"shared/runtime/wires.py"}
