"""Documents cannot lie: what they name exists, and what exists is named."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
import typer

from services.audit.settings import Settings as AuditSettings
from services.compensation.cases.rules import Case, History
from services.compensation.checks.rules import Check, End
from services.compensation.incidents.rules import Incident
from services.compensation.offers.rules import Offer
from services.compensation.redemptions.rules import Redemption
from services.compensation.settings import Settings as CompensationSettings
from services.compensation.staff.rules import Crew
from services.compensation.usage.rules import OpenWindow
from services.complaints.lifecycle.rules import Complaint
from services.complaints.settings import Settings as ComplaintsSettings
from services.notifier.messages.rules import Message
from services.notifier.messages.rules import State as MessageState
from services.notifier.settings import Settings as NotifierSettings
from services.notifier.subjects.rules import Story
from services.web.settings import Settings as WebSettings
from shared.contracts.catalogue import FACTS, topics
from shared.contracts.catalogue import SERVICES as WITH_TOPICS
from shared.contracts.compensation import Basis, CheckKind, Safety, Scope
from shared.contracts.complaints import Category, Severity
from shared.contracts.intake import Channel
from shared.contracts.lifecycle import State as ComplaintState
from shared.contracts.notifier import Helped, Occasion
from shared.contracts.reasons import Reason
from shared.contracts.roster import Employee
from shared.ops.__main__ import app as operator
from shared.runtime import observe
from shared.runtime.engine.settle import NOT_YET
from shared.runtime.http.auth import Kind
from tests.clients import __main__ as clients

ROOT = Path(__file__).parents[2]
WRITTEN = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/adr/*.md")])
DECISIONS = sorted(path for path in ROOT.glob("docs/adr/*.md") if path.name != "README.md")
SERVICES = sorted(path.parent for path in ROOT.glob("services/*/__main__.py"))
#: Everything that looks like a name in code must be one here.
EXACT = [
    ROOT / name
    for name in ("docs/architecture.md", "docs/runbook.md", "docs/gotchas.md", "CONTRIBUTING.md")
]
#: Names of other people's things that the exact pages speak of, and spellings of plain values.
FOREIGN = {
    "OOM", "READONLY", "MessageSizeTooLargeError", "max.message.bytes", "os._exit", "_total", "exactly_once",
    "Accept", "Host",
}  # fmt: skip
FOLDERS = "bench|demo|deploy|devstack|docs|policy|services|shared|tests|web"
each = pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
exact = pytest.mark.parametrize("page", EXACT, ids=lambda page: page.stem)


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def ticked(page: Path) -> set[str]:
    """Everything in single backticks outside of code blocks."""
    prose = re.sub(r"^```.*?^```", "", text(page), flags=re.M | re.S)
    return {" ".join(name.split()) for name in re.findall(r"`([^`]+)`", prose)}


@cache
def code() -> str:
    """All code of the product, and the files that configure it; no documents, no tests."""
    sources = [
        path
        for folder in ("services", "shared", "devstack", "demo")
        for path in ROOT.glob(f"{folder}/**/*")
        if path.suffix in {".py", ".lua"}
    ]
    return "\n".join(text(path) for path in [*sources, ROOT / "Makefile", ROOT / "pyproject.toml"])


#: Where the product's own names come from.
PRODUCT = ("services", "shared", "devstack", "demo")


def names_in(source: str) -> set[str]:
    """The names that Python code defines or uses, and its texts of one word; no comment, no docstring."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        # Constant, Name, Attribute, arg and keyword, alias and definitions: a pattern match is slower.
        for part in ("value", "id", "attr", "arg", "name", "asname"):
            name = getattr(node, part, None)
            if isinstance(name, str):
                found.add(name)
        if isinstance(node, ast.alias):
            found |= set(node.name.split("."))
    return found


@cache
def names_of_the_code() -> set[str]:
    """The names of all Python code of the product, and the words of the files that configure it."""
    found: set[str] = set()
    for folder in PRODUCT:
        for path in ROOT.glob(f"{folder}/**/*.py"):
            found |= names_in(text(path))
        for path in ROOT.glob(f"{folder}/**/*.lua"):
            found |= set(re.findall(r"\w+", re.sub(r"--.*", "", text(path))))
    for name in ("Makefile", "pyproject.toml"):
        found |= set(re.findall(r"\w+", re.sub(r"#.*", "", text(ROOT / name))))
    return found


@cache
def members() -> dict[str, set[str]]:
    """What each class of the product defines or annotates, by the class's name."""
    found: dict[str, set[str]] = {}
    for path in [
        path
        for folder in ("services", "shared", "devstack")
        for path in ROOT.glob(f"{folder}/**/*.py")
    ]:
        for node in ast.walk(ast.parse(text(path))):
            if isinstance(node, ast.ClassDef):
                names = found.setdefault(node.name, set())
                for part in node.body:
                    if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                        names.add(part.name)
                    elif isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                        names.add(part.target.id)
    return found


def is_in_the_code(name: str) -> bool:
    if name.startswith("recovery."):
        return name in FACTS or name in {topic.name for topic in topics()}
    if name.startswith(("services.", "shared.", "devstack.")):
        place = ROOT / name.replace(".", "/")
        return place.is_dir() or place.with_suffix(".py").exists()
    owner, _, member = name.rpartition(".")
    if owner:
        return member in members().get(owner, set())
    return name in names_of_the_code()


#: Names and the file that they are said to be in: "`x` in `path`", "`x` and `y` of `path`", "`x` (`path`".
PLACED = re.compile(
    r"((?:`[\w.]+`(?:,| and| or)? )+)(?:in |of |\()`((?:services|shared|tests)/[\w/]+\.py)`"
)


def placed(page: str) -> list[tuple[str, str]]:
    """Each name that a page says is in a file, and the file."""
    prose = " ".join(re.sub(r"^```.*?^```", "", page, flags=re.M | re.S).split())
    return [
        (name, found[2])
        for found in PLACED.finditer(prose)
        for name in re.findall(r"`([\w.]+)`", found[1])
    ]


def misplaced(page: str) -> list[str]:
    """Each name that a page says is in a file which neither defines nor uses it."""
    return [
        f"{name} in {place}"
        for name, place in placed(page)
        if not set(name.split(".")) <= names_in(text(ROOT / place))
    ]


@each
def test_every_relative_link_leads_somewhere(page):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text(page))
    assert [link for link in links if not (page.parent / link).exists()] == []


@each
def test_every_file_it_names_is_there(page):
    named = re.findall(rf"`((?:{FOLDERS})/[A-Za-z0-9_./-]*)`", text(page))
    assert [name for name in named if not (ROOT / name).exists()] == []


@each
def test_every_file_of_a_service_it_names_is_there(page):
    """`rules.py` alone means the file of that name in every service, or in one of its capabilities."""
    named = {name for name in ticked(page) if re.fullmatch(r"[a-z_]+\.py", name)}
    missing = {
        name
        for name in named
        for service in SERVICES
        if not (service / name).exists() and not any(service.glob(f"*/{name}"))
        # Only a service with a topic has a stream.
        if name != "stream.py" or service.name in WITH_TOPICS
    }
    assert missing == set()


@each
def test_every_command_it_names_can_be_given(page):
    targets = set(re.findall(r"^([a-z-]+):", text(ROOT / "Makefile"), re.M))
    assert set(re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)", text(page), re.M)) <= {
        pair for target in targets for pair in ((target, ""), ("", target))
    }
    groups = typer.main.get_command(operator).commands
    for group, command in re.findall(r"shared\.ops ([a-z]+)(?: ([a-z][a-z-]*))?", text(page)):
        assert group in groups
        # A command by itself has no commands; what follows it is what it works on.
        commands = getattr(groups[group], "commands", {})
        assert not command or not commands or command in commands


def test_the_readme_tells_clients_what_make_clients_runs():
    part = text(ROOT / "README.md").partition("\n## Clients\n")[2].partition("\n## ")[0]
    (command,) = re.findall(r"^npx openapi-typescript (\S+) (.*) -o \S+$", part, re.M)
    assert (ROOT / command[0]) in clients.DOCUMENTS
    assert tuple(command[1].split()) == clients.TYPESCRIPT
    run = text(ROOT / "tests/clients/__main__.py")
    tools = (
        "Redocly",
        "openapi-typescript",
        "tsc",
        "openapi-python-client",
        "mypy",
        "schemathesis",
    )
    for tool in tools:
        assert tool in part
        assert tool.lower() in run.lower()


@exact
def test_every_name_in_code_that_it_uses_is_in_the_code(page):
    """A module, a class, a function, a constant, a setting, a topic, a reason, a metric, a log line."""
    names = {name for name in ticked(page) if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", name)}
    names = {name for name in names if not name.endswith((".py", ".md", ".in", ".toml"))}
    settings = {name for name in names if name.startswith("SERVICE_CHECK_")}
    assert sorted(settings - settings_made()) == []
    of_tests = {name for name, place in placed(text(page)) if place.startswith("tests/")}
    unknown = names - FOREIGN - settings - of_tests
    assert sorted(name for name in unknown if not is_in_the_code(name)) == []


@exact
def test_every_name_is_in_the_file_it_is_said_to_be_in(page):
    assert misplaced(text(page)) == []


def test_a_name_that_only_a_comment_has_or_another_file_is_found():
    assert names_in('"""A door."""\n# a window\nhouse = roof("tile")\n') == {
        "A door.", "house", "roof", "tile",
    }  # fmt: skip
    place = "`services/compensation/checks/rules.py`"
    assert misplaced(f"`grant` and\n`refuse` in {place}, `Checks` ({place})") == [
        f"Checks in {place.strip('`')}"
    ]
    assert not is_in_the_code("issue")


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_every_decision_has_the_form_and_is_listed(page):
    found = text(page)
    title = found.partition("\n")[0].removeprefix("# ")
    assert title.startswith(f"{page.name[:4]}. ")
    parts = re.findall(r"^(?:Date|Status|## [A-Z][a-z]+)", found, re.M)
    assert parts == ["Date", "Status", "## Context", "## Decision", "## Consequences"]
    assert re.search(r"^Date: \d{4}-\d{2}-\d{2}$", found, re.M)
    assert re.search(r"^Status: (proposed|accepted|superseded by \d{4})$", found, re.M)
    assert f"- [{title}]({page.name})" in text(ROOT / "docs/adr/README.md")
    assert len(found.splitlines()) <= 60, "one page"


def test_decisions_are_numbered_without_gaps():
    numbers = [int(page.name[:4]) for page in DECISIONS]
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_reason_has_its_meaning_and_somebody_who_acts():
    listed = text(ROOT / "docs/reference/reasons.md")
    acts = text(ROOT / "docs/runbook.md").partition("## Reason codes")[2]
    assert [reason for reason in Reason if f"`{reason.value}`" not in listed] == []
    assert set(re.findall(r"`([a-z0-9_]+)`", acts.replace("`request_failed`", ""))) == set(Reason)


def rows(heading: str) -> set[str]:
    """The first cells of the table under a heading of the runbook."""
    part = text(ROOT / "docs/runbook.md").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `([a-z_]+)` \|", part, re.M))


def test_every_metric_is_in_the_runbook_and_every_metric_there_is_one():
    made = {
        found._name
        for found in vars(observe).values()
        if hasattr(found, "_name") and hasattr(found, "labels")
    }
    assert rows("Metrics") == made


def test_every_log_line_of_an_alarm_is_in_the_runbook_and_every_line_there_is_one():
    made = set(re.findall(r'log\.(?:warning|error|critical)\(\s*"([a-z_]+)"', code()))
    assert rows("Log lines") == made


def test_every_reason_to_end_a_process_is_in_the_runbook():
    made = set(re.findall(r'end_process\("([a-z_]+)"\)', code()))
    assert made
    assert rows("The process ends with status 70") == made


def test_every_section_the_runbook_sends_to_is_there():
    found = text(ROOT / "docs/runbook.md")
    headings = set(re.findall(r"^## (.+)$", found, re.M))
    assert set(re.findall(r"(?<!\*)\*([A-Z][^*]+)\*(?!\*)", found)) <= headings


@cache
def settings_made() -> set[str]:
    models = (
        ComplaintsSettings, CompensationSettings, NotifierSettings, AuditSettings, WebSettings,
    )  # fmt: skip
    return {
        str(field.validation_alias or f"SERVICE_CHECK_{name.upper()}")
        for model in models
        for name, field in model.model_fields.items()
    }


def test_every_setting_is_described_and_nothing_else():
    table = text(ROOT / "docs/architecture.md").partition("## Settings")[2]
    assert set(re.findall(r"`([A-Z][A-Z_]+)`", table)) == settings_made()


def test_every_file_of_a_service_is_in_the_architecture():
    named = ticked(ROOT / "docs/architecture.md")
    files = [path for service in SERVICES for path in service.glob("*.py")]
    others = [str(path.relative_to(ROOT)) for path in files if path.name not in named]
    assert [name for name in others if name not in named] == []


def test_every_topic_has_its_owner_in_the_architecture():
    table = text(ROOT / "docs/architecture.md").partition("## Contracts and owners")[2]
    owned = set(re.findall(r"^\| `([a-z0-9.]+)`", table.partition("\n## ")[0], re.M))
    assert {topic.name for topic in topics() if ".dlq." not in topic.name} <= owned


@pytest.mark.parametrize(
    "closed",
    [
        Basis,
        Category,
        Channel,
        CheckKind,
        ComplaintState,
        End,
        Helped,
        Kind,
        MessageState,
        Occasion,
        Safety,
        Scope,
        Severity,
    ],
    ids=lambda closed: f"{closed.__module__.split('.')[1]}-{closed.__name__}",
)
def test_every_value_of_a_closed_list_is_in_the_glossary(closed):
    listed = text(ROOT / "docs/glossary.md")
    assert [value.value for value in closed if f"`{value.value}`" not in listed] == []


#: Documents that people speak of.
ENTITIES = (
    Case, Check, Complaint, Crew, Employee, History, Incident, Message, Offer, OpenWindow, Redemption, Story,
)  # fmt: skip


def test_a_word_has_one_row_in_the_glossary():
    words = re.findall(r"^\| ([^|]+) \|", text(ROOT / "docs/glossary.md"), re.M)
    words = [word for word in words if word != "word" and not word.startswith("-")]
    assert len(words) == len(set(words))
    kinds = {document.KIND for document in ENTITIES}
    assert kinds <= {part.strip() for word in words for part in word.split(",")}


#: Where records of a stream are refused.
REFUSES = (
    "shared/runtime/kafka/inbox.py",
    "shared/runtime/policies.py",
    "services/complaints/intake/handlers.py",
)


def test_the_runbook_says_what_to_do_with_a_dead_letter_of_each_reason():
    found = {Reason.HANDLER_FAILED, Reason.DEAD_LETTER_UNREADABLE, *NOT_YET}
    for path in REFUSES:
        names = re.findall(r"Rejected\(Reason\.([A-Z_0-9]+)", text(ROOT / path))
        found |= {Reason[name] for name in names}
    assert len(found) > len(NOT_YET) + len(REFUSES)
    section = (
        text(ROOT / "docs/runbook.md").partition("\n## Dead letters\n")[2].partition("\n## ")[0]
    )
    rows = "".join(line for line in section.splitlines() if line.startswith("| `"))
    assert [reason for reason in sorted(found) if f"`{reason.value}`" not in rows] == []
