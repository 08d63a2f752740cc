"""The roster as a service sees it: who is an employee of a site now, whatever a token says."""

from __future__ import annotations

from collections.abc import Sequence

from shared.contracts.reasons import Reason
from shared.contracts.roster import Employee, EmployeeListed, employee_name
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.http.auth import Kind, Principal
from shared.runtime.kafka.inbox import Handler, Inbox


def employee_key(site: str, employee_id: str) -> str:
    """The key of the document to read ahead for any request of an employee."""
    return Employee.key(employee_name(site, employee_id))


ROSTER_INBOX = Inbox(EmployeeListed.TOPIC, [Handler(EmployeeListed)], ahead=True)


async def employed(principal: Principal, view: View) -> Employee:
    """The employee who asks; raises Rejected(unknown_employee), Unavailable.

    A decision that read this and raced with another listing is taken again.
    """
    name = employee_name(principal.site, principal.subject)
    employee = await view.get(Employee, name)
    if employee is None or not employee.listing.active:
        raise Rejected(Reason.UNKNOWN_EMPLOYEE)
    return employee


async def of_site(principal: Principal, view: View) -> None:
    """Raises Rejected(unknown_employee) for an employee who is not on the roster; others of the site need not be."""
    if principal.kind is Kind.EMPLOYEE:
        await employed(principal, view)


async def still_employed(principals: Sequence[Principal], view: View) -> set[Principal]:
    """Those of the principals who are employees of their sites now, all read in one trip; raises Unavailable."""
    await view.prefetch([employee_key(one.site, one.subject) for one in principals])
    found = set()
    for one in principals:
        employee = await view.get(Employee, employee_name(one.site, one.subject))
        if employee is not None and employee.listing.active:
            found.add(one)
    return found
