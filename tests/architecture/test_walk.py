"""How far a reader walks who follows one run through the code: the files in order, and the ways back.

Runs are over the store in memory. A reader opens a file where a function is entered that they have not
read, and comes back where that is in a file they had closed. Some files are looked up and not walked
through: what only names things (facts, the kernel's words, money), what stands in for the world (store in
memory, clock, ids), the points at which tests end a process, the spans of traces, which are off here, and the lexicon,
in which words are looked up.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from tests.suites.services import Aboard

ROOT = Path(__file__).parents[2]
NOT_ON_THE_WAY = (
    "shared/contracts/",
    "shared/kernel.py",
    "shared/money.py",
    "shared/testing/",
    "shared/runtime/engine/crash.py",
    "shared/runtime/engine/steps.py",
    "shared/runtime/tracing.py",
    "services/complaints/triage/lexicon.py",
    "services/complaints/triage/text.py",
)
#: What a walk may come to: files and ways back. Lower them with every detour that goes.
COMPLAINT_MAX, CHECK_MAX = (32, 66), (28, 53)


@dataclass
class Walk:
    """What a reader opened, one after the other, and how often they came back."""

    files: list[str] = field(default_factory=list)
    returns: list[str] = field(default_factory=list)
    _read: set[tuple[str, str]] = field(default_factory=set)
    _open: str = ""

    def enter(self, file: str, function: str) -> None:
        """A function begins."""
        if (file, function) in self._read:
            return
        self._read.add((file, function))
        if file not in self.files:
            self.files.append(file)
        elif file != self._open:
            self.returns.append(f"{file}: {function}")
        self._open = file

    @contextmanager
    def going(self) -> Iterator[None]:
        """Follow what runs meanwhile."""

        def look(frame: FrameType, event: str, _: object) -> None:
            file = frame.f_code.co_filename.removeprefix(f"{ROOT}/")
            ours = file.startswith(("services/", "shared/")) and file.endswith(".py")
            function = frame.f_code.co_qualname
            if event == "call" and ours and not file.startswith(NOT_ON_THE_WAY):
                self.enter(file, function.partition(".<locals>.<")[0])

        sys.setprofile(look)
        try:
            yield
        finally:
            sys.setprofile(None)


def documented(title: str) -> list[str]:
    """The files that the architecture lists under a title, in order."""
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    _, _, rest = text.partition(f"{title}:\n")
    return re.findall(r"`((?:services|shared)/[\w/]+\.py)`", rest.partition("\n\n")[0])


def is_as_documented(walk: Walk, title: str, most: tuple[int, int]) -> None:
    lines = ",\n".join(f"`{file}`" for file in walk.files)
    assert documented(title) == walk.files, f"write under {title!r}:\n{lines}"
    assert len(walk.files) <= most[0], walk.files
    assert len(walk.returns) <= most[1], "\n".join(walk.returns)


async def test_a_complaint_is_followed_from_its_bytes_to_its_letter(aboard: Aboard):
    """What compensation and audit make of it meanwhile are other walks."""
    await aboard.raise_complaint(0)
    await aboard.ring()
    await aboard.carry()  # what became of its letter is no part of the next one's way
    elsewhere = {name: aboard.apps.pop(name) for name in ("compensation", "audit")}
    walk = Walk()
    with walk.going():
        await aboard.raise_complaint(1, text="The food was cold.")
        await aboard.ring()
    aboard.apps |= elsewhere  # what is said of all services is of these too
    assert len(aboard.postbox.letters) == 2
    is_as_documented(walk, "The files of this walk", COMPLAINT_MAX)


async def test_a_check_is_followed_from_its_request_to_its_answer(aboard: Aboard):
    await aboard.raise_complaint()
    facts = await aboard.facts("complaints")
    bearer, wish = aboard.bearer(), {"item": "cinema", "reason": "food", "again": True}
    wish["complaint_id"] = facts[-1]["complaint_id"]
    assert (await aboard.post("checks", "first", wish, bearer)).status_code == 201
    walk = Walk()
    with walk.going():
        answer = await aboard.post("checks", "second", wish, bearer)
    assert answer.status_code == 201
    is_as_documented(walk, "The files of a check given", CHECK_MAX)


def test_a_reader_comes_back_for_what_they_have_not_read():
    walk = Walk()
    for file, function in [("a", "f"), ("b", "g"), ("a", "f"), ("a", "h"), ("a", "i"), ("b", "g")]:
        walk.enter(file, function)
    assert (walk.files, walk.returns) == (["a", "b"], ["a: h"])
