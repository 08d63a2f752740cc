"""The OpenAPI documents say what is really answered: every status, and every header of ours."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator
from pydantic_core import from_json

from services.compensation.redemptions.tries import TRIES_MAX
from shared.contracts.intake import ComplaintRaised, TouchpointPassed
from shared.contracts.notifier import MessageFailed
from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected
from shared.runtime.http.document import HEADERS
from shared.runtime.http.face import BODY_BYTES_MAX
from shared.runtime.http.routes import FORM
from shared.runtime.privacy.links import PREFERENCES, Tokens
from shared.testing.builders import record
from tests.suites.described import document, heard, operations, undescribed
from tests.suites.receipts import by_form, by_webhook
from tests.suites.services import SITE, SOURCE_KEY, Aboard, forget_answers, raised
from tests.suites.signals import one_signal
from tests.unit.test_compensation_incidents import complaints, small_incidents, the_incident
from tests.unit.test_erasure import ref_of
from tests.unit.test_lifecycle import do

LETTER = {"site": SITE, "text": "cold soup", "contact": {"email": "kari@example.org"}}
NOBODY = {"email": "nobody@example.org"}
LISTING = {"site": SITE, "listing": {"role": "deck"}}


class Caller:
    """Asks each thing twice: a write is repeated, and a read is made with what is known already."""

    def __init__(self, aboard: Aboard) -> None:
        self._aboard = aboard
        self._keys = 0

    async def write(self, path: str, body: Any = None, kind: Any = "employee", **how: str) -> Any:
        self._keys += 1
        bearer = self._aboard.bearer(
            how.get("who", "e-jonas") if kind == "employee" else "x-1", kind
        )
        async with self._aboard.http(how.get("service", "compensation"), bearer) as phone:
            first, again = [
                await phone.request(
                    how.get("method", "POST"),
                    f"/v1/{path}",
                    json=body,
                    headers={"Idempotency-Key": f"k{self._keys}"},
                )
                for _ in range(2)
            ]
        assert (again.status_code, again.content) == (first.status_code, first.content)
        return first.json()

    async def read(self, path: str, service: str = "compensation", kind: Any = "employee") -> None:
        async with self._aboard.http(service, self._aboard.bearer("e-jonas", kind)) as phone:
            answer = await phone.get(f"/v1/{path}")
            await phone.get(
                f"/v1/{path}", headers={"If-None-Match": answer.headers.get("etag", "")}
            )


async def use_everything(aboard: Aboard) -> None:
    """Each route of each service, as it is meant to be used."""
    ask = Caller(aboard)
    about = (await ask.write("complaints", LETTER, service="complaints"))["complaint_id"]
    forget_answers(aboard.stores["complaints"])
    assert (await Caller(aboard).write("complaints", LETTER, service="complaints")) == {
        "complaint_id": about
    }
    await aboard.carry()
    await ask.read(f"complaints/{about}", "complaints")
    await ask.read(f"complaints/{about}/timeline", "complaints")
    await follow(aboard, ask, about)
    await let_choose(aboard, ask, about)
    await give_and_redeem(ask, about)
    await complaints(aboard, 3)
    incident = f"incidents/{(await the_incident(aboard))['incident_id']}"
    await ask.read("incidents")
    await ask.read(incident)
    async with aboard.http("notifier", "") as anybody:
        tag = (await anybody.get(f"/incidents/{SITE}.json")).headers["etag"]
        await anybody.get(f"/incidents/{SITE}.json", headers={"If-None-Match": tag})
    await ask.write(f"{incident}/give")
    await ask.write(f"{incident}/close")
    await ask.write("incidents", {"reason": "noise"})
    await ask.read("delights?customer=cabin-7112")
    birthday = {"occasion": "birthday", "item": "cinema", "note": "She is ten."}
    await ask.write("delights", birthday, who="e-ingrid")
    await ask.write("employees/e-new", LISTING, "personnel", method="PUT")
    await ask.write("me/shift", {})
    await ask.write("me/shift/end")
    draft = json.loads(aboard.policy.model_dump_json(exclude_none=True))
    await ask.write("policy/whatif", {"draft": draft}, "manager")
    for path in ("policy", "policy/schema"):
        await ask.read(path, kind="manager")
    await publish_a_policy(aboard, draft)
    await aboard.feed("complaints", ComplaintRaised.TOPIC, [record(raised(), 900, "e-1")])
    theirs = {"source": "/test", "id": "e-1"}
    assert (await ask.write("complaints/find", theirs, "system", service="complaints"))["state"]
    await ask.write("heads", None, "manager", service="audit")
    signal = f"signals/{await one_signal(aboard)}"
    await ask.read("signals", "audit", "manager")
    await ask.read("stretches", "audit", "manager")
    name = aboard.apps["audit"].parts.vault.pseudonyms.employee
    person = name(SITE, f"{aboard.clock():%Y-%m}", "e-jonas")
    look = {"person": person, "purpose": "a check put through a till"}
    await ask.write(f"{signal}/look", look, "manager", service="audit")
    await ask.write(f"{signal}/dismissal", {"reason": "explained"}, "manager", service="audit")
    await ask.read("me/looks", "audit")
    for path in ("board", f"board/{SITE}"):
        await ask.read(path, "audit", "manager")
    # A stream of a process that ends is the board as it is now.
    aboard.apps["audit"].parts.health["running"] = lambda: False
    await ask.read(f"board/{SITE}/stream", "audit", "manager")
    await ask.read("measures", "audit", "manager")
    await hear(aboard)
    await show_at_the_till(aboard)
    await look_at_messages(aboard, ask)
    await prefer(aboard)
    await help_oneself(aboard)
    await see_safety(aboard, ask)
    await complain_openly(aboard)
    await answer_a_question(aboard)
    for key in (SOURCE_KEY, SOURCE_KEY, b"forged" * 8):
        await by_webhook(aboard, {"site": SITE, "text": "cold soup"}, key=key)
    await erase(aboard, ask, about)


async def publish_a_policy(aboard: Aboard, policy: Any) -> None:
    async with aboard.http("compensation", aboard.bearer("x-1", "manager")) as screen:
        tag = (await screen.get("/v1/policy")).headers["etag"]
        for key, matches in (("v1", tag), ("v1", tag), ("v2", tag), ("v3", None)):
            headers = {"Idempotency-Key": key} | ({"If-Match": matches} if matches else {})
            await screen.put("/v1/policy", json={"policy": policy}, headers=headers)


async def follow(aboard: Aboard, ask: Caller, about: str) -> None:
    await ask.read("complaints?view=open", "complaints")
    await ask.write("complaints/search", {"place": "deck 5"}, service="complaints")
    # Who follows a process that ends is told to read the list, and no more.
    aboard.apps["complaints"].parts.health["running"] = lambda: False
    async with aboard.telling():
        await ask.read("complaints/live", "complaints")
    await ask.read("complaints/colleagues", "complaints")
    await ask.read(f"complaints/{about}/playbook", "complaints")

    async def do(what: str, command: Any = None, who: str = "e-jonas") -> None:
        await ask.write(f"complaints/{about}/{what}", command, service="complaints", who=who)

    await do("claim")
    await do("correct", {"severity": "severe"})
    await do("ask", {"question": "Which of the two?"})
    await do("answer", {"answer": "The left one."})
    await do("handover", {"department": "reception"})
    await do("accept", who="e-ingrid")
    await do("handover", {"colleague_id": "e-jonas"}, "e-ingrid")
    await do("decline")
    await do("fix/ask", {"fix": "clean-again"}, "e-ingrid")
    await ask.read("complaints/fixes?department=housekeeping", "complaints")
    await do("fix/decline", {"fix": "clean-again"})
    await do("fix", {"fix": "clean-again"})
    await do("cause", {"cause": "cabin-turnover"})
    action = {"cause": "cabin-turnover", "note": "An hour more between two guests."}
    await ask.write("causes/actions", action, service="complaints")
    await ask.read("causes", "complaints", "manager")
    await do("resolve", {"outcome": "fixed", "note": "A new kettle."}, "e-ingrid")
    await do("withdraw")
    other = await ask.write("complaints", LETTER, service="complaints")
    referred = {"body": "transport-complaints-board"}
    await ask.write(f"complaints/{other['complaint_id']}/refer", referred, service="complaints")
    praise = await ask.write("complaints", {**LETTER, "text": "Lovely soup."}, service="complaints")
    first = await ask.write("complaints", LETTER, service="complaints")
    merge = {"into": first["complaint_id"]}
    await ask.write(f"complaints/{praise['complaint_id']}/merge", merge, service="complaints")
    await ask.write(f"complaints/{praise['complaint_id']}/split", service="complaints")
    await ask.write(f"complaints/{praise['complaint_id']}/unfounded", service="complaints")


async def erase(aboard: Aboard, ask: Caller, about: str) -> None:
    kept = aboard.stores["complaints"].kept.documents[f"complaint:{about}"]
    customer = f"customers/{from_json(kept.body)['customer_ref']}"
    erasure = f"{customer}/erasure"
    for form in ("export", "export.html"):
        await ask.read(f"{customer}/{form}", "complaints", "privacy")
    await ask.write(erasure, None, "privacy", service="complaints")
    await ask.read(erasure, "complaints", "privacy")


async def give_and_redeem(ask: Caller, about: str) -> None:
    wish = {"complaint_id": about, "item": "onboard-credit/50000", "reason": "food"}
    # The last one that is given is a stretch.
    while "code" in (found := await ask.write("checks", wish)):
        check = found
    for path in (f"options?complaint={about}", "options", "me/authority", "checks", "me", "site"):
        await ask.read(path)
    await ask.read(f"checks/{check['check_id']}")
    await ask.read(f"checks/{check['check_id']}/qr.svg")
    await ask.read(f"checks/{check['check_id']}/page.svg")
    await ask.write(f"checks/{check['check_id']}/explain", {"explanation": "Cold twice."})
    await ask.write(f"checks/{check['check_id']}/good-call", None, "manager")
    held = {"code": check["code"], "amount_minor": 100}
    for steps in (("cancel",), ("capture", "rollback")):
        redemption = (await ask.write("redemptions", held, "till"))["redemption_id"]
        for step in steps:
            await ask.write(f"redemptions/{redemption}/{step}", {}, "till")
    for step in ("suspend", "resume", "void"):
        await ask.write(f"checks/{check['check_id']}/{step}")


async def let_choose(aboard: Aboard, ask: Caller, about: str) -> None:
    wish = {"complaint_id": about, "items": ["sincere-words", "cinema"], "reason": "food"}
    on_screen, by_link = await ask.write("offers", wish), await ask.write("offers", wish)
    await ask.read("offers")
    await ask.read(f"offers/{by_link['offer_id']}/page.svg")
    await ask.write(f"offers/{on_screen['offer_id']}/choice", {"item": "sincere-words"})
    link = urlsplit(by_link["link"]).path
    async with aboard.http("compensation", "") as customer:
        await customer.get(link)
        await customer.get("/o/forged", headers={"Accept": "text/html"})
        for item in ("sincere-words", "sincere-words", "cinema", "yacht"):
            await customer.post(link, json={"item": item})
            await customer.post(link, data={"item": item})
        await customer.get(link)


async def hear(aboard: Aboard) -> None:
    await aboard.carry()
    await aboard.ring()
    bodies = "\n".join(letter.body for letter in aboard.postbox.letters)
    link = re.findall(r"/f/\S+", bodies)[0]
    async with aboard.http("notifier", "") as customer:
        await customer.get(link)
        for said, form in (("yes", ""), ("yes", ""), ("yes", "text/html"), ("no", "")):
            await customer.post(f"{link}/{said}", headers={"Accept": form})
        forget_answers(aboard.stores["notifier"])
        await customer.post(f"{link}/yes")
        asks = (await customer.get(link)).text
        survey = re.findall(r'action="(/f/survey/[^"]+)"', asks)[0]
        await customer.get("/f/survey/forged")
        await customer.get(survey)
        for chosen, form in (({}, ""), ({"ease": "4"}, ""), ({"ease": "4"}, "text/html")):
            await customer.post(survey, data=chosen, headers={"Accept": form})
    await by_form(aboard, aboard.postbox.letters[0].message_id, "delivered")
    await by_form(aboard, aboard.postbox.letters[0].message_id, "delivered", secret="forged")
    async with aboard.http("notifier") as phone:
        await phone.get("/v1/me/inbox")
        for _again in range(2):
            read = {"Idempotency-Key": "read-1"}
            await phone.post("/v1/me/inbox/read", json={"up_to": 1}, headers=read)


async def show_at_the_till(aboard: Aboard) -> None:
    """A check's code, by the link on the page of the check."""
    about = await aboard.raise_complaint(901)
    check = (await aboard.give(about, "taxfree-card/20000", "till", "e-noor")).json()
    await aboard.carry()
    await aboard.ring()
    async with aboard.http("notifier", "") as customer:
        page = (await customer.get(urlsplit(check["link"]).path)).text
    async with aboard.http("compensation", "") as customer:
        await customer.get("/k/forged")
        await customer.get(re.findall(r'href="http://[^"/]+(/k/[^"]+)"', page)[0])


async def answer_a_question(aboard: Aboard) -> None:
    fact = TouchpointPassed(
        site=SITE,
        customer="guest-q",
        touchpoint="dinner-served",
        contact={"email": "kim@example.org"},
        passed_at=aboard.clock() - timedelta(hours=1),
    )
    await aboard.feed("complaints", ComplaintRaised.TOPIC, [record(fact, 910)])
    await aboard.carry()
    await aboard.ring()
    link = re.findall(r"/q/\S+", "\n".join(one.body for one in aboard.postbox.letters))[-1]
    async with aboard.http("complaints", "") as customer:
        await customer.get("/q/forged")
        await customer.get(link)
        for chosen, form in (
            ({}, ""),
            ({"experience": "1"}, ""),
            ({"experience": "1"}, "text/html"),
        ):
            await customer.post(link, data=chosen, headers={"Accept": form})


async def see_safety(aboard: Aboard, ask: Caller) -> None:
    about = await aboard.raise_complaint(905, text="A nut allergy, an EpiPen.", contact=None)
    await aboard.ring()
    await aboard.ring()
    link = re.findall(r"/s/\S+", "\n".join(one.body for one in aboard.postbox.letters))[-1]
    async with aboard.http("notifier", "") as reader:
        await reader.get(link)
        for accept in ("", "", "text/html"):
            await reader.post(link, headers={"Accept": accept})
    await ask.write(f"safety/{about}/seen", service="notifier")
    await ask.read("safety", "notifier")


async def look_at_messages(aboard: Aboard, ask: Caller) -> None:
    aboard.postbox.failures = [Rejected(Reason.ADDRESS_REFUSED)]
    about = await aboard.raise_complaint(902, text="The rolls were dry.", contact=NOBODY)
    await aboard.ring()
    (name,) = [
        fact["message_id"]
        for fact in await aboard.facts("notifier")
        if fact["type"] == MessageFailed.TYPE and fact["complaint_id"] == about
    ]
    for path in (f"notifications?subject={about}", f"notifications/{name}"):
        await ask.read(path, "notifier", "manager")
    for _ in range(2):
        await ask.write(f"notifications/{name}/resend", None, "manager", service="notifier")

    said = {"complaint_id": about, "occasion": "acknowledgement"}
    await ask.write("notifications/said", said, service="notifier")


async def complain_openly(aboard: Aboard) -> None:
    async with aboard.http("complaints", "") as customer:
        for form in (f"/c/{SITE}", f"/c/{SITE}/cabin"):
            (once,) = re.findall(r'name="once" value="([^"]+)"', (await customer.get(form)).text)
            for text in ("It is cold.", "It is cold.", "It is too warm.", ""):
                answer = await customer.post(form, data={"once": once, "text": text})
                if answer.status_code == 303:
                    await customer.get(answer.headers["location"])


async def prefer(aboard: Aboard) -> None:
    about = await aboard.raise_complaint(903, text="The bread was dry.")
    secret = aboard.apps["notifier"].parts.vault.derive(PREFERENCES)
    token = Tokens(secret, PREFERENCES, aboard.clock).sign(
        {"complaint": about}, aboard.clock() + timedelta(days=1)
    )
    link = f"/p/{token}"
    async with aboard.http("notifier", "") as customer:
        await customer.get(link)
        for accept in ("", "text/html"):
            for form in ({"once": "a"}, {"once": "a"}, {"tells": "nothing"}):
                await customer.post(link, data=form, headers={"Accept": accept})
            await customer.post(f"{link}/unsubscribe", headers={"Accept": accept})
    path = f"/v1/preferences/{await ref_of(aboard, about)}"
    async with aboard.http("notifier") as phone:
        tag = (await phone.get(path)).headers["etag"]
        await phone.get(path, headers={"If-None-Match": tag})
        for key, matches in (("p1", tag), ("p1", tag), ("p2", tag), ("p3", None)):
            headers = {"Idempotency-Key": key} | ({"If-Match": matches} if matches else {})
            await phone.put(path, json={"tells": "answers"}, headers=headers)


async def help_oneself(aboard: Aboard) -> None:
    about = await aboard.raise_complaint(
        904, text="The tea was cold.", contact={"email": "t@example.org"}
    )
    await aboard.ring()
    (letter,) = [one for one in aboard.postbox.letters if one.recipient == "t@example.org"]
    link = re.findall(r"/m/\S+", letter.body)[-1]
    async with aboard.http("complaints", "") as customer:
        await customer.get(link)
        for accept in ("", "text/html"):
            asked = {"Accept": accept}
            await customer.post(f"{link}/words", data={"text": "And stale."}, headers=asked)
            await customer.post(f"{link}/code", data={"action": "export"}, headers=asked)
        await customer.get(f"{link}/code")
        await aboard.carry()
        await aboard.ring()
        code = re.findall(r"\b\d{6}\b", aboard.postbox.letters[-1].body)[0]
        for entered in ("1", code, code):
            for accept in ("application/json", "text/html"):
                told = {"Accept": accept}
                await customer.post(f"{link}/confirm", data={"code": entered}, headers=told)
        await do(aboard, about, "claim")
        await do(aboard, about, "resolve", outcome="fixed")
        for accept in ("", "text/html"):
            told = {"action": "no", "text": "Still stale.", "once": f"helped-{accept or 'data'}"}
            await customer.post(f"{link}/helped", data=told, headers={"Accept": accept})
        await customer.post(f"{link}/withdraw")
        await customer.post(f"{link}/withdraw", data={"once": "one-more-time"})


async def ask_amiss(aboard: Aboard) -> None:
    """Each route by nobody, by who may not, without a key, for what is not there, and too much."""
    for number, (service, method, path) in enumerate(operations(aboard)):
        asked = re.sub(r"\{[a-z_]+\}", "x-1", path)
        for bearer in ("", aboard.bearer(kind="manager"), aboard.bearer()):
            async with aboard.http(service, bearer) as phone:
                for key in ({}, {"Idempotency-Key": f"amiss-{number}"}):
                    await phone.request(method, asked, headers=key, json={})
                await phone.request(method, asked, content=b"x" * (BODY_BYTES_MAX + 1))


async def test_every_answer_of_every_route_is_described_with_its_headers(tmp_path: Path):
    aboard = await Aboard(tmp_path, small_incidents()).begin()
    await use_everything(aboard)
    worked = {
        asked
        for asked, answer in heard(aboard)
        if answer.is_success or answer.has_redirect_location
    }
    assert set(operations(aboard)) - worked == set()
    await ask_amiss(aboard)
    for number in range(TRIES_MAX + 1):
        async with aboard.http("compensation", aboard.bearer("till-1", "till")) as till:
            guess = {"Idempotency-Key": f"guess-{number}"}
            await till.post("/v1/redemptions", json={"code": "00000-00000-0"}, headers=guess)
    for store in aboard.stores.values():
        store.lose()
    await ask_amiss(aboard)
    assert undescribed(aboard) == []
    statuses = {answer.status_code for _, answer in heard(aboard)}
    assert statuses >= {200, 201, 202, 304, 400, 401, 403, 404, 409, 413, 422, 429, 503}


async def test_what_the_documents_say_of_headers_is_all_really_sent(tmp_path: Path):
    """Where a route works, and at its repeat."""
    aboard = await Aboard(tmp_path, small_incidents()).begin()
    await use_everything(aboard)
    sent: dict[tuple[Any, int], set[str]] = {}
    for asked, answer in heard(aboard):
        sent.setdefault((asked, answer.status_code), set()).update(answer.headers)
    missing = [
        f"{asked} {status}: {name}"
        for (asked, status), names in sent.items()
        if status < 400
        for name in _answer(aboard, asked, status)["headers"]
        if name.lower() not in names
    ]
    assert missing == []
    (refusal,) = (one for one, status in sent if status == 409 and one.path == "/v1/checks")
    assert {"published", "idempotency-replayed"} <= sent[refusal, 409]


def _answer(aboard: Aboard, asked: Any, status: int) -> dict[str, Any]:
    operation = document(aboard, asked.service)["paths"][asked.path][asked.method.lower()]
    found: dict[str, Any] = operation["responses"][str(status)]
    return found


async def test_a_header_is_described_once_and_none_for_nothing(aboard: Aboard):
    described = [document(aboard, service) for service in aboard.apps]
    named = {
        name
        for whole in described
        for methods in whole["paths"].values()
        for operation in methods.values()
        for answer in operation["responses"].values()
        for name in answer["headers"]
    }
    assert named == set(HEADERS)
    assert all(whole["components"]["headers"] == HEADERS for whole in described)


#: Forms that are a button alone.
BUTTONS = {"/s/{token}", "/p/{token}/unsubscribe"}
#: Taken as JSON as well: of a body in two forms generators make broken clients, so that the text names the field.
BOTH = "/o/{token}"
#: What a field may say: text of this length, of this form, or one of these.
BOUNDS = {"maxLength", "pattern", "enum"}


async def test_what_the_forms_of_pages_send_is_described_with_its_bounds(tmp_path: Path):
    aboard = await Aboard(tmp_path).begin()
    links = [
        one
        for one in operations(aboard)
        if one.method == "POST" and not one.path.startswith("/v1/") and one.path not in BUTTONS
    ]
    assert len(links) >= 10
    for one in links:
        whole = document(aboard, one.service)
        body = whole["paths"][one.path]["post"]["requestBody"]
        if one.path == BOTH:
            assert "`item`" in whole["paths"][one.path]["post"]["description"]
            continue
        name = body["content"][FORM]["schema"]["$ref"].rpartition("/")[2]
        form = whole["components"]["schemas"][name]
        fields = form["properties"] or {"": form["additionalProperties"]}
        for field in fields.values():
            assert field["description"], one
            assert BOUNDS & field.keys(), (one, field)
        Draft202012Validator.check_schema(form)
        for example in form["examples"]:
            Draft202012Validator(form).validate(example)


async def test_the_open_form_sends_what_its_description_says(tmp_path: Path):
    aboard = await Aboard(tmp_path).begin()
    async with aboard.http("complaints", "") as anybody:
        page = (await anybody.get(f"/c/{SITE}")).text
    sent = set(re.findall(r'<(?:input|textarea|select)[^>]* name="([a-z]+)"', page))
    schemas = document(aboard, "complaints")["components"]["schemas"]
    assert sent == schemas["ComplaintForm"]["properties"].keys()
