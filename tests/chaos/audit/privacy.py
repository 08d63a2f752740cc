"""Customers' words, names and addresses are in clear only in the intake and in letters."""

from __future__ import annotations

from collections.abc import Iterator

from tests.chaos.audit.evidence import INTAKE, Evidence
from tests.chaos.audit.verdict import Verdict
from tests.chaos.diary import CANARY, Diary


def places(evidence: Evidence, diary: Diary) -> Iterator[tuple[str, bytes]]:
    """Every stored value, with its place."""
    for one in evidence.records:
        if one.topic != INTAKE:
            where = f"{one.topic}/{one.partition}/{one.offset}"
            yield where, one.key + one.value
            yield (
                f"a header of {where}",
                b" ".join((*map(str.encode, one.headers), *one.headers.values())),
            )
    for name, value in evidence.values.items():
        yield f"Redis {name.split(':')[2]}", name.encode() + value
    for name, lines in evidence.lists.items():
        yield f"Redis list {name}", name.encode() + b"".join(lines)
    for name, members in evidence.scores.items():
        yield f"Redis set {name}", "".join((name, *members)).encode()
    for number, text in enumerate(diary.logs):
        yield f"log or metrics {number}", text.encode()


def nothing_planted_outside(evidence: Evidence, diary: Diary) -> Verdict:
    """The planted words occur nowhere else."""
    looked, wrong, planted = 0, [], CANARY.encode()
    for where, found in places(evidence, diary):
        looked += 1
        if planted in found:
            wrong.append(where)
    in_intake = sum(planted in one.value for one in evidence.intake)
    numbers = f"{looked} places, planted in {in_intake} records"
    return Verdict("no planted word outside intake, letters and seals", numbers, wrong)


INVARIANTS = (nothing_planted_outside,)
