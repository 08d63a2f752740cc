"""The report at the end of a run: what was done, and one line per invariant."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from itertools import chain
from pathlib import Path

from tests.chaos.audit.evidence import Evidence
from tests.chaos.audit.verdict import Verdict
from tests.chaos.diary import Diary

#: Log lines about records that were nearly lost or found late, and about defects.
NOTICED = (
    "batch_read_again",
    "records_missed",
    "records_gone",
    "reads_again",
    "handler_failed",
    "stream_broken",
    "request_failed",
)


def noticed(logs: Iterable[str]) -> Counter[str]:
    """How often workers logged each of these lines, and for how many records."""
    found: Counter[str] = Counter()
    for line in chain.from_iterable(text.splitlines() for text in logs):
        if not any(f'"{name}"' in line for name in NOTICED):
            continue
        try:
            said = json.loads(line)
        except ValueError:
            continue
        name = said.get("event")
        if name not in NOTICED:
            continue
        found[name] += 1
        if "first" in said and "last" in said:
            found[f"records in {name}"] += said["last"] - said["first"] + 1
    return found


def summary(diary: Diary, evidence: Evidence) -> list[str]:
    """Counts of records, requests and faults."""
    confirmed = sum(one.offset is not None for one in diary.sent)
    accepted = sum(one.accepted for one in diary.asked)
    refused = Counter(one.answers[-1][0] for one in diary.asked if one.answers and not one.accepted)
    unanswered = sum(not one.answers for one in diary.asked)
    kinds = Counter(one.kind for one in diary.sent)
    rebalances = {
        name.removeprefix("recovery-"): generation
        for name, generation in sorted(evidence.generations.items())
    }
    return [
        f"records   {len(diary.sent)} sent ({_listed(kinds)}), {confirmed} confirmed",
        f"requests  {len(diary.asked)} asked, {accepted} accepted, {sum(refused.values())} refused "
        f"({_listed(refused)}), {unanswered} never answered; "
        f"{sum(one.unheard for one in diary.asked)} attempts unheard, "
        f"{sum(one.not_now for one in diary.asked)} told to come back",
        f"letters   {len(diary.letters)} came",
        f"faults    {diary.rounds} rounds: {_listed(diary.faults)}",
        f"groups    {_listed(rebalances)} rebalances",
        f"ended     {_listed(diary.ended) or 'no process by itself'}",
        f"noticed   {_listed(diary.noticed) or 'nothing by the workers themselves'}",
    ]


def _listed(found: Counter[str] | Counter[int] | dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(found.items(), key=str))


def verdicts(found: list[Verdict]) -> list[str]:
    """One line per invariant, followed by its violations."""
    return [line for verdict in found for line in verdict.lines()]


def keep(directory: Path, diary: Diary, evidence: Evidence) -> None:
    """Write the auditor's evidence beside the logs, one JSON value per line. Blocks."""
    found = {
        "facts": (event for _, event in evidence.lines),
        "sent": map(asdict, diary.sent),
        "asked": map(asdict, diary.asked),
    }
    for name, values in found.items():
        with (directory / f"{name}.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(f"{json.dumps(value)}\n" for value in values)
