"""Follows a complaint: who has it, what was done, and what its customer said."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from services.complaints.colleagues.handlers import (
    is_off_shift,
    keeper,
    known_colleague,
    known_department,
    somebody_works,
    works,
)
from services.complaints.lifecycle import moves
from services.complaints.lifecycle.moves import No, Who
from services.complaints.lifecycle.rules import Complaint
from services.complaints.matters.handlers import answered, kept, split_off
from services.complaints.matters.moves import same_customer
from services.complaints.promises.rules import resolved
from services.complaints.triage.handlers import Triage
from shared.contracts.compensation import CheckIssued
from shared.contracts.complaints import Category, Flag, Outcome, SafetyFound, Severity, Subcategory
from shared.contracts.event import Event, Id
from shared.contracts.lifecycle import State
from shared.contracts.names import legible
from shared.contracts.notifier import FeedbackReceived, Helped
from shared.contracts.policy import Policy
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.http.auth import Principal
from shared.runtime.policies import Policies
from shared.runtime.privacy.keys import Keys
from shared.runtime.privacy.seal import Vault
from shared.runtime.roster import employed

#: A question, an answer or what was done: as much as is read at a counter.
Line = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2000, strip_whitespace=True),
    AfterValidator(legible),
]


class HandOver(BaseModel):
    """Ask a colleague or a department to take the complaint over."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [{"colleague_id": "e-maria"}, {"department": "housekeeping"}]
        },
    )

    colleague_id: Annotated[Id | None, Field(description="An active employee of the site.")] = None
    department: Annotated[Id | None, Field(description="A department of the site's policy.")] = None

    @model_validator(mode="after")
    def _one(self) -> HandOver:
        if (self.colleague_id is None) == (self.department is None):
            msg = "name a colleague or a department"
            raise ValueError(msg)
        return self


class AskCustomer(BaseModel):
    """Something must be known of the customer first."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{"question": "Which of the two lifts was it?"}]},
    )

    question: Annotated[Line, Field(description="What the customer is asked.")]


class HearCustomer(BaseModel):
    """What the customer answered."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{"answer": "The one by the pool."}]},
    )

    answer: Annotated[Line, Field(description="What the customer answered, in their words.")]


class Resolve(BaseModel):
    """What was done about the cause."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [{"outcome": "fixed", "note": "A fan, and the neighbours were spoken to."}]
        },
    )

    outcome: Annotated[
        Outcome,
        Field(
            description="The cause is gone, the customer knows why it was so, or nothing could be done about it."
        ),
    ]
    note: Annotated[
        Line | None, Field(description="It in your words; the customer may read them.")
    ] = None


class Refer(BaseModel):
    """An outside body looks at the complaint from now on."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{"body": "transport-complaints-board"}]},
    )

    body: Annotated[Id, Field(description="An outside body of the site's policy, by its id.")]


class Correct(BaseModel):
    """What the complaint is really about, how bad it really is, and what its words really speak of."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"category": "noise"},
                {"flags_added": ["child"], "flags_removed": ["legal"]},
            ]
        },
    )

    category: Annotated[
        Category | None, Field(description="What it is about; null leaves it as it is.")
    ] = None
    subcategory: Annotated[
        Subcategory | None,
        Field(description="What it is about in particular, by its name in the policy."),
    ] = None
    severity: Annotated[
        Severity | None, Field(description="How bad it is; null leaves it as it is.")
    ] = None
    flags_added: Annotated[
        tuple[Flag, ...],
        Field(
            max_length=len(Flag),
            description="What somebody must know of or treat with care as well. Danger is told to the role mailboxes, as if the words had said it.",
        ),
    ] = ()
    flags_removed: Annotated[
        tuple[Flag, ...],
        Field(
            max_length=len(Flag),
            description="What the complaint does not speak of. Danger that was found stays found, with its promise.",
        ),
    ] = ()

    @model_validator(mode="after")
    def _any(self) -> Correct:
        if not any(getattr(self, name) for name in type(self).model_fields):
            msg = "name a category, a subcategory, a severity or flags"
            raise ValueError(msg)
        if both := {*self.flags_added} & {*self.flags_removed}:
            msg = f"flags are either added or removed: {', '.join(sorted(both))}"
            raise ValueError(msg)
        return self


class Lifecycle:
    """What moves a complaint on, and what employees read of it."""

    def __init__(self, vault: Vault, triage: Triage) -> None:
        self._triage = triage
        self._keys = Keys(vault)
        self._policies = Policies()

    async def of_site(self, complaint_id: str, who: Principal, view: View) -> Complaint:
        """A complaint of the employee's site; raises Rejected(unknown_employee, unknown_complaint), Unavailable."""
        await employed(who, view)
        return await view.require(Complaint, complaint_id, Reason.UNKNOWN_COMPLAINT, site=who.site)

    async def claim(self, complaint_id: str, who: Principal, view: View) -> Decision:
        """Take a complaint on; raises Rejected(already_claimed, wrong_state) and what `of_site` does."""
        complaint = await self.of_site(complaint_id, who, view)
        away = await self._owner_away(complaint, view)
        return decided(moves.claim(complaint, complaint_id, who.subject, view.now, owner_away=away))

    async def hand_over(
        self, complaint_id: str, command: HandOver, who: Principal, view: View
    ) -> Decision:
        """Ask somebody to take a complaint over.

        Raises Rejected(unknown_colleague, unknown_department, already_claimed, wrong_state) and what `of_site` does.
        """
        complaint = await self.of_site(complaint_id, who, view)
        colleague, department = command.colleague_id, command.department
        if colleague is not None:
            await known_colleague(colleague, who, view)
        policy, _ = await self._policies.at(complaint.site, view)
        if department is not None:
            known_department(department, policy)
        return decided(
            moves.offer(
                complaint,
                complaint_id,
                who.subject,
                colleague,
                department,
                view.now,
                on_shift=await somebody_works(complaint.site, colleague, department, policy, view),
            )
        )

    async def accept(self, complaint_id: str, who: Principal, view: View) -> Decision:
        """Take over what was offered; raises Rejected(not_offered, wrong_state) and what `of_site` does."""
        complaint = await self.of_site(complaint_id, who, view)
        asked = await self.who(who, view)
        return decided(moves.accept(complaint, complaint_id, asked, view.now))

    async def decline(self, complaint_id: str, who: Principal, view: View) -> Decision:
        """Do not take over what was offered; raises Rejected(not_offered, wrong_state) and what `of_site` does."""
        complaint = await self.of_site(complaint_id, who, view)
        asked = await self.who(who, view)
        return decided(moves.decline(complaint, complaint_id, asked, view.now))

    async def ask(
        self, complaint_id: str, command: AskCustomer, who: Principal, view: View
    ) -> Decision:
        """Ask the customer something; raises Rejected(already_claimed, no_contact, wrong_state) and what `of_site` does."""
        complaint = await self.of_site(complaint_id, who, view)
        keys, sealed = await self._sealed(complaint, "question", command.question, view)
        return decided(moves.ask(complaint, complaint_id, who.subject, sealed, view.now), keys)

    async def hear(
        self, complaint_id: str, command: HearCustomer, who: Principal, view: View
    ) -> Decision:
        """Write down what the customer answered; raises Rejected(wrong_state) and what `of_site` does."""
        complaint = await self.of_site(complaint_id, who, view)
        policy, _ = await self._policies.at(complaint.site, view)
        keys, sealed = await self._sealed(complaint, "answer", command.answer, view)
        danger = await danger_in(
            self._triage, command.answer, complaint, complaint_id, policy, view
        )
        known = moves.with_danger(complaint, danger.own)
        return decided(
            moves.hear(known, complaint_id, who.subject, sealed, policy, view.now),
            (*keys, *danger.facts),
        )

    async def resolve(
        self, complaint_id: str, command: Resolve, who: Principal, view: View
    ) -> Decision:
        """Record what was done; raises Rejected(already_claimed, wrong_state) and what `of_site` does."""
        complaint = await self.of_site(complaint_id, who, view)
        policy, _ = await self._policies.at(complaint.site, view)
        keys: Sequence[Fact] = ()
        note = None
        if command.note is not None:
            keys, note = await self._sealed(complaint, "note", command.note, view)
        return decided(
            moves.resolve(
                complaint, complaint_id, who.subject, command.outcome, note, policy, view.now
            ),
            keys,
        )

    async def withdraw(self, complaint_id: str, who: Principal, view: View) -> Decision:
        """The customer takes it back; raises Rejected(already_claimed, wrong_state) and what `of_site` does.

        Complaints of other customers that were merged into it stand by themselves again.
        """
        complaint = await self.of_site(complaint_id, who, view)
        away = await self._owner_off_shift(complaint, view)
        return await taken_back(
            complaint, complaint_id, who.subject, self._policies, view, owner_away=away
        )

    async def find_none(self, complaint_id: str, who: Principal, view: View) -> Decision:
        """It is no complaint; raises Rejected(already_claimed, wrong_state) and what `of_site` does.

        What was merged into it may be one, and stands by itself again.
        """
        complaint = await self.of_site(complaint_id, who, view)
        away = await self._owner_off_shift(complaint, view)
        found = moves.find_none(complaint, complaint_id, who.subject, view.now, owner_away=away)
        return decided(
            found,
            await split_off(
                complaint_id, complaint, lambda _: False, who.subject, self._policies, view
            ),
        )

    async def refer(
        self, complaint_id: str, command: Refer, who: Principal, view: View
    ) -> Decision:
        """An outside body looks at it; raises Rejected(unknown_body, wrong_state) and what `of_site` does.

        Complaints of other customers that were merged into it stand by themselves again.
        """
        complaint = await self.of_site(complaint_id, who, view)
        policy, _ = await self._policies.at(complaint.site, view)
        found = moves.refer(complaint, complaint_id, who.subject, command.body, policy, view.now)
        stays = partial(same_customer, head=complaint)
        return decided(
            found,
            await split_off(complaint_id, complaint, stays, who.subject, self._policies, view),
        )

    async def correct(
        self, complaint_id: str, command: Correct, who: Principal, view: View
    ) -> Decision:
        """Put right what it is about, how bad it is, or its flags.

        Raises Rejected(schema_invalid) for a subcategory that the policy does not have, Rejected(wrong_state), and
        what `of_site` does.
        """
        complaint = await self.of_site(complaint_id, who, view)
        policy, _ = await self._policies.at(complaint.site, view)
        named = command.subcategory
        if named and not policy.has_subcategory(command.category or complaint.category, named):
            raise Rejected(Reason.SCHEMA_INVALID, where=("/subcategory",))
        return decided(
            moves.correct(
                complaint,
                complaint_id,
                who.subject,
                command.category,
                command.severity,
                policy,
                view.now,
                command.subcategory,
                command.flags_added,
                command.flags_removed,
            )
        )

    async def closes(self, complaint_id: str, view: View) -> Decision:
        """The time that the customer had to say something is over; raises Unavailable."""
        complaint = await view.get(Complaint, complaint_id)
        return moves.close(complaint, complaint_id, view.now) if complaint else Decision()

    async def on_issued(self, event: Event[CheckIssued], view: View) -> Decision:
        """An employee gave the customer something: they own a complaint that nobody works on.

        A check given on the spot may arrive before ComplaintLogged, which claims the complaint itself.
        """
        fact = event.data
        complaint = await view.get(Complaint, fact.complaint_id)
        if complaint is None:
            return Decision()
        return moves.given(complaint, fact.complaint_id, fact.employee_id, view.now)

    async def on_feedback(self, event: Event[FeedbackReceived], view: View) -> Decision:
        """Confirm or reopen the complaint as the customer answered "did it help?", or the one of theirs that it went into.

        Nothing comes of a no of a customer who was erased meanwhile: nobody could be written to. Their line may speak
        of somebody's safety, as any words may.
        """
        fact = event.data
        complaint = await known(fact.complaint_id, view)
        head = await head_of(complaint, view)
        policy, _ = await self._policies.at(complaint.site, view)
        danger = await self._danger_in_line(fact, complaint, policy, view)
        complaint = moves.with_danger(complaint, danger.own)
        head = moves.with_danger(head, danger.of_head)
        about = await answered(complaint, fact.complaint_id, head, policy, view)
        matter = {fact.complaint_id, complaint.merged_into or fact.complaint_id, *head.merged_ids}
        complaint = about.complaint
        helped = danger.outweighs(fact.helped)
        if fact.added_line and helped is Helped.YES:
            # What was settled by that yes may have been opened again since.
            return Decision(danger.facts)
        more = helped is not Helped.YES
        if more and await self._keys.erased(complaint.customer_ref, view):
            return Decision()
        found = moves.take_feedback(
            complaint,
            about.complaint_id,
            helped,
            policy,
            view.now,
            answered_at=fact.answered_at,
            keeper=await keeper(complaint, policy, view) if more else None,
            done=(*await kept(sorted(matter), view, safety=False), *resolved(head)) if more else (),
        )
        return Decision((*danger.facts, *(about.before if found.facts else ()), *found.facts))

    async def _danger_in_line(
        self, fact: FeedbackReceived, complaint: Complaint, policy: Policy, view: View
    ) -> Danger:
        """What the customer's line says of somebody's safety; raises Unavailable while its key has not come."""
        if fact.line is None:
            return Danger()
        words = await self._keys.open_words(
            complaint.customer_ref, "line", fact.line, fact.answered_at, view
        )
        if words is None:
            return Danger()
        return await danger_in(self._triage, words, complaint, fact.complaint_id, policy, view)

    async def read_text(self, complaint: Complaint, view: View) -> str | None:
        """The customer's words; None once the customer was erased or the words' time is over; raises Unavailable."""
        return await words_of(complaint, self._keys, view)

    async def read_place(self, complaint: Complaint, view: View) -> str | None:
        """Where it happened; None if it was not told, or as for the words; raises Unavailable."""
        return await place_of(complaint, self._keys, view)

    async def _owner_away(self, complaint: Complaint, view: View) -> bool:
        """Whether the owner left the site, or is off shift with a complaint that did not help."""
        owner = complaint.employee_id
        if owner is None:
            return False
        if not await works(complaint.site, owner, view):
            return True
        return complaint.state is State.REOPENED and await self._owner_off_shift(complaint, view)

    async def _owner_off_shift(self, complaint: Complaint, view: View) -> bool:
        """Whether the owner does not work now, or not at the site any more; a site that never says who works when says no."""
        owner = complaint.employee_id
        if owner is None:
            return False
        if not await works(complaint.site, owner, view):
            return True
        policy, _ = await self._policies.at(complaint.site, view)
        return await is_off_shift(complaint, policy, view)

    async def who(self, who: Principal, view: View) -> Who:
        """Who asks, and to which departments they belong by their role; raises Rejected(unknown_employee), Unavailable."""
        listed = await employed(who, view)
        policy, _ = await self._policies.at(who.site, view)
        return Who(who.subject, policy.departments_of(listed.listing.role))

    async def _sealed(
        self, complaint: Complaint, field: str, words: str, view: View
    ) -> tuple[Sequence[Fact], str]:
        """Words about a customer, sealed, and the facts of the keys made for it; raises Rejected, Unavailable."""
        if complaint.forgotten or await self._keys.erased(complaint.customer_ref, view):
            raise Rejected(Reason.CUSTOMER_ERASED)
        seals = await self._keys.seals(complaint.customer_ref, complaint.site, view)
        return seals.created, seals.words.seal(field, words)


def decided(found: Sequence[Fact] | No, before: Sequence[Fact] = ()) -> Decision:
    """The decision of these facts, with others before them; raises Rejected where there is a no instead."""
    if isinstance(found, No):
        raise Rejected(found.reason, told=found.told)
    return Decision((*before, *found))


class Danger(NamedTuple):
    """That somebody's safety is concerned, found of the complaint itself and of the one that goes on for it."""

    own: Sequence[SafetyFound] = ()
    of_head: Sequence[SafetyFound] = ()

    @property
    def facts(self) -> Sequence[Fact]:
        """All that was found."""
        return (*self.own, *self.of_head)

    def outweighs(self, helped: Helped) -> Helped:
        """What the customer answered; a yes beside which they speak of danger leaves something to do."""
        return Helped.PARTLY if helped is Helped.YES and self.facts else helped


async def danger_in(
    triage: Triage,
    words: str,
    complaint: Complaint,
    complaint_id: str,
    policy: Policy,
    view: View,
) -> Danger:
    """What a customer's later words say of somebody's safety; raises Unavailable.

    It is found in the complaint and in the one that goes on for it, so that neither a merge nor a split hides it.
    """
    understood = triage.understand(words, triage.language_of_later(words, complaint.language))
    if not understood.safety:
        return Danger()
    flags = understood.flags
    own = moves.find_danger(complaint, complaint_id, policy, view.now, flags)
    if complaint.merged_into is None:
        return Danger(own)
    head = await head_of(complaint, view)
    return Danger(own, moves.find_danger(head, complaint.merged_into, policy, view.now, flags))


async def taken_back(
    complaint: Complaint,
    complaint_id: str,
    who: str | None,
    policies: Policies,
    view: View,
    *,
    owner_away: bool = False,
) -> Decision:
    """The customer takes a complaint back; `who` wrote it down, None if the customer did it by their link.

    Complaints of other customers that were merged into it stand by themselves again. Raises
    Rejected(already_claimed, wrong_state) and Unavailable.
    """
    withdrawn = moves.withdraw(complaint, complaint_id, who, view.now, owner_away=owner_away)
    stays = partial(same_customer, head=complaint)
    return decided(withdrawn, await split_off(complaint_id, complaint, stays, who, policies, view))


async def head_of(complaint: Complaint, view: View) -> Complaint:
    """The complaint that goes on for this one, or itself; raises Rejected(unknown_complaint), Unavailable."""
    if complaint.merged_into is None:
        return complaint
    return await known(complaint.merged_into, view)


async def words_of(complaint: Complaint, keys: Keys, view: View) -> str | None:
    """A complaint's words; None once its customer was erased or the words' time is over; raises Unavailable."""
    return await keys.open_words(
        complaint.customer_ref, "text", complaint.text, complaint.received_at, view
    )


async def place_of(complaint: Complaint, keys: Keys, view: View) -> str | None:
    """Where it happened; None if it was not told, once its customer was erased, or as for the words; raises Unavailable."""
    if complaint.place is None:
        return None
    return await keys.open_words(
        complaint.customer_ref, "place", complaint.place, complaint.received_at, view
    )


async def known(complaint_id: str, view: View) -> Complaint:
    """The complaint of this id; raises Rejected(unknown_complaint)."""
    return await view.require(
        Complaint, complaint_id, Reason.UNKNOWN_COMPLAINT, where=("/data/complaint_id",)
    )
