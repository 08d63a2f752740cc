"""What a mail is, and what is taken of it: pure rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.contracts.intake import TEXT_MAX
from shared.contracts.names import visible
from shared.contracts.notifier import Helped

#: Mails of one sender that are taken in an hour: more than anybody writes, and an end to two machines that answer
#: each other without saying that they are machines.
SENDER_MAX = 10
#: The same for all mails of a site together whose sender cannot be used: each may be of another person. Nobody answers
#: them, so no machine keeps them coming; the bound is for the people who read them.
NO_SENDER_MAX = 100
#: Attachments whose names are written down; the rest is counted.
NAMED_MAX = 10
#: As much of an answer to a letter as is added to its complaint: some pages.
WORDS_MAX = 8000
#: What `Precedence` says of mails that nobody wrote to us. A list is none of them: a role's address may be one.
BULK = frozenset({"bulk", "junk", "auto_reply"})
#: The answers to "did it help?" in our languages, alone on the first line.
ANSWERS: Mapping[str, Helped] = {
    **dict.fromkeys(("ja", "yes", "jo", "ja takk", "ja tack", "ja tak", "yes thanks"), Helped.YES),
    **dict.fromkeys(("nei", "nej", "no", "nei takk", "nej tack", "nej tak"), Helped.NO),
    **dict.fromkeys(("delvis", "delvist", "partly", "til dels", "till viss del"), Helped.PARTLY),
}
#: What people put around such a word.
AROUND = " \t.!,;:)-–—"
#: The end of a text that was cut.
CUT = " …"


class Why(StrEnum):
    """Why a mail becomes nothing; it lies in the folder for a person to look at."""

    #: A machine's answer, like that of somebody who is away.
    AUTOMATIC = "automatic"
    BULK = "bulk"
    #: A letter came back.
    RETURNED = "returned"
    #: We wrote it.
    OURS = "ours"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True, repr=False)
class Mail:
    """What a mail says, without markup, quotations and control characters."""

    #: As its sender's program named it; a hash of the mail if it did not.
    message_id: str
    sender: str | None
    sender_name: str | None
    #: Every address that it was sent to.
    to: Sequence[str]
    subject: str
    words: str
    #: Names of attachments, neutralised, as many as are written down.
    attachments: Sequence[str] = ()
    attachments_count: int = 0
    #: The fields by which machines are known, in lower case; empty where absent.
    auto_submitted: str = ""
    precedence: str = ""
    answers_by_itself: bool = False
    returned: bool = False
    ours: bool = False

    @property
    def said(self) -> bytes:
        """What it says and who says it, the same by whichever way it came: each server writes fields of its own."""
        told = (self.sender, self.subject, self.words, *self.attachments, self.attachments_count)
        return repr(told).encode()


def why_not(mail: Mail) -> Why | None:
    """Why a mail is not taken; None if it is taken."""
    if mail.ours:
        return Why.OURS
    if mail.returned:
        return Why.RETURNED
    if mail.auto_submitted not in ("", "no") or mail.answers_by_itself:
        return Why.AUTOMATIC
    if mail.precedence in BULK:
        return Why.BULK
    if not visible(mail.subject + mail.words) and not mail.attachments_count:
        return Why.EMPTY
    return None


def answer_in(words: str) -> tuple[Helped | None, str]:
    """The answer to "did it help?" that words begin with, alone on their first line, and the words behind it."""
    first, _, rest = words.strip().partition("\n")
    helped = ANSWERS.get(" ".join(first.casefold().strip(AROUND).replace(",", "").split()))
    return helped, (rest.strip() if helped is not None else words)


def complaint_text(subject: str, words: str, attached: str) -> str:
    """The text of a complaint: subject, words, and a line about attachments, which is never cut off."""
    return _joined((subject, words), attached, TEXT_MAX)


def added_words(words: str, attached: str) -> str:
    """What is added to a complaint: the subject of an answer is ours."""
    return _joined((words,), attached, WORDS_MAX)


def _joined(texts: Sequence[str], attached: str, chars_max: int) -> str:
    said = "\n\n".join(text for text in texts if visible(text))
    room = chars_max - len(attached) - 2
    if len(said) > room:
        said = said[: room - len(CUT)].rstrip() + CUT
    return "\n\n".join(filter(None, (said, attached)))
