"""What mail servers send back: reports of delivery (RFC 3464) and plain returns, read with the standard library."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from email.message import Message

from services.notifier.channels.wires import Posted, Report
from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected
from shared.runtime.http.signatures import check_standard
from shared.runtime.mail.bounds import parsed

#: A Message-ID of ours, as `smtp.written` makes it.
_OURS = re.compile(r"<(me-[0-9a-f]{32})@[^\s<>@]+>")
#: Parts of a mail that are looked at; a report has three.
PARTS_MAX = 50
#: A permanent failure (RFC 3463, 2); a status of 4.x is told as a delay by servers that keep to the standard.
_FAILED = re.compile(r"5\.\d{1,3}\.\d{1,3}")


def bounce_of(raw: bytes) -> Report:
    """What a returned mail says of a message of ours; raises Rejected(schema_invalid) if it says nothing.

    Failed means undelivered, delivered or relayed by the last server means delivered; a report of delay
    means neither. Automatic answers of people who are away are no reports. Of a mail beyond `bounded`, its
    beginning is read.
    """
    mail = parsed(raw)
    parts = [part for part, _ in zip(mail.walk(), range(PARTS_MAX), strict=False)]
    message_id = next(_named(parts), None)
    actions = [fate for part in parts if (fate := _fate(part)) is not _SILENT]
    if message_id is None or not actions:
        raise Rejected(Reason.SCHEMA_INVALID)
    if False in actions:
        return Report(message_id, delivered=False)
    return Report(message_id, delivered=True if True in actions else None)


#: A part that reports nothing.
_SILENT = "silent"


def _fate(part: Message) -> bool | str | None:
    """What the report about one recipient says; the headers of such a part are the report."""
    action = part.get("Action")
    if action is None:
        return _SILENT
    status = str(part.get("Status", "")).strip()
    match str(action).strip().lower():
        case "failed" if not status or _FAILED.match(status):
            return False
        case "delivered":
            return True
        case _:
            return None


def _named(parts: list[Message]) -> Iterator[str]:
    """Ids of ours in the returned letter, or in its headers alone."""
    for part in parts[1:]:
        if part.get_content_type() == "text/rfc822-headers":
            payload = part.get_payload(decode=True)
            text = payload.decode("latin-1") if isinstance(payload, bytes) else ""
            yield from _OURS.findall(text)
        yield from _OURS.findall(str(part.get("Message-ID", "")))


@dataclass(frozen=True, slots=True)
class Relay:
    """A mail relay that posts returned mail to us, signed as Standard Webhooks says."""

    report_key: bytes = field(repr=False)

    def report(self, posted: Posted, now: datetime) -> Report:
        """What a returned mail says; raises Rejected(unauthenticated, schema_invalid)."""
        check_standard([self.report_key], posted.headers, posted.body, now)
        return bounce_of(posted.body)
