"""As much of a mail as Python's parser reads soon, whatever was sent."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.message import Message
from email.policy import compat32
from typing import Any

#: Lines that begin with "--", of which each part has one; mentions of a boundary, of which each nested part has one;
#: and lines. What lies behind is not read: the parser takes as long as their product.
DASHES_MAX, BOUNDARIES_MAX, LINES_MAX = 300, 20, 200_000
#: Mentions of the type of a mail within a mail, for each of which the parser calls itself: a thousand are too many.
MESSAGES_MAX = 100
#: The fields before the words; a longer head is somebody's trick.
HEAD_BYTES_MAX = 128 * 1024
_HEAD_END = re.compile(rb"\r?\n\r?\n")


class Part(Message):
    """A part of a mail. A parameter that Python cannot decode is absent, as one that nobody wrote."""

    def get_param(
        self, param: str, failobj: Any = None, header: str = "content-type", unquote: bool = True
    ) -> Any:
        """The parameter of a field, or `failobj`."""
        try:
            return super().get_param(param, failobj, header, unquote)
        except (TypeError, ValueError):  # pieces with and without a number; a bad character set
            return failobj

    def get_boundary(self, failobj: Any = None) -> Any:
        """What parts the parts, or `failobj`."""
        try:
            return super().get_boundary(failobj)
        except ValueError:
            return failobj


def parsed(raw: bytes) -> Message:
    """The mail, or its beginning as far as `bounded` reads. No mail raises."""
    return message_from_bytes(bounded(raw), Part, policy=compat32)


def bounded(raw: bytes) -> bytes:
    """The mail, or its beginning. Takes as long as one reading."""
    head = _HEAD_END.search(raw)
    if (head.start() if head is not None else len(raw)) > HEAD_BYTES_MAX:
        return raw[:HEAD_BYTES_MAX].rpartition(b"\n")[0]
    for mark, most in (
        (re.compile(rb"\n--"), DASHES_MAX),
        (re.compile(rb"boundary", re.I), BOUNDARIES_MAX),
        (re.compile(rb"message/", re.I), MESSAGES_MAX),
        (re.compile(rb"\r\n?|\n"), LINES_MAX),
    ):
        for number, found in enumerate(mark.finditer(raw)):
            if number == most:
                raw = raw[: found.start()]
                break
    return raw
