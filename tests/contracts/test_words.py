"""The words that customers and staff read: whole in every language, and readable by other programs."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from babel import Locale

from devstack.web import ASKED, WEB, heading
from services.audit.measures.declared import Absent
from services.complaints.timeline.rules import What
from shared.contracts.compensation import Safety, Scope
from shared.contracts.complaints import Category, Flag, Language, Outcome, Severity
from shared.contracts.lifecycle import State
from shared.contracts.notifier import Notice
from shared.runtime.http.pages import Fault, Pages
from shared.runtime.words import LOCALES, WORDS, Text, say, texts, texts_in

ROOT = Path(__file__).parents[2]
#: Which states of a check customers are told of: those of the service that holds it, and of its page.
STANDINGS = {"redeemed", "used", "partly_used", "voided", "suspended", "expired"}

#: Groups of words that a face says; the build of the faces looks at them too.
FACES = ("app.", "board.", "whatif.")

Files = dict[str, dict[str, Any]]


def files() -> Files:
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8")) for path in WORDS.glob("*.json")
    }


def forms(text: Text) -> Mapping[str, str]:
    return {"": text} if isinstance(text, str) else text


def wrong(found: Files) -> list[str]:
    """What a language lacks, has beyond the others, or says in another form than its grammar has."""
    read = {language: dict(texts_in(file)) for language, file in found.items()}
    keys = sorted({key for one in read.values() for key in one})
    return [
        f"{language} {key}: {what}"
        for language in read
        for key in keys
        for what in faults(key, language, read)
    ]


def faults(key: str, language: str, read: dict[str, dict[str, Text]]) -> Iterator[str]:
    if key not in read[language]:
        yield "is missing"
        return
    text = read[language][key]
    if not isinstance(text, str):
        has = {*Locale.parse(LOCALES[language]).plural_form.tags, "other"}
        yield from (f"lacks {form}" for form in sorted(has - set(text)))
        yield from (f"never has {form}" for form in sorted(set(text) - has))
    elsewhere = {name for one in read.values() for name in values(one.get(key, ""))}
    if missing := elsewhere - values(text):
        yield f"does not say {', '.join(sorted(missing))}"
    for form in forms(text).values():
        if not form.strip():
            yield "is empty"
        for _, name, spec, conversion in Formatter().parse(form):
            if name is not None and (not re.fullmatch(r"[a-z_]+", name) or spec or conversion):
                yield f"has a value that is no plain name: {name!r}"


def values(text: Text) -> set[str]:
    """The values of a text; the form for one thing need not count it."""
    found = [
        {part[1] for part in Formatter().parse(form) if part[1]} for form in forms(text).values()
    ]
    return set().union(*found)


def test_every_language_has_a_file_and_every_file_a_language() -> None:
    assert set(files()) == set(Language) == set(LOCALES)


def test_every_text_is_there_in_every_language_in_the_forms_of_its_grammar_with_the_same_values():
    assert wrong(files()) == []


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a text that a language lacks": ({"a": {}}, "sv a.b: is missing"),
    "a form that its grammar has": ({"a": {"b": {"other": "{count}"}}}, "sv a.b: lacks one"),
    "a form that its grammar never has": (
        {"a": {"b": {"one": "1", "few": "2", "other": "{count}"}}},
        "sv a.b: never has few",
    ),
    "a value that the others say": ({"a": {"b": {"one": "1", "other": "2"}}}, "sv a.b: does not say count"),
    "an empty text": ({"a": {"b": {"one": " ", "other": "{count}"}}}, "sv a.b: is empty"),
    "a value without a name": (
        {"a": {"b": {"one": "{}", "other": "{count}"}}},
        "sv a.b: has a value that is no plain name: ''",
    ),
    "a value that is looked into": (
        {"a": {"b": {"one": "{count.real}", "other": "{count}"}}},
        "sv a.b: has a value that is no plain name: 'count.real'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_fault_in_a_language_is_found_and_located(name: str) -> None:
    file, expected = WRONG[name]
    right = {"a": {"b": {"one": "one", "other": "{count}"}}}
    assert expected in wrong({"nb": right, "sv": file})
    assert wrong({"nb": right, "sv": right}) == []


def sources() -> dict[Path, str]:
    return {
        path: path.read_text(encoding="utf-8")
        for folder in ("services", "shared/runtime", "shared/ops")
        for path in (ROOT / folder).rglob("*.py")
    }


def keys_of_the_faces() -> tuple[set[str], set[str]]:
    """Keys in the sources of the phone app and the board: whole ones, and the beginnings of those whose end is a value."""
    folder = ROOT / "web" / "src"
    read = [
        path.read_text(encoding="utf-8")
        for path in folder.rglob("*.ts*")
        if "contracts" not in path.parts
    ]
    groups = "(?:app|board|category|whatif)"
    whole = {key for text in read for key in re.findall(rf'"({groups}\.[a-z_.]+)"', text)}
    begun = {key for text in read for key in re.findall(rf"`({groups}\.[a-z_.]*)\$\{{", text)}
    return whole, begun


def test_every_text_that_a_face_says_is_there_and_no_other() -> None:
    whole, begun = keys_of_the_faces()
    there = {key for key in texts(Language.EN) if key.startswith(FACES)}
    assert whole - set(texts(Language.EN)) == set()
    assert {one for one in begun if not any(key.startswith(one) for key in there)} <= {"category."}
    assert {key for key in there - whole if not key.startswith(tuple(begun - {"app."}))} == set()


def without_words(told: Mapping[str, Iterable[str]]) -> set[str]:
    """Keys that are not there, of a group and the values that a service tells."""
    keys = {f"{group}{value}" for group, values in told.items() for value in values}
    return keys - set(texts(Language.EN))


def test_the_phone_app_has_words_for_whatever_a_service_tells_it() -> None:
    told = {
        "app.scope.": Scope,
        "app.state.": State,
        "app.told.": [*Notice, "thanked"],
        "app.happened.": What,
        "app.outcome.": Outcome,
    }
    assert without_words(told) == set()


def test_the_board_has_words_for_whatever_the_service_tells_it() -> None:
    told = {"board.absent.": Absent, "board.severity.": Severity, "whatif.scope.": Scope}
    assert without_words(told) == set()


@pytest.mark.parametrize("service", ASKED)
def test_the_types_of_the_faces_are_of_the_api_documents(service: str) -> None:
    """`make contracts` writes them."""
    types = (WEB / "src" / "contracts" / f"{service}.d.ts").read_text(encoding="utf-8")
    assert types.startswith(heading(service))


def test_every_text_that_the_code_says_is_there() -> None:
    """Whatever `say` or a page's `words` is asked for by a plain key."""
    asked = {
        key
        for source in sources().values()
        for key in re.findall(r'\b(?:say|words)\((?:[\w.]+, )?"([a-z_.]+)"', source)
    }
    assert len(asked) > 20
    assert asked - set(texts(Language.EN)) == set()


def test_every_text_that_is_there_is_said_somewhere() -> None:
    """A key in the code, or the beginning of one whose end is a closed list."""
    said: list[str] = []
    for source in sources().values():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                said += [re.escape(key) for key in re.findall(r"[a-z_]+(?:\.[a-z_]+)*", node.value)]
            elif isinstance(node, ast.JoinedStr):
                said.append(
                    "".join(
                        re.escape(str(part.value)) if isinstance(part, ast.Constant) else "[a-z_]+"
                        for part in node.values
                    )
                )
    patterns = {one for one in said if re.match(r"[a-z_]+(\\\.|$)", one)}
    unsaid = [
        key
        for key in texts(Language.EN)
        if not key.startswith(FACES) and not any(re.fullmatch(pattern, key) for pattern in patterns)
    ]
    assert unsaid == []


def test_every_value_of_a_closed_list_has_its_words() -> None:
    english = texts(Language.EN)

    def under(group: str) -> set[str]:
        return {key.removeprefix(f"{group}.") for key in english if key.startswith(f"{group}.")}

    assert under("about") == set(Category) - {Category.OTHER}
    assert under("safety") == {*Safety, *Flag} - {Flag.LEGAL}
    assert under("standing") == STANDINGS


@pytest.mark.parametrize(
    ("language", "one", "many"),
    [
        ("nb", "Det er noe å rette", "Det er 1\xa0200 ting å rette"),
        ("sv", "Det är något att rätta till", "Det är 1\xa0200 saker att rätta till"),
        ("da", "Der er noget at rette", "Der er 1.200 ting at rette"),
        ("en", "There is a problem", "There are 1,200 problems"),
    ],
)
def test_what_is_counted_is_said_in_the_form_of_its_number(language: str, one: str, many: str):
    assert say(language, "errors.title", count=1) == one
    assert say(language, "errors.title", count=1200).replace("\u202f", "\xa0") == many


def test_an_unknown_text_and_a_missing_value_are_loud() -> None:
    with pytest.raises(KeyError, match="no_such"):
        say("nb", "offer.no_such")
    with pytest.raises(KeyError, match="when"):
        say("nb", "offer.by")


@pytest.mark.parametrize("language", list(Language))
def test_what_must_be_put_right_stands_on_top_of_the_page_and_leads_to_its_place(
    language: Language,
):
    pages = Pages(form='<p id="choices">…</p>')
    page = pages.render("form", language, "A title", faults=[Fault("<Choose>", "choices")])
    summary = page.partition("<main>")[2].partition("<h1>")[0]
    assert say(language, "errors.title", count=1) in summary
    assert 'role="alert"' in summary
    assert '<a href="#choices">&lt;Choose&gt;</a>' in summary
    assert f"<title>{say(language, 'errors.prefix')}: A title" in page
    assert 'role="alert"' not in pages.render("form", language, "A title")
