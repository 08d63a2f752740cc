"""Documents cannot lie: what they name exists, and what exists is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from services.compensation.settings import Settings as CompensationSettings
from services.complaints.settings import Settings as ComplaintsSettings
from services.notifier.settings import Settings as NotifierSettings
from shared.contracts.reasons import Reason
from shared.runtime import observe

ROOT = Path(__file__).parents[2]
WRITTEN = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/adr/*.md")],
)
DECISIONS = sorted(path for path in ROOT.glob("docs/adr/*.md") if path.name != "README.md")
FOLDERS = "bench|demo|deploy|docs|policy|services|shared|tests|web"
each = pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@each
def test_every_relative_link_leads_somewhere(page):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text(page))
    assert [link for link in links if not (page.parent / link).exists()] == []


@each
def test_every_file_it_names_is_there(page):
    named = re.findall(rf"`((?:{FOLDERS})/[A-Za-z0-9_./-]*)`", text(page))
    assert [name for name in named if not (ROOT / name).exists()] == []


@each
def test_every_command_it_names_can_be_given(page):
    makefile = text(ROOT / "Makefile")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.M))
    assert set(re.findall(r"`make ([a-z-]+)", text(page))) <= targets
    groups = {path.stem for path in ROOT.glob("shared/ops/*.py")}
    assert set(re.findall(r"shared\.ops ([a-z]+)", text(page))) <= groups


@each
def test_every_name_in_code_that_it_uses_is_in_the_code(page):
    names = set(re.findall(r"`([A-Z][A-Za-z]+(?:\.[a-z_]+)?|[A-Z][A-Z_]{4,})`", text(page)))
    code = "\n".join(text(path) for path in ROOT.glob("s*/**/*.py"))
    missing = {
        name
        for name in names
        if not re.search(rf"\b{name.rpartition('.')[2] or name}\b", code)
        and not name.startswith(("SERVICE_CHECK_", "KAFKA_", "REDIS_", "OOM", "READONLY"))
    }
    assert missing == set()


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_every_decision_has_the_form_and_is_listed(page):
    found = text(page)
    assert found.startswith(f"# {page.name[:4]}. ")
    parts = re.findall(r"^(?:Date|Status|## [A-Z][a-z]+)", found, re.M)
    assert parts == ["Date", "Status", "## Context", "## Decision", "## Consequences"]
    assert f"]({page.name})" in text(ROOT / "docs/adr/README.md")
    assert len(found.splitlines()) <= 60, "one page"


def test_decisions_are_numbered_without_gaps():
    numbers = [int(page.name[:4]) for page in DECISIONS]
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_reason_has_its_meaning():
    listed = text(ROOT / "docs/reference/reasons.md")
    assert [reason for reason in Reason if f"`{reason.value}`" not in listed] == []


def test_every_metric_is_in_the_runbook_and_every_metric_there_is_one():
    made = {
        found._name
        for found in vars(observe).values()
        if hasattr(found, "_name") and hasattr(found, "labels")
    }
    listed = set(re.findall(r"^\| `([a-z_]+)` \|", text(ROOT / "docs/runbook.md"), re.M))
    assert listed == made


def test_every_setting_is_described_and_nothing_else():
    models = (ComplaintsSettings, CompensationSettings, NotifierSettings)
    made = {
        field.validation_alias or f"SERVICE_CHECK_{name.upper()}"
        for model in models
        for name, field in model.model_fields.items()
    }
    table = text(ROOT / "docs/architecture.md").partition("## Settings")[2]
    assert set(re.findall(r"`([A-Z][A-Z_]+)`", table)) == made
