"""The policy file: what is accepted, and the line each mistake is reported at."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from joserfc import jwt
from joserfc.jwk import KeySet
from typer.testing import CliRunner

from shared.contracts.compensation import Basis, CheckKind
from shared.contracts.complaints import Category, Language, Service, Severity
from shared.contracts.policy import Policy, RoleAuthority
from shared.ops.__main__ import app
from shared.ops.policy import doubts, publish
from shared.ops.token import JWKS_FILE, KEY_FILE, demo_key, sign
from shared.runtime.policy_file import COUNTS, FILE_BYTES_MAX, BrokenPolicy, load
from shared.runtime.strict_yaml import Problem
from tests.suites.services import triage

DEMO = Path(__file__).parents[2] / "policy/demo.yaml"


@pytest.fixture
def demo() -> Policy:
    """The demo policy, which is right."""
    policy = load(DEMO)
    assert isinstance(policy, Policy)
    return policy


def problems(tmp_path: Path, text: str | bytes) -> list[Problem]:
    """What is wrong with a file of this content."""
    path = tmp_path / "policy.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    found = load(path)
    assert isinstance(found, list)
    return found


def edited(old: str, new: str) -> str:
    """The demo policy with one thing changed."""
    text = DEMO.read_text(encoding="utf-8")
    assert old in text
    return text.replace(old, new, 1)


def line_of(text: str, part: str) -> int:
    """The number of the first line that holds it."""
    return text[: text.index(part)].count("\n") + 1


def test_the_demo_policy_is_right_and_offers_every_amount_or_the_largest_of_any(
    demo: Policy,
) -> None:
    assert [(option.item, option.cost_minor, option.value_minor) for option in demo.options()] == [
        ("dinner-for-two", 480_00, 1200_00),
        ("cinema", 90_00, 250_00),
        ("taxfree-card/20000", 200_00, 200_00),
        ("taxfree-card/50000", 500_00, 500_00),
        ("taxfree-card/100000", 1000_00, 1000_00),
        ("spa-card/40000", 240_00, 400_00),
        ("spa-card/80000", 480_00, 800_00),
        ("onboard-credit/50000", 500_00, 500_00),
        ("bar-discount/10", 80_00, 80_00),
        ("bar-discount/20", 160_00, 160_00),
        ("excursion-refund/120000", 1200_00, 1200_00),
        ("sincere-words", 0, 0),
    ]
    assert {option.currency for option in demo.options()} == {"NOK"}


def test_a_published_policy_is_read_back_as_it_was(demo: Policy) -> None:
    assert Policy.model_validate_json(demo.model_dump_json()) == demo


def test_a_normal_day_is_used_up_after_a_handful_of_dinners(demo: Policy) -> None:
    dinner = demo.checks["dinner-for-two"].cost
    assert dinner is not None
    assert 3 <= demo.authority_of("cabin-crew").per_day // dinner <= 6


def test_of_any_amount_the_largest_that_fits_is_offered_and_any_in_steps_can_be_given(
    demo: Policy,
) -> None:
    offered = {option.item for option in demo.options(most_minor=130_00)}
    assert "onboard-credit/10000" in offered
    assert "excursion-refund/13000" in offered
    assert "bar-discount/20" not in offered
    assert demo.option("onboard-credit/5000") is not None
    assert demo.option("onboard-credit/5100") is None
    assert demo.option("onboard-credit/55000") is None


def test_nothing_of_its_own_binds_reception_before_its_day_is_used_up(demo: Policy) -> None:
    reception = demo.authority_of("reception")
    assert reception.per_shift is None
    assert reception.per_week is not None
    assert reception.per_week >= 2 * reception.per_day


def test_the_demos_own_complaints_are_too_few_of_one_kind_to_be_an_incident(demo: Policy) -> None:
    assert demo.incidents is not None
    found: Counter[Category] = Counter()
    for line in (DEMO.parents[1] / "demo/complaints.jsonl").read_bytes().splitlines():
        try:
            data = json.loads(line)["data"]
            language = triage().language_of(data["text"], data.get("language")).language
        except (ValueError, KeyError):  # the story has broken ones too
            continue
        found[triage().understand(data["text"], language).category] += 1
    assert found
    assert max(found.values()) < demo.incidents.open_when.count


def test_a_delay_comes_with_the_law_in_every_language_of_the_site(demo: Policy) -> None:
    found = demo.regime_of(Category.DELAY, Service.DEPARTURE)
    assert found is not None
    name, regime = found
    assert name == "ship-delay"
    assert set(regime.information) == set(regime.cited) == set(demo.languages)
    assert demo.regime_of(Category.FOOD, Service.DEPARTURE) is None


def test_a_law_about_departures_is_not_shown_for_a_wait_at_a_table(demo: Policy) -> None:
    """Nor where nobody knows what was late, unless the check is given because the law says so."""
    for basis in Basis:
        assert demo.regime_of(Category.DELAY, Service.MEAL, basis) is None
    assert demo.regime_of(Category.DELAY) is None
    assert demo.regime_of(Category.DELAY, None, Basis.STATUTORY) is not None


def test_a_regime_without_services_is_about_all_of_them(demo: Policy) -> None:
    """As a policy was understood before it could name them."""
    regime = demo.regimes["ship-delay"].model_copy(update={"services": ()})
    old = demo.model_copy(update={"regimes": {"ship-delay": regime}})
    for service in (None, *Service):
        assert old.regime_of(Category.DELAY, service) == ("ship-delay", regime)


def test_a_gift_card_of_one_shop_is_valid_in_that_shop_alone(demo: Policy) -> None:
    assert demo.checks["taxfree-card"].valid_at == ("taxfree",)
    assert demo.checks["cinema"].valid_at == ("cinema",)


def test_every_place_that_takes_a_check_has_a_name_in_every_language(demo: Policy) -> None:
    for item in demo.checks.values():
        for place in item.valid_at:
            assert set(demo.outlets[place]) == set(demo.languages)
    assert demo.outlet("pool-bar", Language.NB) == "bassengbaren"
    assert demo.outlet("kiosk", Language.NB) == "kiosk"


def whole_numbers(schema: Any, bound: int, name: str = "") -> Iterator[str]:
    """The fields of a schema that hold whole numbers with another upper bound than this."""
    if isinstance(schema, list):
        for part in schema:
            yield from whole_numbers(part, bound, name)
    elif isinstance(schema, dict):
        if schema.get("type") == "integer" and schema.get("maximum") != bound:
            yield name
        for key, part in schema.items():
            if key == "properties":
                for field, inner in part.items():
                    yield from whole_numbers(inner, bound, field)
            elif key == "$defs":
                yield from whole_numbers(list(part.values()), bound)
            else:
                yield from whole_numbers(part, bound, name)


def test_every_whole_number_that_is_no_amount_is_known_as_a_count() -> None:
    assert set(whole_numbers(Policy.model_json_schema(), bound=10**12)) == COUNTS


def test_every_role_has_authority_and_one_without_its_own_has_that_of_any(demo: Policy) -> None:
    anyone = demo.authority_of("any")
    assert demo.authority_of("reception").per_day == 8000_00
    assert demo.authority_of("deck") == anyone
    assert demo.authority_of("a role of tomorrow") == anyone


def test_a_situation_without_a_playbook_gets_the_default_promise_and_all_that_fits(
    demo: Policy,
) -> None:
    written = demo.playbook(Category.FOOD, Severity.SEVERE)
    assert written.promise == timedelta(minutes=15)
    fallback = demo.playbook(Category.BAGGAGE, Severity.MILD)
    assert fallback.promise == timedelta(hours=24)
    assert "dinner-for-two" not in fallback.suggest
    assert {"cinema", "taxfree-card/20000", "sincere-words"} <= set(fallback.suggest)


def test_in_every_situation_something_that_is_free_can_be_given(demo: Policy) -> None:
    free = {option.item for option in demo.options() if option.cost_minor == 0}
    for category in Category:
        assert any(demo.checks[item].fits_category(category) for item in free)


CASES = {
    "text for an amount": (
        "per_stay: 5000_00",
        'per_stay: "x"',
        'limits.customer.per_stay: must be a whole number of minor units, got "x"',
    ),
    "a fraction": (
        "per_stay: 5000_00",
        "per_stay: 50.5",
        "limits.customer.per_stay: must be a whole number of minor units, got 50.5",
    ),
    "a negative amount": (
        "per_stay: 5000_00",
        "per_stay: -1",
        "limits.customer.per_stay: should be greater than or equal to 1, got -1",
    ),
    "an amount beyond all bounds": (
        "per_stay: 5000_00",
        "per_stay: 1e99",
        "limits.customer.per_stay: must be a whole number of minor units, got 1e+99",
    ),
    "an amount with thousands of digits": (
        "per_stay: 5000_00",
        f"per_stay: {'9' * 5000}",
        "limits.customer.per_stay: must be a whole number of minor units, got",
    ),
    "not a number": (
        "per_stay: 5000_00",
        "per_stay: .nan",
        'limits.customer.per_stay: must be a whole number of minor units, got ".nan"',
    ),
    "a misspelt limit": ("per_stay:", "per_say:", "limits.customer.per_say: is not a known field"),
    "a name that ends a header": (
        "site_name: Aurora",
        'site_name: "Aurora\\r\\nBcc: all@example.org"',
        "site_name: must be one line without control characters",
    ),
    "a name of two lines": (
        "site_name: Aurora",
        'site_name: "Aurora\\Lis here"',
        "site_name: must be one line",
    ),
    "a name over a line that is none": (
        "site_name: Aurora",
        'site_name: "Aurora\\vhere"',
        "site_name: must be one line",
    ),
    "a name that is read from its end": (
        "site_name: Aurora",
        'site_name: "\\u202Earoru\\u202C"',
        "site_name: must be one line without control characters and marks that turn text",
    ),
    "a place of two lines": (
        "en: the sun deck}",
        'en: "the sun\\Ndeck"}',
        "places.sun-deck.en: must be one line",
    ),
    "an unknown currency": (
        "currency: NOK",
        "currency: NOX",
        'currency: is not a currency of ISO 4217, got "NOX"',
    ),
    "an unknown zone": (
        "Europe/Oslo",
        "Europe/Olso",
        'timezone: is not the time zone of a place, such as Europe/Oslo, got "Europe/Olso"',
    ),
    "a folder for a zone": ("Europe/Oslo", "Europe", "timezone: is not the time zone"),
    "the zone of whichever machine": ("Europe/Oslo", "localtime", "timezone: is not the time zone"),
    "the country code that YAML takes for false": (
        "[nb, sv, da, en]",
        "[no, sv, da, en]",
        "languages.0: must be one of 'nb', 'sv', 'da' or 'en', got \"no\"",
    ),
    "seconds for a duration": (
        "promise_default: PT24H",
        "promise_default: 86400",
        "promise_default: must be an ISO 8601 duration like PT15M or P7D, got 86400",
    ),
    "a time of day without a colon": (
        'day_starts: "06:00"',
        "day_starts: 6",
        'authority.day_starts: must be a time of day like "06:00", got 6',
    ),
    "a key that stands twice": (
        "site_name: Aurora",
        "site: ms-borealis",
        "site: stands here twice, first in line",
    ),
    "a fraction of a count": (
        "checks_per_day: 10",
        "checks_per_day: 2.5",
        "limits.customer.checks_per_day: must be a whole number, got 2.5",
    ),
    "a fraction in a list of counts": (
        "percents: [10, 20]",
        "percents: [10, 2.5]",
        "checks.bar-discount.percents.1: must be a whole number, got 2.5",
    ),
    "a time with a zone": (
        'day_starts: "06:00"',
        'day_starts: "06:00Z"',
        "authority.day_starts: must be a local time without a zone",
    ),
    "a shift with a zone": (
        '["06:00", "14:00", "22:00"]',
        '["06:00", "14:00Z", "22:00"]',
        "authority.shifts_start.1: must be a local time without a zone",
    ),
    "a shift that starts twice": (
        '["06:00", "14:00", "22:00"]',
        '["06:00", "14:00", "06:00"]',
        "authority.shifts_start: lists a time twice",
    ),
    "more per check than per shift": (
        "restaurant: {per_check: 1500_00",
        "restaurant: {per_check: 3500_00",
        "authority.roles.restaurant.per_check: must not be above per_shift (250000), got 350000",
    ),
    "more per shift than per day": (
        "per_shift: 2500_00",
        "per_shift: 4500_00",
        "authority.roles.restaurant.per_shift: must not be above per_day (400000), got 450000",
    ),
    "more per day than per week": (
        "per_week: 30000_00",
        "per_week: 7000_00",
        "authority.roles.reception.per_day: must not be above per_week (700000), got 800000",
    ),
    "a stretch of nothing": (
        "percent: 25,",
        "percent: 0,",
        "authority.stretch.percent: should be greater than or equal to 1, got 0",
    ),
    "a stretch that is a second ceiling": (
        "percent: 25,",
        "percent: 250,",
        "authority.stretch.percent: should be less than or equal to 100, got 250",
    ),
    "more per check than per day": (
        "any:        {per_check: 1500_00",
        "any:        {per_check: 2500_00",
        "authority.roles.any.per_check: must not be above per_day (200000), got 250000",
    ),
    "no authority for everybody": (
        "any:        {per_check",
        "anyone:     {per_check",
        'authority.roles: needs a role "any" with amounts: every rank has some',
    ),
    "a gift card with a cost": (
        "amounts: [200_00",
        "cost: 5\n    amounts: [200_00",
        "checks.taxfree-card.cost: a gift card has no cost, got 5",
    ),
    "a gift card without amounts": (
        "amounts: [200_00, 500_00, 1000_00]",
        "amounts: []",
        "checks.taxfree-card.amounts: a gift card needs amounts",
    ),
    "a gift card with an amount twice": (
        "amounts: [200_00, 500_00, 1000_00]",
        "amounts: [200_00, 500_00, 200_00]",
        "checks.taxfree-card.amounts: lists one twice",
    ),
    "money without a bound": (
        "    up_to: 500_00\n",
        "",
        "checks.onboard-credit.up_to: money needs up_to",
    ),
    "money with a value of its own": (
        "up_to: 500_00",
        "up_to: 500_00\n    value: 5",
        "checks.onboard-credit.value: money has no value, got 5",
    ),
    "money in steps larger than all of it": (
        "up_to: 500_00",
        "up_to: 40_00",
        "checks.onboard-credit.up_to: must not be below step (5000), got 4000",
    ),
    "a refund without a bound": (
        "    up_to: 1200_00\n",
        "",
        "checks.excursion-refund.up_to: a refund needs up_to",
    ),
    "a refund with amounts": (
        "up_to: 1200_00",
        "up_to: 1200_00\n    amounts: [5]",
        "checks.excursion-refund.amounts: a refund has no amounts",
    ),
    "a percentage of nothing": (
        "    percents: [10, 20]\n",
        "",
        "checks.bar-discount.percents: a percentage needs percents",
    ),
    "a percentage listed twice": (
        "percents: [10, 20]",
        "percents: [10, 10]",
        "checks.bar-discount.percents: lists one twice",
    ),
    "a percentage of a bill without a bound": (
        "    bill_up_to: 800_00\n",
        "",
        "checks.bar-discount.bill_up_to: a percentage needs bill_up_to",
    ),
    "an experience with percents": (
        "cost: 90_00",
        "cost: 90_00\n    percents: [5]",
        "checks.cinema.percents: an experience has no percents",
    ),
    "a gift card of a bill": (
        "amounts: [200_00",
        "bill_up_to: 5\n    amounts: [200_00",
        "checks.taxfree-card.bill_up_to: a gift card has no bill_up_to, got 5",
    ),
    "an experience up to something": (
        "cost: 90_00",
        "cost: 90_00\n    up_to: 100",
        "checks.cinema.up_to: an experience has no up_to, got 100",
    ),
    "a gift card that costs more than it is worth": (
        "cost_percent: 60",
        "cost_percent: 160",
        "checks.spa-card.cost_percent: should be less than or equal to 100, got 160",
    ),
    "an apology that costs": (
        "cost: 0",
        "cost: 1",
        "checks.sincere-words.cost: an apology has no cost, got 1",
    ),
    "an apology that is worth something": (
        "cost: 0",
        "value: 1",
        "checks.sincere-words.value: an apology has no value, got 1",
    ),
    "an experience without a cost": (
        "    cost: 90_00\n",
        "",
        "checks.cinema.cost: an experience needs cost",
    ),
    "an experience without a value": (
        "    value: 250_00\n",
        "",
        "checks.cinema.value: an experience needs value",
    ),
    "a title that a language lacks": (
        "      sv: Biokväll för två\n",
        "",
        "checks.cinema.title: is missing sv",
    ),
    "a promise to customers that a language lacks": (
        "promise: {}",
        "promise: {nb: Det ordner vi., da: Det ordner vi., en: We put it right.}",
        "notify.promise: is missing sv",
    ),
    "nothing that is free for everything": (
        "kind: apology",
        "kind: apology\n    fits: [food]",
        "checks: needs one thing that is free and fits everything",
    ),
    "a suggestion of nothing": (
        "suggest: [dinner-for-two, cinema]",
        "suggest: [dinner-for-two, cinemas]",
        "playbooks.food.moderate.suggest.1: is not a check; there are",
    ),
    "a gift card suggested without its amount": (
        "suggest: [dinner-for-two, cinema]",
        "suggest: [taxfree-card]",
        "playbooks.food.moderate.suggest.0: is not a check; there are",
    ),
    "a language listed twice": (
        "languages: [nb, sv, da, en]",
        "languages: [nb, sv, da, en, sv]",
        "languages: a language is listed twice",
    ),
    "an incident that gives nothing": (
        "give: taxfree-card/20000",
        "give: taxfree-card/30000",
        "incidents.give: is not a check; there are",
    ),
    "an incident of one": (
        "{count: 12,",
        "{count: 1,",
        "incidents.open_when.count: should be greater than or equal to 2, got 1",
    ),
    "a reason under two laws": (
        "regimes:\n",
        "regimes:\n  other: {law: Another, reasons: [delay], information: {en: Told.}}\n",
        "regimes.ship-delay.reasons: falls under other already",
    ),
    "a body without a name in one language": (
        "      da: Det norske nævn Transportklagenemnda\n",
        "",
        "bodies.transport-complaints-board.title: is missing da",
    ),
    "a body without a page in one language": (
        "      sv: https://transportklagenemnda.no/\n",
        "",
        "bodies.transport-complaints-board.pages: is missing sv",
    ),
    "a body twice": (
        "bodies:\n",
        "bodies:\n  board:\n"
        "    title: {nb: A, sv: A, da: A, en: The Norwegian Transport Complaints Board}\n"
        "    pages: {nb: https://a.no, sv: https://a.no, da: https://a.no, en: https://a.no}\n",
        "bodies.transport-complaints-board.title: is that of board already",
    ),
    "a page that is none": (
        "sv: https://transportklagenemnda.no/",
        "sv: javascript:alert(1)",
        "bodies.transport-complaints-board.pages.sv: string should match pattern",
    ),
    "a place that is none of the outlets": (
        "valid_at: [spa]",
        "valid_at: [sap]",
        "checks.spa-card.valid_at.0: is not one of the outlets",
    ),
    "a law under another name": (
        "    law: Regulation",
        "    lore: Regulation",
        "regimes.ship-delay.lore: is not a known field",
    ),
    "a hold longer than a day": ("hold: PT10M", "hold: P2D", "hold: should be less than or equal"),
    "employees, who are in the roster now": (
        "notify:\n",
        "employees: {}\nnotify:\n",
        "employees: is not a known field",
    ),
    "a category of tomorrow": (
        "  noise:\n    severe:",
        "  nois:\n    severe:",
        "playbooks.nois: must be one of",
    ),
    "a sender that is no address": ("service@aurora.example", "aurora", "notify.mail_from: "),
    "a retry without end": ("attempts_max: 8", "attempts_max: 1000", "notify.retry.attempts_max: "),
    "a tag that would make an object": (
        "site_name: Aurora",
        "site_name: !!python/object/apply:os.getcwd []",
        "site_name: the tag",
    ),
    "half a character": (
        "site_name: Aurora",
        'site_name: "\\ud800"',
        "site_name: holds half a character",
    ),
    "an alias": ("site_name: Aurora", "site_name: *x", "aliases are not used here"),
    "a tabulator": ("site_name: Aurora", "\tsite_name: Aurora", "is not YAML"),
}


@pytest.mark.parametrize("name", CASES)
def test_each_mistake_is_one_line_at_its_place(name: str, tmp_path: Path) -> None:
    old, new, expected = CASES[name]
    text = edited(old, new)
    found = problems(tmp_path, text)
    (match,) = [
        it for it in found if f"{it.pointer}: {it.message}".removeprefix(": ").startswith(expected)
    ]
    assert "\n" not in match.message
    if new and "\n" not in new:
        assert match.line == line_of(text, new) or not new.startswith(old[:4])
    assert match.line <= text.count("\n") + 1


def test_all_mistakes_come_at_once_in_the_order_of_the_lines(tmp_path: Path) -> None:
    text = edited("currency: NOK", "currency: NOX").replace("per_stay: 5000_00", "per_stay: x")
    text = text.replace("cost: 480_00", "cost: 4.8").replace("mail_from:", "mail_form:")
    found = problems(tmp_path, text)
    assert [it.pointer for it in found] == [
        "currency",
        "limits.customer.per_stay",
        "checks.dinner-for-two.cost",
        "notify.mail_from",
        "notify.mail_form",
    ]
    assert [it.line for it in found] == [
        line_of(text, "currency:"),
        line_of(text, "per_stay: x"),
        line_of(text, "cost: 4.8"),
        line_of(text, "notify:"),
        line_of(text, "mail_form:"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"site: \xff\xfe", "is not UTF-8"),
        (b"site: \x00", "is not YAML"),
        (b"a" * (FILE_BYTES_MAX + 1), "is larger than"),
        (b"[" * 50_000, "is nested deeper than"),
        (b"- 1\n", "must be fields with values"),
        (b"just words", "must be fields with values"),
        (b"? [a, b]\n: 1\n", "a name must be text"),
        (b"site: a\n---\nsite: b\n", "is not YAML"),
    ],
)
def test_what_is_no_policy_at_all_is_said_in_one_line(
    content: bytes, message: str, tmp_path: Path
) -> None:
    assert any(it.message.startswith(message) for it in problems(tmp_path, content))


def test_a_file_that_is_not_there_is_a_problem_and_no_crash(tmp_path: Path) -> None:
    (found,) = load(tmp_path / "none.yaml")
    assert isinstance(found, Problem)
    assert found.message.startswith("cannot be read")


def test_publishing_a_broken_file_says_every_line_and_touches_no_broker(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(edited("currency: NOK", "currency: NOX"), encoding="utf-8")
    with pytest.raises(BrokenPolicy) as caught:
        publish(path, "nowhere.invalid:1")
    assert re.fullmatch(rf"{re.escape(str(path))}:\d+: currency: is not .*", str(caught.value))


def test_a_demo_token_is_read_with_the_published_keys_and_the_key_is_private(
    tmp_path: Path,
) -> None:
    key = demo_key(tmp_path)
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert demo_key(tmp_path).kid == key.kid
    published = (tmp_path / JWKS_FILE).read_text(encoding="utf-8")
    assert '"d"' not in published
    now = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
    token = sign(key, subject="e-ingrid", kind="employee", site="ms-aurora", ttl_s=60, now=now)
    keys = KeySet.import_key_set(json.loads(published))
    claims = jwt.decode(token, keys, algorithms=["Ed25519"]).claims
    assert claims == {
        "iss": "local-demo",
        "aud": "service-check",
        "sub": "e-ingrid",
        "kind": "employee",
        "site": "ms-aurora",
        "iat": int(now.timestamp()),
        "exp": int(now.timestamp()) + 60,
    }


def test_a_demo_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    demo_key(tmp_path)
    (tmp_path / KEY_FILE).chmod(0o644)
    with pytest.raises(PermissionError):
        demo_key(tmp_path)


def test_every_kind_of_check_is_in_the_demo(demo: Policy) -> None:
    assert {option.kind for option in demo.options()} == set(CheckKind)


def test_the_demo_policy_raises_no_doubt(demo: Policy) -> None:
    assert list(doubts(demo)) == []


@pytest.mark.parametrize(
    ("old", "new", "doubt"),
    [
        (
            "    moderate: {promise: PT2H,  suggest: [dinner-for-two, cinema]}\n",
            "",
            "playbooks.noise: moderate is promised within P1D and mild within PT4H",
        ),
        (
            "  staff:\n    severe:   {promise: PT30M, suggest: [dinner-for-two, sincere-words]}\n",
            "",
            "playbooks: no playbook for staff, so the promise is P1D",
        ),
        (
            "total: 4000_00",
            "total: 900_00",
            "checks.taxfree-card: taxfree-card/100000 costs 100000, limits.complaint.total is 90000",
        ),
        (
            "per_day: 4000_00, checks_per_day",
            "per_day: 900_00, checks_per_day",
            "checks.taxfree-card: taxfree-card/100000 costs 100000, limits.customer.per_day is 90000",
        ),
        ("budget: 30000_00", "budget: 100_00", "incidents.give: costs 20000, the budget is 10000"),
    ],
    ids=["reversed", "no playbook", "complaint", "customer", "budget"],
)
def test_what_can_hardly_be_meant_is_said(tmp_path: Path, old: str, new: str, doubt: str) -> None:
    """A worse complaint promised later, no playbook, a check that nobody can afford."""
    path = tmp_path / "policy.yaml"
    path.write_text(edited(old, new), encoding="utf-8")
    policy = load(path)
    assert isinstance(policy, Policy)
    assert doubt in said(policy)


def test_a_check_above_what_any_role_may_give_stretched_is_doubted(demo: Policy) -> None:
    least = {"any": RoleAuthority(per_check=400_00, per_day=2000_00)}
    authority = demo.authority.model_copy(update={"roles": least})
    found = said(demo.model_copy(update={"authority": authority}))
    assert found == [
        "checks.taxfree-card: taxfree-card/100000 costs 100000, no role may give more than 50000",
        "checks.excursion-refund: excursion-refund/120000 costs 120000, no role may give more than 50000",
    ]


def said(policy: Policy) -> list[str]:
    return [f"{'.'.join(map(str, loc))}: {why}" for loc, why in doubts(policy)]


def checked(path: Path, *options: str) -> Result:
    """`policy check` of a file, as in an environment that says nothing."""
    return CliRunner(env={"SERVICE_CHECK_MAILBOXES": None}).invoke(
        app, ["policy", "check", str(path), *options]
    )


MAILBOXES = ("--mailboxes", str(DEMO.with_name("mailboxes.yaml")))


def test_a_doubt_is_a_warning_at_its_line_and_not_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    text = edited("budget: 30000_00", "budget: 100_00")
    path.write_text(text, encoding="utf-8")
    answer = checked(path, *MAILBOXES)
    assert answer.exit_code == 0
    line = line_of(text, "give: taxfree-card")
    assert answer.stderr == (
        f"{path}:{line}: warning: incidents.give: costs 20000, the budget is 10000\n"
    )
    assert answer.stdout == f"{path}: ms-aurora, 12 things to give, no problems, 1 warning\n"


def test_a_mailbox_that_has_no_address_is_a_problem_and_is_found_before_the_first_emergency(
    tmp_path: Path,
) -> None:
    """A misspelt id would lead a word about safety to nobody."""
    path = tmp_path / "policy.yaml"
    text = edited("safety: [duty-officer]", "safety: [duty-officer, duty-oficer]")
    path.write_text(text, encoding="utf-8")
    line = line_of(text, "safety: [duty-officer")
    by_option = checked(path, *MAILBOXES)
    by_setting = CliRunner(env={"SERVICE_CHECK_MAILBOXES": MAILBOXES[1]}).invoke(
        app, ["policy", "check", str(path)]
    )
    for answer in (by_option, by_setting):
        assert answer.exit_code == 1
        assert answer.stderr == (
            f'{path}:{line}: notify.safety.1: "duty-oficer" is not in the file of addresses; the file has duty-officer\n'
        )
        assert answer.stdout.endswith("12 things to give, 1 problem, no warnings\n")


def test_without_the_file_of_mailboxes_a_warning_says_that_no_id_was_compared(
    tmp_path: Path,
) -> None:
    answer = checked(DEMO)
    line = line_of(DEMO.read_text(encoding="utf-8"), "safety: [duty-officer]")
    assert answer.exit_code == 0
    assert answer.stderr == (
        f"{DEMO}:{line}: warning: notify.safety: not compared with a file of addresses:"
        " set --mailboxes or SERVICE_CHECK_MAILBOXES\n"
    )
    assert answer.stdout.endswith("12 things to give, no problems, 1 warning\n")
    broken = tmp_path / "mailboxes.yaml"
    broken.write_text("mailboxes: {a: nobody}\n", encoding="utf-8")
    assert checked(DEMO, "--mailboxes", str(broken)).exit_code == 1


def test_a_policy_whose_words_about_safety_reach_nobody_is_doubted(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(edited("safety: [duty-officer]", "safety: []"), encoding="utf-8")
    answer = checked(path, *MAILBOXES)
    assert "warning: notify.safety: names no mailbox" in answer.stderr
    assert answer.stdout.endswith("no problems, 1 warning\n")


def test_a_file_that_is_no_policy_counts_its_problems_too(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("site: [", encoding="utf-8")
    answer = checked(path, *MAILBOXES)
    assert (answer.exit_code, answer.stdout) == (1, f"{path}: 1 problem, no warnings\n")
