"""What the letter of each occasion says, block by block; the sentences are in `shared/words`, under `letter`.

`words` says a sentence with the letter's values; `told` has the values themselves, for what is shown as
it is and for what is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from services.notifier.wording.blocks import Block, Card, Items, Link, Quote, Text
from shared.contracts.complaints import Outcome
from shared.contracts.notifier import Occasion
from shared.runtime.words import outcome_key

#: Says the sentence of a key.
Words = Callable[[str], str]
#: The values of a letter by name: one line each, or several.
Told = Mapping[str, Any]


def acknowledgement(words: Words, told: Told) -> Iterator[Block]:
    """We have it, and by when the customer hears from us; no thanks where it is grave, or where they said nothing yet."""
    if told["disruption"]:
        yield Text([words(f"letter.acknowledgement.{told['disruption']}")])
        if told["gravity"] == "safety":
            yield from _help(words, told)
        yield Text([words("letter.promised")])
        yield _follow(words, told)
        return
    match told["gravity"]:
        case "safety":
            alarmed = [words("letter.acknowledgement.told")] if told["alarmed"] else []
            yield Text([words("letter.acknowledgement.safety"), *alarmed])
            yield from _help(words, told)
        case "severe" if told["about"]:
            yield Text([words("letter.acknowledgement.severe")])
        case "severe":
            yield Text([words("letter.acknowledgement.severe_plain")])
        case _:
            sorry = [words("letter.acknowledgement.sorry")] if told["sorry"] else []
            yield Text([words("letter.acknowledgement.plain"), *sorry])
    promise = [told["promise"]] if told["promise"] and not told["gravity"] else []
    yield Text([words("letter.promised"), *promise])
    yield Text([words("letter.mention")])
    yield _follow(words, told)


def check_given(words: Words, told: Told) -> Iterator[Block]:
    """What is given and why, how it is used, and "did it help?"; of a delight, no word of anything that went wrong."""
    if told["delight"]:
        yield from _delight(words, told)
        return
    given = told["code"] or told["worth"]
    if told["due_by"]:
        yield Text([words("letter.check_given.due")])
    elif told["gravity"]:
        grave = "letter.check_given.grave" if given else "letter.check_given.grave_apology"
        yield Text([words(grave)])
    else:
        yield Text([words("letter.check_given.plain" if given else "letter.check_given.apology")])
    if given or told["due_by"]:
        yield _card(words, told)
    if told["code"]:
        yield Text([words("letter.check_given.show")])
    stands = "letter.case" if told["closed"] else "letter.check_given.open"
    yield Text([words("letter.for"), words(stands)])
    yield from _rights(words, told)
    if told["feedback_url"]:
        yield _ask(words, told)
        yield _see(words, told)


def check_offered(words: Words, told: Told) -> Iterator[Block]:
    """What the customer may choose from, one choice per line, and until when."""
    grave = told["gravity"]
    yield Text([words("letter.check_offered.grave" if grave else "letter.check_offered.plain")])
    yield Items(told["choices"])
    yield Link(
        words("letter.check_offered.choose_by"),
        words("letter.check_offered.choose"),
        told["offer_url"],
    )
    yield Text([words("letter.for"), words("letter.case")])
    yield from _rights(words, told)


def reopened(words: Words, told: Told) -> Iterator[Block]:
    """It did not help enough: it goes on, and by when the customer hears from us."""
    grave = told["gravity"]
    yield Text([words("letter.reopened.grave" if grave else "letter.reopened.honest")])
    yield Text([words(f"letter.reopened.{told['with_whom']}")])
    yield from _help(words, told)
    yield Text([words("letter.promised")])
    yield _follow(words, told)


def question_asked(words: Words, told: Told) -> Iterator[Block]:
    """What an employee must know, in their words, and where to answer."""
    yield Text([words("letter.question_asked.need")])
    yield Quote(told["question"])
    yield Link(
        words("letter.question_asked.answer_here"),
        words("letter.question_asked.answer"),
        told["mine_url"],
    )
    yield Text([words("letter.question_asked.waits")])


def fix_done(words: Words, told: Told) -> Iterator[Block]:
    """What was done about the cause so far, and where to write to us if it did not help."""
    yield Text([words("letter.fix_done.came")])
    if told["fix"]:
        yield Items([told["fix"]])
    yield Link(words("letter.fix_done.ask"), words("letter.fix_done.answer"), told["mine_url"])


def resolution_told(words: Words, told: Told) -> Iterator[Block]:
    """What was done, in our words and the employee's, as the customer's page has it, and "did it help?"."""
    yield Text([words("letter.resolution_told.came")])
    yield Text([words(outcome_key(told["outcome"], noted=bool(told["resolution"])))])
    if told["resolution"]:
        yield Quote(told["resolution"])
    if told["waited"]:
        yield Text([words("letter.resolution_told.waited")])
    if told["outcome"] == Outcome.NOT_POSSIBLE:
        yield Text([words("mine.outcome.even_so")])
    yield Link(
        words("letter.resolution_told.ask"),
        words("letter.resolution_told.answer"),
        told["mine_url"],
    )
    yield Text([words("letter.resolution_told.closes")])


def promise_at_risk(words: Words, told: Told) -> Iterator[Block]:
    """A promised time is near and may not be kept: we say so first, and whether anybody has it."""
    yield Text([words("letter.promise_at_risk.said")])
    yield Text(
        [
            words(f"letter.promise_at_risk.{told['taken_on']}"),
            words("letter.promise_at_risk.nothing"),
        ]
    )
    yield from _help(words, told)
    yield _see(words, told)


def promise_broken(words: Words, told: Told) -> Iterator[Block]:
    """A promised time passed without an answer: whose fault it is, whether anybody has it, and what happens now."""
    yield Text([words("letter.promise_broken.said")])
    yield Text(
        [words(f"letter.promise_broken.{told['taken_on']}"), words("letter.promise_broken.seen")]
    )
    yield from _help(words, told)
    yield _see(words, told)


def thanked(words: Words, told: Told) -> Iterator[Block]:
    """It helped, and the case is settled."""
    yield Text([words("letter.thanked.grave" if told["gravity"] else "letter.thanked.plain")])
    yield Text([words("letter.thanked.settled")])
    yield Link(words("letter.thanked.more"), words("letter.open"), told["mine_url"])
    yield from _survey(words, told)


def closed(words: Words, told: Told) -> Iterator[Block]:
    """Why the case is closed, and how the customer opens it again."""
    told_why, again = ended(told)
    yield Text([words(told_why)])
    yield Link(words(again), words("letter.open"), told["mine_url"])
    yield from _survey(words, told)


def ended(told: Told) -> tuple[str, str]:
    """The sentences that say why a case is closed, and how it is opened again."""
    match told["ended"]:
        case "withdrawn":
            return "letter.closed.withdrawn", "letter.closed.go_on"
        case "not_a_complaint":
            return "letter.closed.not_a_complaint", "letter.closed.is_one"
        case _:
            return "letter.closed.told", "letter.closed.open_again"


def referred(words: Words, told: Told) -> Iterator[Block]:
    """Which outside body looks at it now, how to reach them, and what stays the customer's."""
    yield Text([words("letter.referred.told"), words("letter.referred.decide")])
    yield Link(words("letter.referred.reach"), words("letter.referred.page"), told["body_page"])
    yield Text([words("letter.referred.stays")])
    yield Link(words("letter.referred.happened"), words("letter.open"), told["mine_url"])


def feedback_asked(words: Words, told: Told) -> Iterator[Block]:
    """The one reminder to say whether it helped."""
    wrote = "letter.feedback_asked.wrote_of" if told["title"] else "letter.feedback_asked.wrote"
    yield Text([words(wrote)])
    yield _ask(words, told)
    yield Text([words("letter.feedback_asked.last")])


def touchpoint_asked(words: Words, told: Told) -> Iterator[Block]:
    """The site's question about a moment of the journey, and where it is answered."""
    yield Text([told["question"], words("letter.touchpoint_asked.why")])
    yield Link(
        words("letter.touchpoint_asked.ask"),
        words("letter.touchpoint_asked.answer"),
        told["asking_url"],
    )


def incident(words: Words, told: Told) -> Iterator[Block]:
    """Many told us the same: what the site says of it, in the words that it says everywhere."""
    yield Text([words("letter.incident.others")])
    yield Quote(told["words"])
    yield _see(words, told)


def digest(words: Words, _told: Told) -> Iterator[Block]:
    """Why what follows comes together; what it says is the letters of its messages."""
    yield Text([words("letter.digest.together")])


def check_expiring(words: Words, told: Told) -> Iterator[Block]:
    """What was given ends soon, and something is left on it."""
    yield Text([words("letter.check_expiring.soon")])
    yield _card(words, told, told["left"])
    yield Text([words("letter.check_expiring.show")])
    if not told["delight"]:
        yield Text([words("letter.for"), words("letter.case")])


def check_withdrawn(words: Words, told: Told) -> Iterator[Block]:
    """What was given is taken back: it was our mistake, what stays as it is, and where to turn."""
    yield Text([words("letter.check_withdrawn.told")])
    yield Card(gift(told))
    yield Text([words("letter.check_withdrawn.mistake")])
    used = [words("letter.check_withdrawn.used")] if told["used"] else []
    law = [words("letter.check_withdrawn.law")] if told["due_by"] else []
    yield Text([*used, words("letter.check_withdrawn.stays"), *law])
    if told["delight"]:
        yield Text([words("letter.check_withdrawn.any")])
        return
    yield Link(words("letter.check_withdrawn.ask"), words("letter.open"), told["mine_url"])
    yield Text([words("letter.for"), words("letter.case")])


def confirmation(words: Words, told: Told) -> Iterator[Block]:
    """A one-time code, what it does, and until when it is taken."""
    yield Text([words("letter.confirmation.here")])
    yield Card(code=told["code"])
    yield Text([told["what"], words("letter.confirmation.until")])
    yield Text([words("letter.confirmation.not_you")])
    yield Text([words("letter.case_about")])


def contact_changed(words: Words, _told: Told) -> Iterator[Block]:
    """The address of before learns that another one took its place, and what to do if it was not the customer."""
    yield Text([words("letter.contact_changed.told")])
    yield Text([words("letter.contact_changed.not_you"), words("letter.contact_changed.from_home")])


def safety(words: Words, told: Told) -> Iterator[Block]:
    """Those who must know are told to go and look; where and what, and neither names nor words, for role mailboxes only."""
    if told["again"]:
        yield Text([words("letter.safety.again")])
    yield Text([words("letter.safety.look")])
    rows = [
        (words("letter.safety.what"), ", ".join(told["kinds"]) or words("letter.safety.unsaid")),
        (words("letter.safety.where"), ", ".join(filter(None, (told["place"], told["site_name"])))),
        (words("letter.safety.heard"), told["heard_at"]),
        (words("letter.safety.complaint"), told["reference"]),
    ]
    yield Card(rows=rows)
    yield Link(words("letter.safety.seen"), words("letter.safety.button"), told["seen_url"])
    yield Text([words("letter.safety.read")])


def _delight(words: Words, told: Told) -> Iterator[Block]:
    """A greeting for the occasion, what is given, and how it is used: nothing went wrong, and nothing is asked."""
    yield Text([told["delight"], words("letter.check_given.gift")])
    yield _card(words, told)
    if told["code"]:
        yield Text([words("letter.check_given.show")])
    yield Text([words("letter.check_given.enjoy")])


def _help(words: Words, told: Told) -> Iterator[Block]:
    """Whom to turn to where somebody's safety is concerned: nobody waits for a letter then."""
    if told["gravity"] == "safety":
        yield Text([words("letter.acknowledgement.help")])


def gift(told: Told) -> str:
    """What is given, with what it is worth."""
    return f"{told['title']} ({told['worth']})" if told["worth"] else str(told["title"])


def _card(words: Words, told: Told, left: str = "") -> Card:
    title = gift(told)
    if not told["code"]:
        return Card(title)
    rows = [
        *([(words("letter.left"), left)] if left else []),
        *([] if told["money"] else [_where(words, told)]),
        (words("letter.until"), told["valid_until"]),
    ]
    return Card(title, told["code"], words("letter.code"), rows, scanned=True)


def _where(words: Words, told: Told) -> tuple[str, str]:
    return words("letter.where"), told["valid_at"] or words("letter.everywhere")


def _rights(words: Words, told: Told) -> Iterator[Block]:
    """What the law says, where the policy has it."""
    if not told["information"]:
        return
    if told["due_by"]:
        yield Text([words("letter.check_given.law"), told["information"]])
    else:
        named = words("letter.rights" if told["law"] else "letter.rights_of_the_law")
        yield Text([named, told["information"]])


def _ask(words: Words, told: Told) -> Link:
    return Link(
        words("letter.check_given.ask"), words("letter.check_given.answer"), told["feedback_url"]
    )


def _survey(words: Words, told: Told) -> Iterator[Block]:
    """The site's questions, if it has some."""
    if told["survey_url"]:
        yield Link(words("letter.survey.ask"), words("letter.survey.answer"), told["survey_url"])


def _see(words: Words, told: Told) -> Link:
    return Link(words("letter.see"), words("letter.open"), told["mine_url"])


def _follow(words: Words, told: Told) -> Link:
    return Link(words("letter.follow"), words("letter.open"), told["mine_url"])


def subject(occasion: Occasion, words: Words, told: Told) -> str:
    """The subject of a letter."""
    if occasion is Occasion.ACKNOWLEDGEMENT and told["disruption"]:
        return words("letter.acknowledgement.subject_seen")
    if occasion is Occasion.CHECK_GIVEN and told["due_by"]:
        return words("letter.check_given.subject_due")
    if occasion is Occasion.CHECK_GIVEN and not told["worth"]:
        return words("letter.check_given.subject_apology")
    if occasion is Occasion.RESOLUTION_TOLD and told["outcome"] != Outcome.FIXED:
        return words("letter.resolution_told.subject_looked")
    return words(f"letter.{occasion}.subject")


#: Writes the blocks of a letter.
Writes = Callable[[Words, Told], Iterator[Block]]
OCCASIONS: Mapping[Occasion, Writes] = {
    Occasion.ACKNOWLEDGEMENT: acknowledgement,
    Occasion.CHECK_GIVEN: check_given,
    Occasion.CHECK_OFFERED: check_offered,
    Occasion.REOPENED: reopened,
    Occasion.QUESTION_ASKED: question_asked,
    Occasion.FIX_DONE: fix_done,
    Occasion.RESOLUTION_TOLD: resolution_told,
    Occasion.PROMISE_AT_RISK: promise_at_risk,
    Occasion.PROMISE_BROKEN: promise_broken,
    Occasion.THANKED: thanked,
    Occasion.CLOSED: closed,
    Occasion.REFERRED: referred,
    Occasion.FEEDBACK_ASKED: feedback_asked,
    Occasion.CHECK_EXPIRING: check_expiring,
    Occasion.CHECK_WITHDRAWN: check_withdrawn,
    Occasion.DIGEST: digest,
    Occasion.INCIDENT: incident,
    Occasion.TOUCHPOINT_ASKED: touchpoint_asked,
    Occasion.CONFIRMATION: confirmation,
    Occasion.CONTACT_CHANGED: contact_changed,
    Occasion.SAFETY: safety,
}
#: Letters that do not say where it happened: the one is about what others told as well, the other goes where somebody
#: else may read it.
UNPLACED = frozenset({Occasion.INCIDENT, Occasion.CONTACT_CHANGED})
#: Notices to staff greet nobody.
TO_STAFF = frozenset({Occasion.SAFETY})
