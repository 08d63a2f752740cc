"""Requests and answers as the drivers saw them: plain data for the auditor."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

#: A canary in every text, name, address and customer number of the drivers, and nowhere else.
CANARY = "xcanaryx"
#: The header by which the auditor finds the drivers' records on the intake topic.
SERIAL = "serial"


@dataclass(slots=True)
class Sent:
    """A record for the intake topic; its position is known once the broker confirmed it."""

    number: int
    source: str
    id: str
    kind: str
    binary: bool
    partition: int | None = None
    offset: int | None = None
    failed: str = ""


@dataclass(slots=True)
class Asked:
    """A write over HTTP, retried under one key until it was answered, perhaps repeated afterwards."""

    service: str
    who: str
    path: str
    key: str
    body: dict[str, Any] | None
    #: The offer or letter that it is about, if the answer does not say.
    about: str = ""
    #: Whether it is a page's form, without token and key.
    form: bool = False
    #: Status and body of each final answer: the first, then those of repeats.
    answers: list[tuple[int, Any]] = field(default_factory=list)
    #: Attempts with an unknown fate: time-outs and broken connections.
    unheard: int = 0
    #: Attempts that were answered 503 or 429.
    not_now: int = 0
    #: Attempts that no worker took.
    unreached: int = 0

    @property
    def accepted(self) -> bool:
        """Whether the last answer is a yes."""
        return bool(self.answers) and self.answers[-1][0] < 300


@dataclass(slots=True)
class Diary:
    """The record of one run."""

    sent: list[Sent] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    rounds: int = 0
    #: Answers that show a defect.
    defects: Counter[str] = field(default_factory=Counter)
    #: Processes that ended by themselves and would be restarted by a supervisor.
    ended: Counter[str] = field(default_factory=Counter)
    #: Letters by Message-ID, as they came.
    letters: list[tuple[str, str, str]] = field(default_factory=list)
    #: Log lines of workers about defects and records that were nearly lost.
    noticed: Counter[str] = field(default_factory=Counter)
    logs: list[str] = field(default_factory=list)
