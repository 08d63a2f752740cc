"""The page behind a customer's link: what happened to their complaint, and what they can do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from services.complaints.timeline.rules import Entry, What, Who
from shared.contracts.complaints import Action, Language, Outcome
from shared.contracts.intake import MessageChannel
from shared.contracts.lifecycle import OPEN, State
from shared.contracts.notifier import Helped, Occasion
from shared.contracts.policy import Policy
from shared.runtime.http.pages import Fault, Pages
from shared.runtime.words import (
    format_money,
    format_time,
    in_language,
    outcome_key,
    say,
    title_of,
)

#: The longest text that a customer may add, as an employee's.
WORDS_CHARS_MAX = 2000

_ONCE = """<input type="hidden" name="once" value="{{ once }}">"""
_MINE = f"""{{% if shown.reached_at %}}<p role="status">{{{{ say("mine.contact_changed", address=shown.reached_at) }}}}</p>
{{% endif %}}{{% if shown.danger %}}<p class="missed">{{{{ say("letter.acknowledgement.help") }}}}</p>
{{% endif %}}{{% if shown.missed %}}<p class="missed">{{{{ say("mine.missed", when=shown.missed) }}}}</p>
{{% endif %}}{{% if shown.heard %}}<h2>{{{{ say("mine.what.received") }}}}</h2>
<blockquote>{{{{ shown.heard }}}}</blockquote>
{{% endif %}}{{% if shown.place %}}<dl><dt>{{{{ say("form.where") }}}}</dt><dd>{{{{ shown.place }}}}</dd></dl>
{{% endif %}}<p class="standing" id="standing" role="status">{{{{ standing }}}}</p>
{{% if owner %}}<dl><dt>{{{{ say("mine.owner.title") }}}}</dt><dd>{{{{ owner }}}}</dd></dl>
{{% endif %}}{{% if shown.incident %}}<p>{{{{ say("letter.incident.short") }}}}</p>
<blockquote>{{{{ shown.incident }}}}</blockquote>
{{% endif %}}{{% if done %}}<h2>{{{{ done[1] }}}}</h2>
{{% if shown.goes_on %}}<p>{{{{ say("mine.done_for", reference=shown.goes_on) }}}}</p>
{{% endif %}}<p>{{{{ done[2] }}}}</p>
{{% if done[0].words %}}<blockquote>{{{{ done[0].words }}}}</blockquote>
{{% endif %}}{{% endif %}}{{% if shown.given %}}<h2>{{{{ say("mine.given.title") }}}}</h2>
{{% for one, became in given %}}<div class="card">
<p>{{{{ one.title }}}}{{% if one.worth %}} ({{{{ one.worth }}}}){{% endif %}}</p>
{{% if became %}}{{{{ became }}}}
{{% else %}}<a href="{{{{ one.link }}}}">{{{{ say("mine.given.show" if one.worth else "mine.given.open") }}}}</a>
{{% endif %}}</div>
{{% endfor %}}{{% endif %}}{{% if shown.takes_words %}}<h2>{{{{ say("mine.now") }}}}</h2>
{{% if shown.question %}}<blockquote>{{{{ shown.question }}}}</blockquote>
{{% endif %}}<form method="post" action="/m/{{{{ token }}}}/words">{_ONCE}
<label for="text">{{{{ say("mine.words.answer") if shown.asked else say("mine.words.add") }}}}</label>
<textarea id="text" name="text" rows="5" maxlength="{WORDS_CHARS_MAX}" required{{{{ amiss("text") }}}}>{{{{ text }}}}</textarea>
<button class="yes">{{{{ say("mine.words.send") }}}}</button></form>
{{% elif shown.asks_helped %}}{{% if even_so %}}<p>{{{{ say("mine.outcome.even_so") }}}}</p>
{{% endif %}}<h2>{{{{ say("check.ask") }}}}</h2>
<form method="post" action="/m/{{{{ token }}}}/helped">{_ONCE}
<label for="text">{{{{ say("mine.helped.line") }}}}</label>
<textarea id="text" name="text" rows="3" maxlength="{WORDS_CHARS_MAX}"{{{{ amiss("text") }}}}>{{{{ text }}}}</textarea>
<button class="yes" name="action" value="yes">{{{{ say("check.yes") }}}}</button>
<button name="action" value="partly">{{{{ say("check.partly") }}}}</button>
<button name="action" value="no">{{{{ say("check.no") }}}}</button></form>
{{% elif text %}}<p>{{{{ say("mine.words.kept") }}}}</p>
<blockquote>{{{{ text }}}}</blockquote>
{{% endif %}}{{% if referred %}}<h2>{{{{ say("mine.now") }}}}</h2>
<p>{{{{ say("mine.referred.can") }}}}</p>
{{% if shown.body_page %}}<p><a href="{{{{ shown.body_page }}}}">{{{{ say("mine.referred.reach") }}}}</a></p>
{{% endif %}}{{% endif %}}{{% if shown.survey %}}<h2>{{{{ say("survey.title") }}}}</h2>
<p>{{{{ say("letter.survey.ask") }}}}</p>
<p><a href="{{{{ shown.survey }}}}">{{{{ say("letter.survey.answer") }}}}</a></p>
{{% endif %}}{{% if shown.may_withdraw %}}<details><summary>{{{{ say("mine.withdraw.title") }}}}</summary>
<p>{{{{ say("mine.withdraw.why") }}}}</p>
<form method="post" action="/m/{{{{ token }}}}/withdraw">{_ONCE}<button>{{{{ say("mine.withdraw.do") }}}}</button></form></details>
{{% endif %}}<details id="data"{{% if amiss("data") %}} open{{% endif %}}><summary>{{{{ say("mine.data.title") }}}}</summary>
{{% if shown.reachable %}}<p>{{{{ code_by }}}}</p>
<form method="post" action="/m/{{{{ token }}}}/code">{_ONCE}
<button name="action" value="export">{{{{ say("mine.data.export") }}}}</button>
{{% if shown.has_email or shown.writes_mail %}}<button name="action" value="contact">{{{{ say("mine.data.contact" if shown.has_email else "mine.data.contact_new") }}}}</button>
{{% endif %}}<button name="action" value="erasure">{{{{ say("mine.data.erasure") }}}}</button></form>
{{% else %}}<p>{{{{ say("mine.data.no_contact", reference=shown.reference) }}}}</p>
{{% endif %}}</details>
<h2>{{{{ say("mine.happened") }}}}</h2>
{{% if shown.left_out %}}<p>{{{{ say("mine.left_out") }}}}</p>
{{% endif %}}<ol class="told">
{{% for one, title, more in told %}}<li><p class="when">{{{{ one.when }}}}</p>
<p class="what">{{{{ title }}}}</p>
{{% if more %}}<p>{{{{ more }}}}</p>
{{% endif %}}{{% if one.words and one.words != shown.heard %}}<blockquote>{{{{ one.words }}}}</blockquote>
{{% endif %}}</li>
{{% endfor %}}</ol>
<p>{{{{ say("mine.help", reference=shown.reference) }}}}</p>
{{% if shown.preferences %}}<p><a href="{{{{ shown.preferences }}}}">{{{{ say("preferences.title") }}}}</a></p>
{{% endif %}}"""
_CODE = f"""<p>{{{{ sent }}}}</p>
<p>{{{{ what }}}}</p>
<form method="post" action="/m/{{{{ token }}}}/confirm">{_ONCE}
{{% if changes_contact %}}<label for="email">{{{{ say("mine.code.email") }}}}</label>
<input id="email" name="email" type="email" autocomplete="email" maxlength="254" value="{{{{ email }}}}" required{{{{ amiss("email") }}}}>
{{% endif %}}<label for="code">{{{{ say("mine.code.label") }}}}</label>
<input id="code" name="code" inputmode="numeric" autocomplete="one-time-code" maxlength="12" required{{{{ amiss("code") }}}}>
<button class="yes">{{{{ say("mine.code.do") }}}}</button></form>
<p><a href="/m/{{{{ token }}}}">{{{{ say("mine.back") }}}}</a></p>
"""


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that happened, ready to print; empty texts say nothing."""

    when: str
    what: What
    title: str
    worth: str
    promised_by: str
    outcome: Outcome | None
    words: str
    #: Why a letter was sent; None of anything else.
    occasion: Occasion | None = None
    #: What the customer answered; None of anything else.
    helped: Helped | None = None
    #: Whether an employee did it for the customer.
    by_employee: bool = False


@dataclass(frozen=True, slots=True)
class Given:
    """A check that the customer was given: what became of it, if it cannot be used, and the page that has its code."""

    title: str
    worth: str
    became: What | None
    link: str


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page shows."""

    language: Language
    site_name: str
    reference: str
    told: Sequence[Told]
    #: What they wrote first, or its beginning; empty if the words' time is over.
    heard: str
    #: Where it happened, as the site calls it; empty for a place that the site does not list.
    place: str
    #: What was done, while they are asked whether it helped.
    done: Told | None
    given: Sequence[Given]
    #: Whether somebody's safety is concerned, of a complaint that is not over: nobody waits for an answer then.
    danger: bool
    #: The time of the last promise that was broken, while the complaint is not over; empty if none was.
    missed: str
    #: Where they are written to now, shown partly, where they have just changed it; empty otherwise.
    reached_at: str
    #: Whether older entries are not kept any more.
    left_out: bool
    #: Whether the customer was asked something and did not answer yet.
    asked: bool
    #: What they were asked; empty if nothing, or if the words' time is over.
    question: str
    #: Where the complaint stands, or the one that goes on for it, and whether an employee has that one.
    state: State
    claimed: bool
    #: The department of that employee; empty if they belong to none.
    department: str
    #: By when the customer hears from us, and by when they may say whether it helped; empty if there is no such time to come.
    promised_by: str
    closes_at: str
    #: What the outside body is called that looks at it, and its page; empty if none does, or the policy lists it no more.
    body: str
    body_page: str
    #: Whether it is looked after together with another one.
    merged: bool
    #: The reference of that one; empty if there is none, or if it is another customer's.
    goes_on: str
    takes_words: bool
    #: Whether the customer is asked "did it help?".
    asks_helped: bool
    may_withdraw: bool
    reachable: bool
    #: The channel that a code goes by; None where it may be several.
    code_by: MessageChannel | None
    #: Whether we have an e-mail address of theirs, and whether the site writes by e-mail.
    has_email: bool
    writes_mail: bool
    #: Where they say how we write to them; empty if we cannot.
    preferences: str
    #: Where the site's questions after a close are; empty if it asks none, or the complaint is not over.
    survey: str
    #: What the site says of an incident about the same; empty if none stands.
    incident: str


class AskedCode(NamedTuple):
    """A code that is taken: for what, and the channel that it goes by; None if that may be several."""

    action: Action
    by: MessageChannel | None


class Page:
    """The pages in each language."""

    def __init__(self) -> None:
        self._pages = Pages(mine=_MINE, code=_CODE)

    def show(
        self, shown: Shown, token: str, once: str, *, fault: Fault | None = None, text: str = ""
    ) -> str:
        """A complaint's page; with a fault on top, and what was written, if that was not taken.

        `once` names the request of each form, so that the same one sent twice is done once.
        """
        words = partial(say, shown.language)
        return self._pages.render(
            "mine",
            shown.language,
            words("mine.title", reference=shown.reference),
            site_name=shown.site_name,
            faults=[fault] if fault is not None else [],
            shown=shown,
            standing=standing(shown),
            owner=owner(shown),
            code_by=words(f"mine.data.why.{shown.code_by or 'either'}"),
            referred=shown.state is State.REFERRED_EXTERNAL,
            done=told_of(shown.done, shown.language) if shown.done is not None else None,
            even_so=shown.done is not None and shown.done.outcome is Outcome.NOT_POSSIBLE,
            given=[
                (one, words(f"mine.what.{one.became}") if one.became is not None else "")
                for one in shown.given
            ],
            told=[told_of(one, shown.language) for one in shown.told],
            token=token,
            once=once,
            text=text,
        )

    def ask_code(
        self,
        shown: Shown,
        code: AskedCode,
        token: str,
        once: str,
        *,
        fault: Fault | None = None,
        email: str = "",
    ) -> str:
        """The page on which a code is entered; with a fault on top, and the address that was given then."""
        words = partial(say, shown.language)
        return self._pages.render(
            "code",
            shown.language,
            words("mine.code.title"),
            site_name=shown.site_name,
            faults=[fault] if fault is not None else [],
            sent=words(f"mine.code.sent.{code.by or 'either'}"),
            what=words(f"mine.code.{code.action}"),
            changes_contact=code.action is Action.CONTACT,
            email=email,
            token=token,
            once=once,
        )

    def erased(self, shown: Shown) -> str:
        """The page that says that everything was erased."""
        words = partial(say, shown.language)
        return self._pages.render(
            "frame",
            shown.language,
            words("mine.erased.title"),
            site_name=shown.site_name,
            lines=[words("mine.erased.why")],
        )


def standing(shown: Shown) -> str:
    """One sentence on where the complaint stands."""
    if shown.asked:
        return say(shown.language, "mine.standing.asked")
    if shown.asks_helped:
        part = "resolved" if shown.closes_at else "closed"
        return say(shown.language, f"mine.standing.{part}", when=shown.closes_at)
    if shown.state is State.RECEIVED:
        return say(shown.language, "mine.standing.received")
    if shown.state is State.REFERRED_EXTERNAL:
        body = shown.body or say(shown.language, "mine.referred.body")
        return say(shown.language, "mine.standing.referred", body=body)
    # Another customer's would stand by itself again.
    if shown.goes_on and shown.state is State.WITHDRAWN:
        return say(
            shown.language,
            "mine.standing.taken_back",
            other=shown.goes_on,
            reference=shown.reference,
        )
    if shown.state not in OPEN:
        taken = shown.state is State.NOT_A_COMPLAINT
        part = "not_a_complaint" if taken else "done"
        again = say(shown.language, "mine.standing.again")
        return f"{say(shown.language, f'mine.standing.{part}')} {again}"
    if shown.merged:
        by = say(shown.language, "mine.by", when=shown.promised_by) if shown.promised_by else ""
        part = "merged_own" if shown.goes_on else "merged"
        on_it = say(shown.language, f"mine.standing.{part}", other=shown.goes_on)
        return f"{on_it} {by}".rstrip()
    if not shown.promised_by:
        part = "owed" if shown.missed else "going"
        return say(shown.language, f"mine.standing.{part}", reference=shown.reference)
    part = "open" if shown.claimed else "unclaimed"
    return say(shown.language, f"mine.standing.{part}", when=shown.promised_by)


def owner(shown: Shown) -> str:
    """Who looks after the complaint, by department and never by name; empty once it is over."""
    if shown.state not in OPEN:
        return ""
    if not shown.claimed:
        return say(shown.language, "mine.owner.all")
    return shown.department or say(shown.language, "mine.owner.one")


def told_of(one: Told, language: Language) -> tuple[Told, str, str]:
    """An entry with its title and what else is said of it."""
    return one, what_happened(one, language), more_of(one, language)


def what_happened(one: Told, language: Language) -> str:
    """What happened, in a few words; of what was done about the cause, by what came of it."""
    if one.outcome is not None:
        return say(language, f"mine.resolved.{one.outcome}")
    if one.what is What.LETTER_SENT and one.occasion is Occasion.PROMISE_AT_RISK:
        return say(language, "mine.what.warned")
    if one.helped is Helped.PARTLY:
        return say(language, "mine.what.partly")
    if one.what is What.WITHDRAWN and one.by_employee:
        return say(language, "mine.what.withdrawn_for_you")
    return say(language, f"mine.what.{one.what}")


def told(entry: Entry, words: str, policy: Policy, language: Language) -> Told:
    """An entry of a timeline with its words, ready to print at the time of the policy's site."""
    worth = (
        format_money(entry.amount_minor, entry.currency, language)
        if entry.amount_minor and entry.currency
        else ""
    )
    by = format_time(entry.promised_by, policy.timezone, language) if entry.promised_by else ""
    return Told(
        when=format_time(entry.at, policy.timezone, language),
        what=entry.what,
        title=_title(entry, policy, language),
        worth=worth,
        promised_by=by,
        outcome=entry.outcome,
        words=words,
        occasion=entry.occasion,
        helped=entry.helped,
        by_employee=entry.who is Who.EMPLOYEE,
    )


def _title(entry: Entry, policy: Policy, language: Language) -> str:
    """What a check, a fix or an outside body is called; empty if it is about none."""
    if entry.item is not None:
        return title_of(entry.item, (policy,), language)
    fix = policy.fixes.get(entry.fix or "")
    if fix is not None:
        return in_language(fix.done or fix.title, language)
    named = policy.bodies.get(entry.body or "")
    return in_language(named.title, language) if named is not None else ""


def more_of(one: Told, language: Language) -> str:
    """What else is said of an entry: a check, an amount, a time, an outcome; empty if nothing is."""
    if one.title:
        return f"{one.title} ({one.worth})" if one.worth else one.title
    if one.promised_by:
        part = "promised_for" if one.what is What.PROMISE_BROKEN else "by"
        return say(language, f"mine.{part}", when=one.promised_by)
    if one.outcome is not None:
        return say(language, outcome_key(one.outcome, noted=bool(one.words)))
    return one.worth
