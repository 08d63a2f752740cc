"""What the text message of each occasion says: what a customer must know without opening its link.

What matters most comes first, because words that do not fit are cut at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from services.notifier.wording.occasions import Told, Words, ended, gift
from shared.contracts.complaints import Outcome
from shared.contracts.notifier import Occasion
from shared.runtime.words import outcome_key

#: Occasions whose reference is said elsewhere, or says the customer nothing: a code is not to be taken for it.
WITHOUT_REFERENCE = frozenset(
    {
        Occasion.CONFIRMATION,
        Occasion.CONTACT_CHANGED,
        Occasion.CHECK_GIVEN,
        Occasion.CHECK_EXPIRING,
        Occasion.CHECK_WITHDRAWN,
        Occasion.TOUCHPOINT_ASKED,
    }
)


def short(occasion: Occasion, words: Words, told: Told, parts: tuple[str, ...] = ()) -> str:
    """The words of a text message, on one line; `parts` are the subjects of what a digest holds."""
    if occasion is Occasion.SAFETY:
        return _said(_safety(words, told))
    if occasion is Occasion.DIGEST:
        return f"{words('letter.digest.subject')}: {'; '.join(parts)}"
    case = "" if occasion in WITHOUT_REFERENCE else told["reference"]
    who = ", ".join(filter(None, (told["site_name"], case)))
    return f"{who}: {_said(SHORT[occasion](words, told))}"


def _said(sentences: Iterator[str]) -> str:
    return " ".join(filter(None, sentences))


def _acknowledgement(words: Words, told: Told) -> Iterator[str]:
    """Thanks for what they told us, and that we are sorry; whom to turn to where it is about safety; by when they hear from us."""
    plain = "short_grave" if told["gravity"] else "plain"
    yield words(f"letter.acknowledgement.{told['disruption'] or plain}")
    if told["sorry"] and not told["gravity"] and not told["disruption"]:
        yield words("letter.acknowledgement.sorry")
    yield _help(words, told)
    yield words("letter.promised")


def _check_given(words: Words, told: Told) -> Iterator[str]:
    """What is given, its code, and until when it is taken."""
    given = told["code"] or told["worth"]
    if told["delight"]:
        yield f"{told['delight']} {words('letter.check_given.gift')}"
    elif told["due_by"]:
        yield words("letter.check_given.short_due")
    elif told["gravity"]:
        yield words(f"letter.check_given.{'short' if given else 'grave_apology'}")
    else:
        yield words(f"letter.check_given.{'short' if given else 'apology'}")
    if given or told["due_by"] or told["delight"]:
        yield from _gift(words, told)
    if told["feedback_url"]:
        yield words("letter.check_given.short_ask")


def _check_offered(words: Words, told: Told) -> Iterator[str]:
    """By when the customer chooses, and from what."""
    yield words(f"letter.check_offered.{'short_grave' if told['gravity'] else 'short'}")
    yield "; ".join(told["choices"])


def _reopened(words: Words, told: Told) -> Iterator[str]:
    """It goes on, whom to turn to where it is about safety, and by when they hear from us."""
    yield words(f"letter.reopened.{'grave' if told['gravity'] else 'honest'}")
    yield _help(words, told)
    yield words("letter.promised")


def _question_asked(words: Words, told: Told) -> Iterator[str]:
    yield words("letter.question_asked.short")
    yield told["question"]


def _fix_done(words: Words, told: Told) -> Iterator[str]:
    """What was done, and where to write if it did not help."""
    yield words("letter.fix_done.came")
    yield f"{told['fix']}." if told["fix"] else ""
    yield words("letter.fix_done.ask")


def _resolution_told(words: Words, told: Told) -> Iterator[str]:
    """What came of it, in our words and the employee's."""
    yield words(outcome_key(told["outcome"], noted=bool(told["resolution"])))
    yield told["resolution"]
    if told["outcome"] == Outcome.NOT_POSSIBLE:
        yield words("mine.outcome.even_so")
    yield words("letter.check_given.short_ask")


def _promise_at_risk(words: Words, told: Told) -> Iterator[str]:
    yield words("letter.promise_at_risk.short")
    yield _help(words, told)


def _promise_broken(words: Words, told: Told) -> Iterator[str]:
    yield words("letter.promise_broken.short")
    yield _help(words, told)


def _thanked(words: Words, told: Told) -> Iterator[str]:
    """That it is settled, and the site's questions, to which its link leads then."""
    yield words(f"letter.thanked.{'grave' if told['gravity'] else 'plain'}")
    yield words("letter.survey.ask") if told["survey_url"] else ""


def _closed(words: Words, told: Told) -> Iterator[str]:
    told_why, _ = ended(told)
    yield words(told_why)
    yield words("letter.closed.short")


def _referred(words: Words, _told: Told) -> Iterator[str]:
    """Who looks at it, and where to read what has happened."""
    yield words("letter.referred.told")
    yield words("letter.referred.happened")


def _feedback_asked(words: Words, told: Told) -> Iterator[str]:
    yield words(f"letter.feedback_asked.{'wrote_of' if told['title'] else 'wrote'}")
    yield words("letter.check_given.short_ask")


def _check_expiring(words: Words, told: Told) -> Iterator[str]:
    """What ends soon, what is left of it, and its code."""
    yield words("letter.check_expiring.soon")
    yield from _gift(words, told)
    yield f"{words('letter.left')}: {told['left']}." if told["left"] else ""


def _check_withdrawn(words: Words, _told: Told) -> Iterator[str]:
    yield words("letter.check_withdrawn.short")


def _incident(words: Words, told: Told) -> Iterator[str]:
    yield words("letter.incident.short")
    yield told["words"]


def _touchpoint_asked(words: Words, told: Told) -> Iterator[str]:
    yield told["question"]
    yield words("letter.touchpoint_asked.why")


def _confirmation(words: Words, told: Told) -> Iterator[str]:
    """The code, until when it is taken, and what it does."""
    yield words("letter.confirmation.short")
    yield told["what"]
    yield words("letter.confirmation.not_you")


def _contact_changed(words: Words, _told: Told) -> Iterator[str]:
    yield words("letter.contact_changed.told")
    yield words("letter.contact_changed.not_you")


def _safety(words: Words, told: Told) -> Iterator[str]:
    """What it is and what to do before where it is: a place is in words of the customer's, which may be long."""
    yield f"{words('letter.safety.subject')}."
    what = ", ".join(told["kinds"]) or words("letter.safety.unsaid")
    yield f"{words('letter.safety.what')}: {what}."
    yield words("letter.safety.short_look")
    yield words("letter.safety.short_again") if told["again"] else ""
    yield f"{words('letter.safety.where')}: {told['place']}." if told["place"] else ""


def _gift(words: Words, told: Told) -> Iterator[str]:
    yield f"{gift(told)}."
    if told["code"]:
        yield words("letter.check_given.short_code")
        if told["valid_at"] and not told.get(
            "feedback_url"
        ):  # else the page behind the link says it
            yield f"{words('letter.where')}: {told['valid_at']}."


def _help(words: Words, told: Told) -> str:
    return words("letter.acknowledgement.short_help") if told["gravity"] == "safety" else ""


SHORT: Mapping[Occasion, Callable[[Words, Told], Iterator[str]]] = {
    Occasion.ACKNOWLEDGEMENT: _acknowledgement,
    Occasion.CHECK_GIVEN: _check_given,
    Occasion.CHECK_OFFERED: _check_offered,
    Occasion.REOPENED: _reopened,
    Occasion.QUESTION_ASKED: _question_asked,
    Occasion.FIX_DONE: _fix_done,
    Occasion.RESOLUTION_TOLD: _resolution_told,
    Occasion.PROMISE_AT_RISK: _promise_at_risk,
    Occasion.PROMISE_BROKEN: _promise_broken,
    Occasion.THANKED: _thanked,
    Occasion.CLOSED: _closed,
    Occasion.REFERRED: _referred,
    Occasion.FEEDBACK_ASKED: _feedback_asked,
    Occasion.CHECK_EXPIRING: _check_expiring,
    Occasion.CHECK_WITHDRAWN: _check_withdrawn,
    Occasion.INCIDENT: _incident,
    Occasion.TOUCHPOINT_ASKED: _touchpoint_asked,
    Occasion.CONFIRMATION: _confirmation,
    Occasion.CONTACT_CHANGED: _contact_changed,
}
