"""Who may import whom is stated in pyproject.toml, holds, and is a statement that can fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONTRACTS = [one["name"] for one in PYPROJECT["tool"]["importlinter"]["contracts"]]
#: A line that breaks the contract, and the module it is added to.
VIOLATIONS = [
    (
        "Inside complaints imports point inwards, and capabilities make no circle",
        "services/complaints/lifecycle/rules.py",
        "import services.complaints.promises.rules",
    ),
    (
        "Inside notifier imports point inwards, and capabilities make no circle",
        "services/notifier/messages/handlers.py",
        "import services.notifier.feedback.handlers",
    ),
    (
        "Inside compensation imports point inwards, and capabilities make no circle",
        "services/compensation/cases/rules.py",
        "import services.compensation.checks.rules",
    ),
    (
        "Inside compensation imports point inwards, and capabilities make no circle",
        "services/compensation/usage/rules.py",
        "import services.compensation.checks.handlers",
    ),
    (
        "Inside audit imports point inwards",
        "services/audit/chain/rules.py",
        "import services.audit.chain.handlers",
    ),
    (
        "Inside web imports point inwards",
        "services/web/sessions/rules.py",
        "import services.web.sessions.store",
    ),
    (
        "Services never know each other",
        "services/complaints/app.py",
        "import services.notifier.messages.rules",
    ),
    (
        "Services never know each other",
        "services/compensation/incidents/handlers.py",
        "import services.complaints.lifecycle.rules",
    ),
    (
        "Services know no operators' command and no test",
        "services/notifier/settings.py",
        "import shared.ops.policy",
    ),
    (
        "Shared knows no service",
        "shared/runtime/engine/settle.py",
        "import services.complaints.lifecycle.rules",
    ),
    (
        "Inside shared imports point inwards",
        "shared/contracts/event.py",
        "import shared.runtime.engine.store",
    ),
    (
        "Inside shared imports point inwards",
        "shared/runtime/engine/relay.py",
        "import shared.ops.topics",
    ),
    ("Inside shared imports point inwards", "shared/kernel.py", "import shared.contracts.event"),
    (
        "Rules know facts and money, and nothing else",
        "services/notifier/messages/rules.py",
        "import shared.runtime.faults",
    ),
    (
        "Rules know facts and money, and nothing else",
        "services/compensation/authority/windows.py",
        "import shared.runtime.privacy.links",
    ),
]


def lint(directory: Path) -> subprocess.CompletedProcess[str]:
    command = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    return subprocess.run(
        [sys.executable, "-c", command], cwd=directory, capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("tree")
    for folder in ("services", "shared", "devstack"):
        shutil.copytree(
            ROOT / folder, directory / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", directory)
    return directory


def test_every_contract_holds(copy):
    found = lint(copy)
    assert found.returncode == 0, found.stdout
    assert all(f"{name} KEPT" in found.stdout for name in CONTRACTS)


def test_every_contract_has_a_violation_here():
    assert {name for name, _, _ in VIOLATIONS} == set(CONTRACTS)


@pytest.mark.parametrize(("name", "path", "line"), VIOLATIONS)
def test_a_violation_is_reported_by_its_contract(copy, name, path, line):
    module = copy / path
    before = module.read_text(encoding="utf-8")
    module.write_text(f"{before}\n{line}\n", encoding="utf-8")
    try:
        found = lint(copy)
    finally:
        module.write_text(before, encoding="utf-8")
    assert found.returncode == 1
    assert f"{name} BROKEN" in found.stdout
