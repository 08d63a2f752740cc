"""What employees do about the cause of a complaint, each decided by where it stands: pure rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from services.complaints.fixes.rules import Fixes
from services.complaints.lifecycle.moves import No, Who, given, somebody, wrong_state
from services.complaints.lifecycle.rules import Complaint
from shared.contracts.complaints import FixAsked, FixDeclined, FixDone, FixLate
from shared.contracts.lifecycle import OPEN
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact


def do(
    complaint: Complaint, complaint_id: str, fixes: Fixes, who: str, fix: str, now: datetime
) -> Sequence[Fact] | No:
    """An employee did a fix. Who does one that nobody asked for takes on a complaint that nobody works on.

    One that was asked for may be done after the complaint was answered, too. One that is done is done again only in
    another round, or when somebody asks for it again.
    """
    asked = fixes.asked(fix)
    if (no := _no(complaint, ended=asked is not None)) is not None:
        return no
    if fixes.is_done(fix, complaint.round):
        return No(Reason.FIX_DONE)
    done = FixDone(
        complaint_id=complaint_id,
        employee_id=who,
        site=complaint.site,
        fix=fix,
        round=complaint.round,
        done_at=now,
    )
    if asked is not None:
        return (done,)
    return (*given(complaint, complaint_id, who, now).facts, done)


def ask(
    complaint: Complaint,
    complaint_id: str,
    fixes: Fixes,
    who: str,
    fix: str,
    within: timedelta,
    policy_version: int,
    now: datetime,
    *,
    colleague: str | None = None,
    department: str | None = None,
) -> Sequence[Fact] | No:
    """An employee asks a colleague or a department for a fix, and takes on a complaint that nobody works on."""
    if (no := _no(complaint)) is not None:
        return no
    if fixes.asked(fix) is not None:
        return No(Reason.FIX_ASKED)
    asked = FixAsked(
        complaint_id=complaint_id,
        employee_id=who,
        site=complaint.site,
        fix=fix,
        colleague_id=colleague,
        department=department,
        round=complaint.round,
        due_by=now + within,
        policy_version=policy_version,
        asked_at=now,
    )
    return (*given(complaint, complaint_id, who, now).facts, asked)


def decline(
    complaint: Complaint, complaint_id: str, fixes: Fixes, who: Who, fix: str, now: datetime
) -> Sequence[Fact] | No:
    """Who was asked for a fix does not do it; who asked may think better of it in the same way."""
    if (no := _no(complaint, ended=True)) is not None:
        return no
    asked = fixes.asked(fix)
    if asked is None or not (
        who.id in (asked.colleague_id, asked.asked_by) or asked.department in who.departments
    ):
        told = somebody(asked.colleague_id, asked.department) if asked is not None else {}
        return No(Reason.FIX_NOT_ASKED, told)
    return (
        FixDeclined(
            complaint_id=complaint_id,
            employee_id=who.id,
            site=complaint.site,
            fix=fix,
            declined_at=now,
        ),
    )


def miss(
    complaint: Complaint, complaint_id: str, fixes: Fixes, fix: str, now: datetime
) -> Decision:
    """A FixLate fact if a fix that was asked for is not done in its time; once per asking.

    Nobody waits for the fix of a complaint that ended.
    """
    asked = fixes.asked(fix)
    if asked is None or asked.due_by is None or asked.asked_by is None:
        return Decision()
    if asked.late or now < asked.due_by or _no(complaint) is not None:
        return Decision()
    return Decision.of(
        FixLate(
            complaint_id=complaint_id,
            employee_id=asked.asked_by,
            site=complaint.site,
            fix=fix,
            colleague_id=asked.colleague_id,
            department=asked.department,
            round=asked.round,
            due_by=asked.due_by,
            late_at=now,
        )
    )


def _no(complaint: Complaint, *, ended: bool = False) -> No | None:
    """Why nothing can be done about a complaint any more; with `ended` one that ended or was merged is no reason."""
    if complaint.forgotten:
        return No(Reason.CUSTOMER_ERASED)
    if ended or complaint.state in OPEN:
        return None
    if complaint.merged_into is not None:
        return No(Reason.COMPLAINT_MERGED, {"complaint_id": complaint.merged_into})
    return wrong_state(complaint.state)
