"""What was sent and what was answered, as the drivers saw it: plain data for the auditor."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

#: In every text, name, address and customer number that the drivers make up; nowhere else.
CANARY = "xcanaryx"
#: The header by which the auditor finds a record of ours on the intake topic.
SERIAL = "serial"


@dataclass(slots=True)
class Sent:
    """One record for the intake topic; its place is known once the broker confirmed it."""

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
    """One write over HTTP, asked under one key until it was answered, perhaps again afterwards."""

    service: str
    who: str
    path: str
    key: str
    body: dict[str, Any] | None
    #: What it is about, where the answer does not say: an offer, a letter.
    about: str = ""
    #: A page's form, without a token and without a key.
    form: bool = False
    #: Status and body of each final answer: the first, then those of the same again.
    answers: list[tuple[int, Any]] = field(default_factory=list)
    #: Attempts that may have been accepted without an answer: time-outs and broken connections.
    unheard: int = 0
    #: Attempts that were answered with "not now".
    not_now: int = 0

    @property
    def accepted(self) -> bool:
        """Whether the last answer is a yes."""
        return bool(self.answers) and self.answers[-1][0] < 300


@dataclass(slots=True)
class Diary:
    """Everything that the drivers did in one run."""

    sent: list[Sent] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    rounds: int = 0
    #: Answers that only a defect gives.
    defects: Counter[str] = field(default_factory=Counter)
    #: Processes that ended by themselves, which a supervisor would have started again.
    ended: Counter[str] = field(default_factory=Counter)
    #: Letters by Message-ID, as they came.
    letters: list[tuple[str, str, str]] = field(default_factory=list)
    #: What workers logged of records that were nearly lost, and of defects.
    noticed: Counter[str] = field(default_factory=Counter)
    logs: list[str] = field(default_factory=list)
