"""The story, told by its actors: another system, an employee with a phone, two customers."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from kafka import KafkaProducer

from demo.eyes import Eyes, TooLate
from demo.receipt import Told
from demo.show import Show
from devstack.mailbox import Mailbox, Received
from shared.contracts.complaints import (
    ComplaintReceived,
    ComplaintReopened,
    ComplaintRepeated,
    ComplaintTriaged,
    Language,
    TouchpointAnswered,
)
from shared.contracts.intake import ComplaintRaised, TouchpointPassed
from shared.contracts.notifier import (
    FeedbackReceived,
    MessageFailed,
    MessageQueued,
    MessageSent,
    Occasion,
)

#: Dead letters shown one by one; more are counted.
DEAD_SHOWN = 5
#: Options and letters shown of many.
SHOWN = 4
#: The check that the employee gives.
GIVEN = "dinner-for-two"
#: Each step takes seconds; a loaded machine may need many times that.
PATIENCE_S = 60.0
#: Letters per second that the local mail server takes at least; the wait grows with the input.
LETTERS_PER_S = 20
SITE = "ms-aurora"
#: How long the one has whom nobody answers: time for their acknowledgement. A promise is called broken half a minute later.
PROMISE_LASTS = timedelta(seconds=5)
#: One customer says that it helped and another that it did not.
CASES_MIN = 2
FEEDBACK = re.compile(r"https?://\S+/f/\S+")
MINE = re.compile(r"https?://\S+/m/\S+")
SEEN = re.compile(r"https?://\S+/s/\S+")
QUESTION = re.compile(r"https?://\S+/q/\S+")
#: Who takes a complaint over from the story's employee, and who sees to its cause.
COLLEAGUE, PEER = "e-ingrid", "e-lars"
#: Names the request of a form, so that the same one sent twice is done once.
ONCE = re.compile(r'name="once" value="([^"]+)"')
#: What the customer adds and what the employee notes, in the customer's language, true of whatever fix suits.
SAID: Mapping[Language, tuple[str, str]] = {
    Language.NB: ("Takk. Det er mye bedre nå.", "Lars tok seg av det med en gang."),
    Language.SV: ("Tack. Det är mycket bättre nu.", "Lars tog hand om det med en gång."),
    Language.DA: ("Tak. Det er meget bedre nu.", "Lars tog sig af det med det samme."),
    Language.EN: ("Thank you. It is much better now.", "Lars saw to it at once."),
}


#: What a customer writes with their yes, in their language.
THANKS: Mapping[Language, str] = {
    Language.NB: "Dere reddet kvelden vår.",
    Language.SV: "Ni räddade vår kväll.",
    Language.DA: "I reddede vores aften.",
    Language.EN: "You saved our evening.",
}


class NothingToPlay(Exception):
    """The story cannot be played with these complaints; the text says why."""


@dataclass
class Stage:
    """The running system in which the story is played."""

    bootstrap: str
    complaints: str
    compensation: str
    notifier: str
    mailbox: Mailbox
    eyes: Eyes
    show: Show
    #: Signs a token for an employee.
    signed: Callable[[str], str]
    employee_id: str

    def phone(self, base_url: str, employee_id: str | None = None) -> httpx.Client:
        """A phone of the story's employee, or of a colleague."""
        signed = self.signed(employee_id or self.employee_id)
        headers = {"Authorization": f"Bearer {signed}"}
        return httpx.Client(base_url=base_url, headers=headers, timeout=10.0)


def play(stage: Stage, events: Sequence[bytes], rate: float | None) -> Told:
    """Play all acts; raises TooLate if an expected fact does not come. Blocks."""
    told = Told(employee_id=stage.employee_id)
    began = time.monotonic()
    publish(stage, told, events, rate)
    understand(stage, told)
    leave_unanswered(stage, told)
    acknowledge(stage, told)
    alarm(stage, told)
    cases = [case for case in reachable(stage) if case != told.unanswered]
    with stage.phone(stage.compensation) as phone:
        give_first(stage, told, phone, cases)
        told.seconds_to_first_check = time.monotonic() - began
        give_until_exhausted(stage, told, phone, cases)
        hear(stage, told)
        ask(stage, told)
        follow(stage, told, cases)
        scopes = phone.get("/v1/me/authority").json()["scopes"]
        mine = next(scope for scope in scopes if scope["scope"] == "employee_day")
        told.account_used_minor = mine["used_minor"]
    settle_down(stage, told)
    return told


def patience_s(told: Told) -> float:
    """How long a step may take: letters about broken promises of a large input go before those that it waits for."""
    return PATIENCE_S + told.published / LETTERS_PER_S


def publish(stage: Stage, told: Told, events: Sequence[bytes], rate: float | None) -> None:
    """Act 1: another system publishes complaints."""
    show = stage.show
    show.act(1, f"Another system publishes {len(events)} events to recovery.intake.v1")
    started = time.monotonic()
    send(stage, events, rate)
    told.published = len(events)
    show.good(f"published in {time.monotonic() - started:.1f} s")


def send(stage: Stage, events: Sequence[bytes], rate: float | None = None) -> None:
    """Publish events to the intake, `rate` per second or as fast as it takes them. Blocks."""
    producer = KafkaProducer(bootstrap_servers=stage.bootstrap, linger_ms=5)
    started = time.monotonic()
    for number, event in enumerate(events):
        producer.send(ComplaintRaised.TOPIC, event, key=SITE.encode())
        if rate and (ahead := started + (number + 1) / rate - time.monotonic()) > 0:
            time.sleep(ahead)
    producer.flush()
    producer.close()


def understand(stage: Stage, told: Told) -> None:
    """Act 2: each complaint is received once, sealed, triaged and promised an answer."""
    show, eyes = stage.show, stage.eyes
    show.act(2, "complaints receives each once, seals it, understands it, promises an answer")
    show.busy("settling")

    def all_settled() -> bool:
        return (
            eyes.count(ComplaintTriaged) + eyes.count(ComplaintRepeated) + len(eyes.dead)
            >= told.published
        )

    eyes.until(all_settled, "settling the intake", patience_s(told))
    show.busy(None)
    show.good(f"{eyes.count(ComplaintReceived)} received, {eyes.count(ComplaintRepeated)} repeats")
    for letter in eyes.dead[:DEAD_SHOWN]:
        where = f"{letter['origin-topic']}/{letter['origin-partition']}@{letter['origin-offset']}"
        show.note(f"dead letter, not accepted: {letter['reason']} ({where})")
    reasons = Counter(letter["reason"] for letter in eyes.dead)
    counted = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    if len(eyes.dead) > DEAD_SHOWN:
        show.note(f"{len(eyes.dead)} dead letters in all: {counted}")
    if not eyes.count(ComplaintReceived):
        raise NothingToPlay(f"nothing was accepted of {told.published} events: {counted}")
    for fact in list(eyes.of(ComplaintTriaged))[:5]:
        safety = ", somebody's safety" if fact.safety else ""
        show.say(
            f"{fact.complaint_id[:11]}… {fact.language} {fact.category}, {fact.severity}{safety};"
            f" promised by {fact.promised_by:%d.%m. %H:%M} UTC"
        )


def leave_unanswered(stage: Stage, told: Told) -> None:
    """Act 2, continued: a customer who leaves in a moment complains at a desk, and nobody will answer them."""
    leaves = datetime.now(UTC) + PROMISE_LASTS
    with stage.phone(stage.complaints) as phone:
        answer = phone.post(
            "/v1/complaints",
            json={
                "site": SITE,
                "text": "The Wi-Fi in our cabin does not work.",
                "language": Language.EN,
                "contact": {"email": "leaves-early@example.org"},
                "stay_ends_at": leaves.isoformat(),
            },
            headers={"Idempotency-Key": str(uuid.uuid4())},
        ).raise_for_status()
    told.unanswered = answer.json()["complaint_id"]
    told.published += 1
    stage.show.good(
        f"one more is logged at a desk, by a customer who leaves at {leaves:%H:%M:%S} UTC"
    )


def acknowledge(stage: Stage, told: Told) -> None:
    """Act 3: every customer gets an acknowledgement in their language."""
    show, eyes = stage.show, stage.eyes
    show.act(3, "notifier acknowledges each, in the customer's language, by mail")
    show.busy("sending")
    due = sum(fact.has_contact for fact in eyes.of(ComplaintTriaged))

    def all_told() -> bool:
        sent = sum(f.occasion is Occasion.ACKNOWLEDGEMENT for f in eyes.of(MessageSent))
        failed = sum(f.occasion is Occasion.ACKNOWLEDGEMENT for f in eyes.of(MessageFailed))
        return sent + failed >= due

    eyes.until(all_told, "acknowledging", patience_s(told))
    show.busy(None)
    show.good(f"{due} customers told")
    letters = of_occasion(stage, Occasion.ACKNOWLEDGEMENT)
    for subject in sorted({letter.subject.partition(" (")[0] for letter in letters}):
        show.say(f"“{subject}”")


def of_occasion(stage: Stage, occasion: Occasion) -> list[Received]:
    """The letters that came because of one occasion."""
    sent = {fact.message_id for fact in stage.eyes.of(MessageSent) if fact.occasion is occasion}
    return [letter for letter in stage.mailbox.letters if letter.fact_id in sent]


def alarm(stage: Stage, told: Told) -> None:
    """Act 3, continued: role mailboxes get a letter where somebody's safety is concerned, and say that they saw it."""
    show, eyes = stage.show, stage.eyes
    concerned = {fact.complaint_id for fact in eyes.of(ComplaintTriaged) if fact.safety}

    def all_told() -> bool:
        fates: list[MessageSent | MessageFailed] = [*eyes.of(MessageSent), *eyes.of(MessageFailed)]
        return concerned <= {
            fact.complaint_id for fact in fates if fact.occasion is Occasion.SAFETY
        }

    eyes.until(all_told, "telling those who must know", patience_s(told))
    officers = {fact.mailbox for fact in eyes.of(MessageQueued) if fact.mailbox}
    show.good(
        f"{len(concerned)} words about safety reached {', '.join(sorted(officers)) or 'nobody'}"
    )
    for number, letter in enumerate(of_occasion(stage, Occasion.SAFETY)):
        if number < SHOWN:
            show.say(f"“{letter.subject}”")
        link = SEEN.search(letter.body)
        assert link is not None, letter.body
        httpx.get(link.group()).raise_for_status()
        seen = httpx.post(link.group()).raise_for_status().json()["complaint_id"]
        if (
            seen not in told.seen
        ):  # several mailboxes may be told of one, and one who sees it is enough
            told.seen.append(seen)
    with stage.phone(stage.notifier) as phone:
        alarms = phone.get("/v1/safety").raise_for_status().json()["alarms"]
    for one in [one for one in alarms if one["complaint_id"] in told.seen][:SHOWN]:
        (first, *_) = one["told"]
        show.good(
            f"{one['reference']}: {first['mailbox']} was told at {one['routed_at'][11:19]} by {first['channel']},"
            f" and pressed the letter's button: seen at {one['seen_at'][11:19]}"
        )


def reachable(stage: Stage) -> list[str]:
    """Complaints of customers with an address, the most severe first."""
    worst = {"severe": 0, "moderate": 1, "mild": 2}
    facts = [fact for fact in stage.eyes.of(ComplaintTriaged) if fact.has_contact]
    facts.sort(key=lambda fact: (worst[fact.severity], fact.complaint_id))
    seen: set[str] = set()
    cases = []
    for fact in facts:
        if fact.customer_ref not in seen:
            seen.add(fact.customer_ref)
            cases.append(fact.complaint_id)
    if len(cases) < CASES_MIN:
        raise NothingToPlay(
            f"the story needs {CASES_MIN} customers with an address, and there is {len(cases)}"
        )
    return cases


def give_first(stage: Stage, told: Told, phone: httpx.Client, cases: Sequence[str]) -> None:
    """Act 4: an employee asks what they may give, and gives it."""
    show = stage.show
    show.act(4, f"{stage.employee_id} checks in, asks: what may I give this customer? And gives it")
    # A no of the customer comes back to who is on shift.
    shift = phone.post(
        "/v1/me/shift", json={"hours": 8}, headers={"Idempotency-Key": str(uuid.uuid4())}
    )
    shift.raise_for_status()
    deadline = time.monotonic() + PATIENCE_S
    while True:
        answer = phone.get("/v1/options", params={"complaint": cases[0]})
        if answer.status_code == 200:
            break
        if time.monotonic() > deadline:
            raise TooLate(f"asking what may be given: {answer.status_code} {answer.text}")
        time.sleep(0.1)
    options = answer.json()["options"]
    for option in listed(options):
        cost = f"{option['cost_minor'] / 100:.2f}"
        show.say(f"may give {option['item']:<22} worth {worth(option):>8}, cost {cost:>7}")
    show.say(f"         and {max(0, len(options) - SHOWN)} more")
    key = str(uuid.uuid4())
    first = give(phone, cases[0], GIVEN, key)
    assert first.status_code == 201, first.text
    check = first.json()
    told.given.append(check)
    show.good(f"201: {check['item']}, code {check['code']}, left today {left_today(check)}")
    again = give(phone, cases[0], GIVEN, key)
    same = again.content == first.content and again.headers.get("Idempotency-Replayed") == "true"
    (show.good if same else show.bad)("the same request again: the same answer, no second check")


def listed(options: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first options, best first, with the one that is given among them."""
    first = list(options[:SHOWN])
    if GIVEN not in {option["item"] for option in first}:
        first[-1:] = [option for option in options if option["item"] == GIVEN]
    return first


def worth(option: Mapping[str, Any]) -> str:
    """What an option is worth: an amount, or a percentage with the largest bill it holds for."""
    if "percent" in option:
        return f"{option['percent']} % of a bill of up to {option['bill_up_to_minor'] / 100:.2f}"
    return f"{option['value_minor'] / 100:.2f}"


def give_until_exhausted(
    stage: Stage, told: Told, phone: httpx.Client, cases: Sequence[str]
) -> None:
    """Act 5: give until today's authority is used up; then see what fits."""
    show = stage.show
    show.act(5, "On, until today's authority is used up. The answer is what still fits")
    for case in cases[1:]:
        answer = give(phone, case, GIVEN, str(uuid.uuid4()))
        if answer.status_code == 201:
            told.given.append(answer.json())
            show.good(f"201: {GIVEN}, left today {left_today(answer.json())}")
            if answer.json()["explain_by"]:
                explain(stage, phone, answer.json()["check_id"])
            continue
        problem = answer.json()
        told.refused += 1
        show.say(f"{answer.status_code} {problem['type']}: bound by {problem['bound_by']}")
        for option in problem["alternatives"]:
            show.say(f"  fits: {option['item']} worth {worth(option)}")
        if problem["colleague_id"]:
            show.say(f"  on shift, with authority for it: {problem['colleague_id']}")
        instead = give(phone, case, problem["alternatives"][0]["item"], str(uuid.uuid4()))
        assert instead.status_code == 201, instead.text
        told.given.append(instead.json())
        show.good(f"201: {instead.json()['item']} instead. Nobody was asked")
        return
    show.say("no more complaints with an address; some of today's authority is left")


def explain(stage: Stage, phone: httpx.Client, check_id: str) -> None:
    """Explain the check that was above today's ceiling and given at once."""
    line = {"explanation": "They had waited longer than anybody."}
    told = phone.post(
        f"/v1/checks/{check_id}/explain",
        json=line,
        headers={"Idempotency-Key": str(uuid.uuid4())},
    )
    told.raise_for_status()
    stage.show.good(f"stretched above the ceiling, explained in one line: “{line['explanation']}”")


def give(phone: httpx.Client, complaint_id: str, item: str, key: str) -> httpx.Response:
    """One wish of the employee, said again under its key until the service knows the complaint and is free.

    Returns the check or what fits instead. Raises `TooLate` on any other answer. Blocks.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        answer = phone.post(
            "/v1/checks",
            json={"complaint_id": complaint_id, "item": item, "reason": "food"},
            headers={"Idempotency-Key": key},
        )
        if answer.status_code == 201 or "bound_by" in answer.json():
            return answer
        if answer.status_code not in (404, 503) or time.monotonic() > deadline:
            raise TooLate(f"giving {item}: {answer.status_code} {answer.text}")
        time.sleep(0.1)


def left_today(check: dict[str, Any]) -> str:
    """What the employee has left today, for reading."""
    mine = next(scope for scope in check["left"] if scope["scope"] == "employee_day")
    return f"{mine['left_minor'] / 100:.2f} {check['currency']}"


def hear(stage: Stage, told: Told) -> None:
    """Act 6: one customer says it helped, another that it did not."""
    show, eyes, mailbox = stage.show, stage.eyes, stage.mailbox
    show.act(6, "The customers get their checks by mail. Did it help?")
    show.busy("delivering")

    def told_of_checks() -> bool:
        return sum(fact.occasion is Occasion.CHECK_GIVEN for fact in eyes.of(MessageSent)) >= len(
            told.given
        )

    eyes.until(told_of_checks, "mailing the checks", patience_s(told))
    show.busy(None)
    by_code = {check["code"]: check["complaint_id"] for check in told.given}
    letters = [letter for letter in mailbox.letters if code_in(letter, by_code)]
    show.good(f"{len(letters)} letters with a code and a link; one says")
    for line in letters[0].body.splitlines()[:9]:
        show.say("| " + line)
    thank(stage, told, letters[0], by_code)
    answer(letters[1], "no")
    show.good("another says no")
    eyes.until(lambda: eyes.count(FeedbackReceived) >= 2, "hearing the answers", patience_s(told))
    eyes.until(lambda: eyes.count(ComplaintReopened) >= 1, "reopening", patience_s(told))
    reopened = next(eyes.of(ComplaintReopened))
    told.returned_to = reopened.employee_id
    assert reopened.complaint_id == by_code[code_in(letters[1], by_code) or ""]
    with stage.phone(stage.complaints) as phone:
        state = phone.get(f"/v1/complaints/{reopened.complaint_id}").json()
    show.good(f"the complaint is {state['state']}, back with {state['employee_id']}")


def thank(stage: Stage, told: Told, letter: Received, by_code: Mapping[str, str]) -> None:
    """Act 6, continued: a customer says yes and writes a line, which who gave the check finds in their inbox."""
    about = by_code[code_in(letter, by_code) or ""]
    spoken = next(f.language for f in stage.eyes.of(ComplaintTriaged) if f.complaint_id == about)
    answer(letter, "yes", THANKS[spoken])
    stage.show.good(f"one customer says yes, and writes: “{THANKS[spoken]}”")
    told.thanks = [THANKS[spoken]]
    with stage.phone(stage.notifier) as phone:
        inbox = phone.get("/v1/me/inbox").raise_for_status().json()
    for entry in inbox["entries"]:
        if entry["what"] == "thanked":
            told.thanks_read.append(entry["line"])
            stage.show.good(
                f"{stage.employee_id}, who gave the check, has it in their inbox, {inbox['unread']} unread:"
                f" {entry['reference']} {entry['what']}, “{entry['line']}”"
            )


def ask(stage: Stage, told: Told) -> None:
    """Act 6, continued: a dinner is over, its guest is asked how it was, and the answer is a complaint."""
    show, eyes = stage.show, stage.eyes
    now = datetime.now(UTC)
    event = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": "/restaurant",
        "type": TouchpointPassed.TYPE,
        "data": {
            "site": SITE,
            "customer": "table-12",
            "touchpoint": "dinner-served",
            "language": Language.EN,
            "contact": {"email": "table-12@example.org"},
            "passed_at": (now - timedelta(hours=1)).isoformat(),
        },
    }
    send(stage, [json.dumps(event).encode()])

    def asked() -> list[Received]:
        return of_occasion(stage, Occasion.TOUCHPOINT_ASKED)

    eyes.until(lambda: bool(asked()), "asking how it was", patience_s(told))
    link = QUESTION.search(asked()[0].body)
    assert link is not None
    words = {"experience": "1", "importance": "5", "text": "We waited an hour for the main course."}
    httpx.post(link.group(), data=words).raise_for_status()
    told.published += 1

    def acknowledged() -> bool:
        complaints = {fact.complaint_id for fact in eyes.of(TouchpointAnswered)}
        told_of = {
            fact.complaint_id
            for fact in eyes.of(MessageSent)
            if fact.occasion is Occasion.ACKNOWLEDGEMENT
        }
        return bool(complaints) and complaints <= told_of

    eyes.until(acknowledged, "taking the answer", patience_s(told))
    show.good("a guest who said nothing is asked how dinner was, answers 1 of 5, and has a promise")


def follow(stage: Stage, told: Told, cases: Sequence[str]) -> None:
    """Act 7: a complaint is followed to its end by those who have it, and by its customer."""
    show = stage.show
    show.act(7, "One complaint is followed to its end, by those who have it and by its customer")
    links, taken = links_of(stage), {check["complaint_id"] for check in told.given}
    # The last one is the least severe: nobody has taken it on yet.
    free = [case for case in reversed(cases) if case in links and case not in taken]
    if not free:
        show.say("there is none left that nobody has")
        return
    with stage.phone(stage.complaints) as mine:
        suiting = ((case, fixes_of(mine, case)) for case in free)
        about, fixes = next((one for one in suiting if one[1]), (free[0], []))
    told.followed = about
    spoken = next(f.language for f in stage.eyes.of(ComplaintTriaged) if f.complaint_id == about)
    added, done = SAID[spoken]
    with (
        stage.phone(stage.complaints) as mine,
        stage.phone(stage.complaints, COLLEAGUE) as theirs,
        stage.phone(stage.complaints, PEER) as peer,
    ):
        do(mine, about, "claim")
        show.good(f"{stage.employee_id} claims {about[:11]}…, which nobody had")
        for suits in fixes[:1]:
            do(mine, about, "fix/ask", {"fix": suits["fix"], "colleague_id": PEER})
            do(peer, about, "fix", {"fix": suits["fix"]})
            show.good(f"{PEER} is asked to {suits['fix']}, and has done it")
            told.fixed = True
        do(mine, about, "handover", {"colleague_id": COLLEAGUE})
        do(theirs, about, "accept")
        show.good(f"{COLLEAGUE} is asked to take it over, and accepts")
        page = httpx.get(links[about])
        page.raise_for_status()
        form = ONCE.search(page.text)
        assert form is not None, page.text
        httpx.post(
            f"{links[about]}/words", data={"once": form.group(1), "text": added}
        ).raise_for_status()
        show.good("the customer opens the link in their letter and adds a line")
        do(theirs, about, "resolve", {"outcome": "fixed", "note": done})
        timeline = theirs.get(f"/v1/complaints/{about}/timeline").raise_for_status().json()
    for one in timeline["entries"]:
        who = one.get("employee_id", one["who"])
        show.say(f"| {one['at'][11:19]}  {one['what']:<18} {who}")
    told.timeline = [one["what"] for one in timeline["entries"]]


def fixes_of(phone: httpx.Client, complaint_id: str) -> list[dict[str, Any]]:
    """The fixes that suit a complaint."""
    playbook = phone.get(f"/v1/complaints/{complaint_id}/playbook").raise_for_status().json()
    return list(playbook["fixes"])


def links_of(stage: Stage) -> dict[str, str]:
    """The link of each complaint that is in its acknowledgement."""
    letters = {letter.fact_id: letter for letter in stage.mailbox.letters}
    found = {}
    for fact in stage.eyes.of(MessageSent):
        letter = letters.get(fact.message_id)
        link = MINE.search(letter.body) if letter is not None else None
        if fact.occasion is Occasion.ACKNOWLEDGEMENT and link is not None:
            found[fact.complaint_id] = link.group()
    return found


def do(
    phone: httpx.Client, complaint_id: str, what: str, command: Mapping[str, Any] | None = None
) -> None:
    """One move of a complaint."""
    phone.post(
        f"/v1/complaints/{complaint_id}/{what}",
        json=command,
        headers={"Idempotency-Key": str(uuid.uuid4())},
    ).raise_for_status()


def code_in(letter: Received, codes: Iterable[str]) -> str | None:
    """The code a letter shows; an apology shows none."""
    return next((code for code in codes if code in letter.body), None)


def answer(letter: Received, helped: str, line: str = "") -> None:
    """Press a button on the page behind the link, as the customer would, with a line or without."""
    found = FEEDBACK.search(letter.body)
    assert found is not None
    url = found.group()
    httpx.get(url).raise_for_status()
    httpx.post(f"{url}/{helped}", data={"text": line}).raise_for_status()


def settle_down(stage: Stage, told: Told) -> None:
    """Wait for the last message, so that everything can be counted."""
    eyes = stage.eyes
    wanted = {Occasion.REOPENED, Occasion.THANKED}
    if told.followed is not None:
        wanted.add(Occasion.RESOLUTION_TOLD)
    eyes.until(
        lambda: wanted <= {fact.occasion for fact in eyes.of(MessageSent)},
        "telling the customers what came of it",
        patience_s(told),
    )
    for letter in of_occasion(stage, Occasion.RESOLUTION_TOLD):
        stage.show.good("the customer is told what was done, and asked whether it helped")
        for line in letter.body.splitlines()[2:7]:
            stage.show.say("| " + line)
    stage.show.busy("waiting until it is sure that nobody kept the promise")
    eyes.until(
        lambda: any(fact.occasion is Occasion.PROMISE_BROKEN for fact in eyes.of(MessageSent)),
        "telling a customer that we are late",
        patience_s(told),
    )
    stage.show.busy(None)
    for letter in of_occasion(stage, Occasion.PROMISE_BROKEN):
        stage.show.good("whoever nobody answered is told by us first")
        for line in letter.body.splitlines()[2:7]:
            stage.show.say("| " + line)
    eyes.until(lambda: not eyes.unrecorded(), "the record of every fact", patience_s(told))
    told.letters = len(stage.mailbox.letters)
