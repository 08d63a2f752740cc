"""The deliberate faults of `make mutants` still fit the code, and the tests that must find them exist."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.mutants.mutant import ROOT, Broken, Mutant, mutants

MUTANTS = mutants()


def test_each_fault_fits_one_place_of_the_code():
    wrong = []
    for mutant in MUTANTS:
        try:
            mutant.applied((ROOT / mutant.path).read_text(encoding="utf-8"))
        except (Broken, FileNotFoundError) as error:
            wrong.append(str(error))
    assert wrong == []


def test_the_tests_that_must_find_them_are_there():
    assert [f"{mutant.name}: {mutant.test}" for mutant in MUTANTS if not mutant.is_named()] == []


def test_there_are_enough_faults_of_every_area():
    areas = Counter(mutant.area for mutant in MUTANTS)
    assert sum(areas.values()) >= 60
    assert min(areas.values()) >= 6, areas


PATCH = """Fault: A customer waits for ever.
Test: tests/unit/test_x.py::test_y

--- a/shared/x.py
+++ b/shared/x.py
@@ -3,2 +3,2 @@
 def due():
-    return now >= at
+    return now > at
"""


def read(tmp_path, text: str) -> Mutant:
    (tmp_path / "x-y.patch").write_text(text)
    (found,) = mutants(tmp_path)
    return found


def test_a_fault_is_applied_wherever_its_lines_are_now(tmp_path):
    mutant = read(tmp_path, PATCH)
    assert (mutant.area, mutant.path) == ("x", "shared/x.py")
    moved = "import a\n\n\n\ndef due():\n    return now >= at\n"
    assert mutant.applied(moved) == moved.replace(">=", ">")
    assert not mutant.is_named()


@pytest.mark.parametrize(
    "text", ["def due():\n    return 1\n", 2 * "def due():\n    return now >= at\n"]
)
def test_a_fault_that_fits_nowhere_or_in_two_places_is_refused(tmp_path, text):
    with pytest.raises(Broken, match="of shared/x"):
        read(tmp_path, PATCH).applied(text)


@pytest.mark.parametrize(
    "broken",
    [
        PATCH.replace("Fault", "What"),
        PATCH.replace("Test: tests/unit/test_x.py::test_y\n", ""),
        PATCH.partition("\n--- ")[0],
        PATCH.replace("+    return now > at", "+    return now >= at"),
        PATCH.replace("+++ b/shared/x.py", "+++ b/shared/y.py"),
    ],
)
def test_what_is_no_fault_is_refused(tmp_path, broken):
    with pytest.raises(Broken):
        read(tmp_path, broken)
