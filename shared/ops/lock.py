"""Cut the image's lock out of the whole lock: what services run on, without tests and tools."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

#: The line of requirements.in after which nothing is for the image.
TOOLS = "# Tests, demo, bench and tools."


def runtime_lock(wanted: str, lock: str) -> str:
    """The blocks of a lock that the first part of requirements.in needs, whatever asks for them.

    Raises LookupError for a name that the lock does not have.
    """
    blocks = _blocks(lock)
    roots = {
        _name(line)
        for line in wanted.partition(TOOLS)[0].splitlines()
        if line.strip() and not line.startswith("#")
    }
    if missing := roots - blocks.keys():
        msg = f"requirements.txt does not have {', '.join(sorted(missing))}"
        raise LookupError(msg)
    parents = {name: _parents(texts) for name, texts in blocks.items()}
    needed = set(roots)
    while more := {name for name, by in parents.items() if by & needed} - needed:
        needed |= more
    return "".join(text for name, texts in blocks.items() if name in needed for text in texts)


def _name(line: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", line)
    return found[0].lower() if found else ""


def _blocks(lock: str) -> Mapping[str, Sequence[str]]:
    """A lock's blocks by package: pin, hashes and the comment on who needs it; a package may have several."""
    found: dict[str, list[str]] = {}
    for text in re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.M)[1:]:
        found.setdefault(_name(text), []).append(text)
    return found


def _parents(texts: Sequence[str]) -> set[str]:
    """Who needs a package, by the lock's comments: `# via a`, or `# via` and a line for each."""
    comments = re.findall(r"^ +#(?: +via)?(?: +(.+))?$", "".join(texts), flags=re.M)
    return {_name(one) for one in comments if one and not one.startswith("-r ")}
