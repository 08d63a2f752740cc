"""What a site decides: authority, limits, what can be given, promises. Data, never code.

One file, validated as a whole, published as one fact; every decision records its version. Reading a
published policy is tolerant like reading any fact; `shared.ops.policy` reads the file strictly, so
that a misspelt limit is an error and not a missing one. Contradictions between fields are reported
with the place they are at, like any other error.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import time, timedelta
from typing import Annotated, ClassVar, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from shared.contracts.compensation import CheckKind, Option
from shared.contracts.complaints import Category, Language, Severity
from shared.contracts.event import AmountMinor, Currency, Fact, Id

#: The role whose authority everybody has who has no other: nobody is left with none.
ANY_ROLE = "any"

#: An amount of nothing would be no authority at all, so ceilings start at one minor unit.
CeilingMinor = Annotated[int, Field(strict=True, ge=1, le=10**12)]
#: ISO 8601 like PT15M or P7D. Two years is longer than anything a site promises.
Duration = Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(days=731))]
#: Short and without "/", so that `<item>/<amount>` is an id too and means one thing.
ItemId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=96)]
#: "06:00", without a zone: the policy has one.
LocalTime = Annotated[time, PlainSerializer(lambda t: t.strftime("%H:%M:%S"), return_type=str)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=120)]
Loc = tuple[str | int, ...]
#: A contradiction between fields: where it shows, what was there, what is wrong.
Contradiction = tuple[Loc, object, str]


class _Part(BaseModel):
    """A part of a policy: immutable, and checked against itself after its fields are."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def contradictions(self) -> Iterator[Contradiction]:
        """What is wrong between fields that are right by themselves."""
        return iter(())

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        found = [
            InitErrorDetails(
                type=PydanticCustomError("contradiction", "{why}", {"why": why}), loc=loc, input=got
            )
            for loc, got, why in self.contradictions()
        ]
        if found:
            raise ValidationError.from_exception_data(type(self).__name__, found)
        return self


class RoleAuthority(_Part):
    """What one employee of a role may give alone: at once, and in one day."""

    per_check: CeilingMinor
    per_day: CeilingMinor

    def contradictions(self) -> Iterator[Contradiction]:
        """A single check above the day's sum could never be given."""
        if self.per_check > self.per_day:
            yield ("per_check",), self.per_check, f"must not be above per_day ({self.per_day})"


class Authority(_Part):
    """Authority by role. A role without amounts of its own (null) has what `any` has."""

    #: The local time at which an employee's day begins and what was given starts from zero.
    day_starts: LocalTime = time(0, 0)
    roles: Annotated[dict[Id, RoleAuthority | None], Field(min_length=1, max_length=200)]

    def contradictions(self) -> Iterator[Contradiction]:
        """Every rank has some authority, and the day begins in the policy's own zone."""
        if self.roles.get(ANY_ROLE) is None:
            yield (
                ("roles",),
                sorted(self.roles),
                'needs a role "any" with amounts: every rank has some',
            )
        if self.day_starts.tzinfo is not None:
            yield ("day_starts",), str(self.day_starts), "must be a local time without a zone"


class CustomerLimit(_Part):
    """What one customer may be given."""

    per_stay: CeilingMinor


class ComplaintLimit(_Part):
    """What may be given for one complaint."""

    total: CeilingMinor


class SiteLimit(_Part):
    """What the whole site may give."""

    per_day: CeilingMinor


class Limits(_Part):
    """Ceilings that everybody at the site shares."""

    customer: CustomerLimit
    complaint: ComplaintLimit
    site: SiteLimit


class CatalogueItem(_Part):
    """Something that can be given.

    An experience has a cost to us and a value to the customer, a gift card has amounts, and an
    apology costs nothing. An empty `fits` fits every category.
    """

    kind: CheckKind
    title: Annotated[dict[Language, Title], Field(min_length=1, max_length=16)]
    cost: AmountMinor | None = None
    value: AmountMinor | None = None
    amounts: Annotated[tuple[CeilingMinor, ...], Field(max_length=16)] = ()
    valid: Duration = timedelta(days=7)
    fits: Annotated[tuple[Category, ...], Field(max_length=32)] = ()

    def fits_category(self, category: Category) -> bool:
        """Whether it suits a complaint of this category."""
        return not self.fits or category in self.fits

    def contradictions(self) -> Iterator[Contradiction]:
        """Each kind has its own amounts and none of the others'."""
        money = {"cost": self.cost, "value": self.value}
        if self.kind is CheckKind.GIFT_CARD:
            if len(set(self.amounts)) < max(len(self.amounts), 1):
                yield ("amounts",), self.amounts, "a gift card needs amounts, each listed once"
            for name, got in money.items():
                if got is not None:
                    yield (name,), got, f"a gift card has amounts and no {name}"
            return
        if self.amounts:
            yield ("amounts",), self.amounts, "only a gift card has amounts"
        for name, got in money.items():
            if self.kind is CheckKind.APOLOGY and got:
                yield (name,), got, f"an apology has no {name}"
            if self.kind is CheckKind.EXPERIENCE and got is None:
                yield (name,), None, f"an experience needs a {name}"


class Playbook(_Part):
    """What is done in one situation: by when the customer hears from us, what to offer first."""

    promise: Duration
    suggest: Annotated[tuple[Id, ...], Field(max_length=16)] = ()


class Retry(_Part):
    """How a message that the provider did not take is tried again; the delay doubles each time."""

    first_delay: Duration = timedelta(seconds=5)
    attempts_max: Annotated[int, Field(strict=True, ge=1, le=50)] = 8


class Notify(_Part):
    """How customers are told."""

    mail_from: Annotated[
        str, StringConstraints(max_length=254, pattern=r"^[^@\s<>\"',;:]+@[^@\s<>\"',;:]+$")
    ]
    retry: Retry = Retry()


class Employee(_Part):
    """Somebody who may give, by a pseudonymous id."""

    role: Id
    languages: Annotated[tuple[Language, ...], Field(max_length=16)] = ()
    active: bool = True


class Policy(_Part):
    """Everything a site decides. All amounts are minor units of `currency`."""

    site: Id
    site_name: Annotated[str, StringConstraints(min_length=1, max_length=120)]
    currency: Currency
    timezone: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    languages: Annotated[tuple[Language, ...], Field(min_length=1, max_length=16)]
    authority: Authority
    limits: Limits
    checks: Annotated[dict[ItemId, CatalogueItem], Field(min_length=1, max_length=200)]
    promise_default: Duration = timedelta(hours=24)
    playbooks: Annotated[dict[Category, dict[Severity, Playbook]], Field(max_length=32)] = {}
    notify: Notify
    #: The largest ships have half as many; the whole policy must fit into one message.
    employees: Annotated[dict[Id, Employee], Field(max_length=5_000)] = {}

    def options(self) -> tuple[Option, ...]:
        """Every check that can be given, in catalogue order.

        A gift card gives one option per amount, named `<item>/<amount in minor units>`.
        """
        return tuple(option for item in self.checks for option in self._options_of(item))

    def option(self, name: str) -> Option | None:
        """The one check of this name, if it can be given."""
        item = name.partition("/")[0]
        offered = self._options_of(item) if item in self.checks else iter(())
        return next((option for option in offered if option.item == name), None)

    def promise(self, category: Category, severity: Severity) -> timedelta:
        """By when the customer hears from us."""
        written = self.playbooks.get(category, {}).get(severity)
        return self.promise_default if written is None else written.promise

    def playbook(self, category: Category, severity: Severity) -> Playbook:
        """What to do here; where nothing is written, the default promise and all that fits."""
        written = self.playbooks.get(category, {}).get(severity)
        if written is not None:
            return written
        return Playbook.model_construct(
            promise=self.promise_default,
            suggest=tuple(
                option
                for item, it in self.checks.items()
                if it.fits_category(category)
                for option, _, _ in self._amounts_of(item)
            ),
        )

    def authority_of(self, role: str) -> RoleAuthority:
        """What an employee of this role may give; never nothing."""
        authority = self.authority.roles.get(role) or self.authority.roles[ANY_ROLE]
        if authority is None:  # `Authority.contradictions` refuses a policy without
            raise AssertionError
        return authority

    def _options_of(self, item: str) -> Iterator[Option]:
        it = self.checks[item]
        for name, cost, value in self._amounts_of(item):
            yield Option(
                item=name,
                kind=it.kind,
                value_minor=value,
                cost_minor=cost,
                currency=self.currency,
            )

    def _amounts_of(self, item: str) -> Iterator[tuple[str, int, int]]:
        """Option id, cost and value, both in minor units."""
        it = self.checks[item]
        if it.kind is CheckKind.GIFT_CARD:
            for amount in it.amounts:
                yield f"{item}/{amount}", amount, amount
        else:
            yield item, it.cost or 0, it.value or 0

    def contradictions(self) -> Iterator[Contradiction]:
        """Names that lead nowhere, titles that are missing, and a catalogue with nothing free."""
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder
            yield ("timezone",), self.timezone, "is not a time zone of the IANA database"
        if len(set(self.languages)) < len(self.languages):
            yield ("languages",), self.languages, "a language is listed twice"
        offered: set[str] = set()
        for item, it in self.checks.items():
            offered.update(option for option, _, _ in self._amounts_of(item))
            missing = [str(language) for language in self.languages if language not in it.title]
            if missing:
                yield (
                    ("checks", item, "title"),
                    sorted(it.title),
                    f"is missing {', '.join(missing)}",
                )
        if not any(not it.fits and not it.cost and not it.amounts for it in self.checks.values()):
            yield (
                ("checks",),
                sorted(self.checks),
                "needs one thing that is free and fits everything, so that something always fits",
            )
        yield from self._suggestions_that_lead_nowhere(offered)
        for employee, who in self.employees.items():
            if who.role not in self.authority.roles:
                yield (
                    ("employees", employee, "role"),
                    who.role,
                    f"is not a role; there are {', '.join(sorted(self.authority.roles))}",
                )

    def _suggestions_that_lead_nowhere(self, offered: set[str]) -> Iterator[Contradiction]:
        for category, by_severity in self.playbooks.items():
            for severity, playbook in by_severity.items():
                for position, option in enumerate(playbook.suggest):
                    if option not in offered:
                        yield (
                            ("playbooks", category.value, severity.value, "suggest", position),
                            option,
                            f"is not a check; there are {', '.join(sorted(offered))}",
                        )


class PolicyPublished(Fact):
    """A site's policy from now on; the version counts up per site."""

    TYPE: ClassVar[str] = "recovery.policy.published.v1"
    TOPIC: ClassVar[str] = "recovery.policy.v1"

    site: Id
    version: Annotated[int, Field(ge=1)]
    policy: Policy

    def key(self) -> str:
        """The site; compaction keeps the latest."""
        return self.site
