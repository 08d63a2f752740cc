"""Recorded wishes, decided again under another policy over a model of documents and accounts.

The model holds what the policy on trial makes of the history. There are two ledgers. One has what was
really given and the policy grants too; what was really given is decided by it alone. The other has what
was refused and the policy grants; only wishes that were refused are decided by both. So a wish that was
granted never gives way to one that was not, and raising ceilings refuses nothing more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from services.compensation.authority.rules import Exceeded, Headroom, charges_of
from services.compensation.authority.windows import KnownWindows
from services.compensation.cases import rules as cases_rules
from services.compensation.cases.handlers import given_lately
from services.compensation.cases.rules import Case, History
from services.compensation.checks import rules as checks_rules
from services.compensation.checks.handlers import IssueCheck, lawful
from services.compensation.checks.rules import Check, credits_of
from services.compensation.delights.handlers import delightful
from services.compensation.offers import rules as offers_rules
from services.compensation.offers.rules import Offer, charged
from services.compensation.redemptions import rules as redemptions_rules
from services.compensation.staff_context import ContextLoader, StaffContext
from services.compensation.whatif.rules import Verdict, Wish, wish_of
from shared.contracts.compensation import (
    Basis,
    CheckEnded,
    CheckExpired,
    CheckIssued,
    CheckRefused,
    CheckVoided,
    OfferChosen,
    OfferLapsed,
    OfferMade,
    Option,
    RedemptionCancelled,
    RedemptionCaptured,
    RedemptionReserved,
    RedemptionRolledBack,
)
from shared.contracts.policy import ANY_ROLE, Policy
from shared.contracts.reasons import Reason
from shared.kernel import Document, Domain, Fact
from shared.runtime.engine.store import ABSENT, Cursor, Range, Versioned
from shared.runtime.engine.transaction import body_of
from shared.runtime.engine.view import D, View, parsed
from shared.runtime.faults import Rejected, Unavailable

#: The documents that a decision about a wish reads.
KINDS: tuple[type[Document], ...] = (Case, History, Check, Offer)
#: The rules that make them.
MODEL = Domain.of(
    "whatif", cases_rules.SLICE, checks_rules.SLICE, offers_rules.SLICE, redemptions_rules.SLICE
)
#: The facts that a trial hears; all others change nothing that a decision reads.
HEARD: Mapping[str, type[Fact]] = {
    fact.TYPE: fact
    for fact in (
        CheckIssued,
        CheckRefused,
        CheckVoided,
        CheckExpired,
        OfferMade,
        OfferChosen,
        OfferLapsed,
        RedemptionReserved,
        RedemptionCaptured,
        RedemptionCancelled,
        RedemptionRolledBack,
    )
}


class Past:
    """The documents and balances of a history, in memory; read like a store."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}
        self.accounts: Counter[str] = Counter()
        self.met: set[str] = set()

    async def read(self, keys: Sequence[str]) -> list[Versioned]:
        """See Reads."""
        return [Versioned(1, body) if (body := self.documents.get(key)) else ABSENT for key in keys]

    async def balances(self, accounts: Sequence[str]) -> list[int]:
        """See Reads."""
        return [self.accounts[account] for account in accounts]

    async def fetch(
        self, keys: Sequence[str], accounts: Sequence[str]
    ) -> tuple[list[Versioned], list[int]]:
        """See Reads."""
        return await self.read(keys), await self.balances(accounts)

    async def range(
        self, name: str, after: Cursor | None, limit: int, beside: Sequence[str] = ()
    ) -> Range:
        """See Reads; no decision about a wish reads a list."""
        raise AssertionError(name, after, limit, beside)

    async def sizes(self, names: Sequence[str]) -> list[int]:
        """See Reads; no decision about a wish counts a list."""
        raise AssertionError(names)

    def unreadable(self, key: str) -> Unavailable:
        """See Reads; the documents here are made of facts by this process."""
        raise AssertionError(key)

    def post(self, charges: Mapping[str, int], sign: int = 1) -> None:
        """Charge accounts, or give back with a `sign` of -1."""
        for account, amount in charges.items():
            self.accounts[account] += sign * amount
            if not self.accounts[account]:
                del self.accounts[account]

    def get(self, document: type[D], document_id: str) -> D | None:
        """A check or an offer, if the policy on trial granted it."""
        body = self.documents.get(document.key(document_id))
        return parsed(document, body) if body else None

    def fold(self, fact: Fact) -> None:
        """Fold a fact into the documents; one of a check or offer that is not here changes nothing."""
        for row, key in MODEL.folds_of(fact):
            if row.document not in KINDS:
                continue
            body = self.documents.get(key)
            if row.evolve is None:
                after: Document = row.document.model_validate_json(fact.written())
            elif body or isinstance(fact, CheckIssued | OfferMade):
                after = row.evolve(parsed(row.document, body) if body else None, fact)
            else:
                continue
            self.documents[key] = body_of(after)

    def forget(self, document: type[Document], document_id: str) -> None:
        """Drop a document that no later decision reads."""
        self.documents.pop(document.key(document_id), None)


class Trial:
    """A history heard fact by fact, its wishes decided again.

    `policy_of` gives the policy that a wish is decided by: the draft, whichever wish it is.
    """

    def __init__(self, policy_of: Callable[[Wish], Policy]) -> None:
        self._policy_of = policy_of
        self._given = Past()
        #: What was refused and the policy grants.
        self._beyond: Counter[str] = Counter()
        self._windows = KnownWindows()

    @property
    def accounts(self) -> Mapping[str, int]:
        """What was given and the policy grants too, by account."""
        return self._given.accounts

    async def hear(self, fact: Fact, *, since: datetime | None = None) -> Verdict | None:
        """Take a fact into the model; the verdict if it decided a wish, else None.

        There is none either for a wish from before `since`, or of which too little is known: if it was
        granted, it is charged all the same.
        """
        wish = wish_of(fact)
        if wish is not None:
            return await self._again(fact, wish, since)
        given = self._given
        match fact:
            case CheckIssued(offer_id=str(offer_id)):
                made = given.get(Offer, offer_id)
                if made is not None:
                    given.forget(Offer, offer_id)
                    self._take(fact, charged(made, _option(made, fact.item)))
            case CheckIssued():
                self._take(fact, fact.debits)
            case OfferChosen() | OfferLapsed():
                if (made := given.get(Offer, fact.offer_id)) is not None:
                    given.post(made.held, -1)
                    given.fold(fact)
                if isinstance(fact, OfferLapsed):
                    given.forget(Offer, fact.offer_id)
            case CheckEnded():
                if (check := given.get(Check, fact.check_id)) is not None:
                    given.post(credits_of(check), -1)
                    given.fold(fact)
                if isinstance(fact, CheckExpired):
                    given.forget(Check, fact.check_id)
            case _:
                given.fold(fact)
        return None

    async def _again(self, fact: Fact, wish: Wish, since: datetime | None) -> Verdict | None:
        policy = self._policy_of(wish)
        option = _dearest(wish, policy)
        known = wish.role is not None and wish.currency == policy.currency
        counted = known and (since is None or wish.at >= since)
        cost = wish.cost_minor if option is None or not known else option.cost_minor
        staff = self._staff(wish, policy)
        view = View(self._given, MODEL, wish.at)
        headroom = await ContextLoader.headroom(
            staff,
            wish.customer_ref,
            wish.complaint_id if wish.delight is None else None,
            view,
            delight=wish.delight is not None,
        )
        if not counted:
            if wish.granted:
                self._take(fact, _as_it_was(headroom, wish, cost), policy)
            return None
        if not wish.granted:
            balances = {name: n + self._beyond[name] for name, n in headroom.balances.items()}
            headroom = replace(headroom, balances=balances)
        why_not = await self._impossible(wish, option, staff, view)
        verdict = Verdict(cost, refused_for=why_not) if why_not else _verdict(headroom, wish, cost)
        if verdict.charges is not None and wish.granted:
            self._take(fact, verdict.charges, policy)
        elif verdict.charges is not None:
            self._beyond.update(verdict.charges)
        return verdict

    def _staff(self, wish: Wish, policy: Policy) -> StaffContext:
        role = wish.role or ANY_ROLE
        authority = policy.authority_of(role)
        windows = self._windows.at(policy, wish.version, wish.at)
        return StaffContext(policy, wish.version, wish.employee_id, authority, windows, role)

    async def _impossible(
        self, wish: Wish, option: Option | None, staff: StaffContext, view: View
    ) -> Reason | None:
        """Why the wish is refused whatever is left; None if only limits decide."""
        if option is None:
            return Reason.AMOUNT_NOT_OFFERED
        try:
            if wish.delight is not None:
                delightful(wish.delight, wish.item, staff)
                return None
            lawful(_command(wish), option, staff, wish.service)
        except Rejected as rejected:
            return rejected.reason
        case = await view.get(Case, wish.complaint_id)
        if case is not None and await given_lately(wish.again, case, staff, view):
            return Reason.ALREADY_COMPENSATED
        return None

    def _take(self, fact: Fact, charges: Mapping[str, int], policy: Policy | None = None) -> None:
        """Charge what was given and the policy grants, and fold it with these charges and its costs."""
        match fact:
            case CheckIssued():
                # What is sealed and the words of the law are long, and no decision reads them.
                slim = {
                    "debits": dict(charges),
                    "code": "",
                    "information": None,
                    "note": None,
                    "contact": None,
                }
                self._given.fold(fact.model_copy(update=slim))
            case OfferMade():
                options = tuple(_at_cost(option, policy) for option in fact.options)
                at_cost = {"held": dict(charges), "options": options, "information": None}
                self._given.fold(fact.model_copy(update=at_cost))
        self._given.post(charges)


def _verdict(headroom: Headroom, wish: Wish, cost_minor: int) -> Verdict:
    """What the limits make of a wish; an offer is not stretched, because it may be chosen from later."""
    if wish.offer:
        bound_by = headroom.binding(cost_minor)
        if bound_by is not None:
            return Verdict(cost_minor, bound_by=bound_by)
        return Verdict(cost_minor, charges_of(headroom.limits, cost_minor))
    decided = headroom.decide(cost_minor)
    if isinstance(decided, Exceeded):
        return Verdict(cost_minor, bound_by=decided.bound_by)
    charges = charges_of(decided.within.limits, cost_minor)
    return Verdict(cost_minor, charges, decided.stretched)


def _as_it_was(headroom: Headroom, wish: Wish, cost_minor: int) -> Mapping[str, int]:
    """The charges of a wish that was granted, whether or not the policy would grant it."""
    stretch = [headroom.stretch] if wish.stretched and headroom.stretch is not None else []
    return charges_of((*headroom.limits, *stretch), cost_minor)


def _command(wish: Wish) -> IssueCheck:
    return IssueCheck(
        complaint_id=wish.complaint_id,
        item=wish.item,
        reason=wish.reason,
        basis=Basis.STATUTORY if wish.basis is Basis.STATUTORY else Basis.GOODWILL,
        consent=wish.consent,
        service=wish.service,
        again=wish.again,
    )


def _option(made: Offer, item: str) -> Option:
    return next(option for option in made.options if option.item == item)


def _dearest(wish: Wish, policy: Policy) -> Option | None:
    """What a wish costs most under a policy; None if the policy lacks any of what was to be chosen from."""
    options = [option for item in wish.items if (option := policy.option(item)) is not None]
    if len(options) < len(wish.items):
        return None
    return max(options, key=lambda option: option.cost_minor)


def _at_cost(option: Option, policy: Policy | None) -> Option:
    """An option at what it costs under a policy, or as it was if the policy has it no more."""
    found = policy.option(option.item) if policy is not None else None
    return option.model_copy(update={"cost_minor": found.cost_minor}) if found else option
