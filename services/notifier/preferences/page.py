"""The page on which a customer says how they want to be told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from babel import Locale

from services.notifier.preferences.handlers import Shown
from shared.contracts.complaints import Language
from shared.contracts.notifier import Tells
from shared.runtime.http.pages import Fault, Pages
from shared.runtime.words import say

_PREFERENCES = """{% if saved %}<p class="standing" role="status">{{ say("preferences.saved") }}</p>
{% endif %}<p>{{ say("preferences.always") }}</p>
<form method="post" action="/p/{{ token }}"><input type="hidden" name="once" value="{{ once }}">
{% for name, label, choices in chosen %}<label for="{{ name }}">{{ label }}</label>
<select id="{{ name }}" name="{{ name }}"{{ amiss(name) }}>
{% for value, text in choices %}<option value="{{ value }}"{% if value == now[name] %} selected{% endif %}>{{ text }}</option>
{% endfor %}</select>
{% endfor %}<h2>{{ say("preferences.quiet") }}</h2>
<p>{{ of_site }}</p>
<label for="starts">{{ say("preferences.starts") }}</label>
<input id="starts" name="starts" type="time" value="{{ now.starts }}"{{ amiss("starts") }}>
<label for="ends">{{ say("preferences.ends") }}</label>
<input id="ends" name="ends" type="time" value="{{ now.ends }}"{{ amiss("ends") }}>
<label for="timezone">{{ say("preferences.timezone") }}</label>
<input id="timezone" name="timezone" maxlength="64" autocomplete="off" placeholder="{{ site_zone }}" value="{{ now.timezone }}"{{ amiss("timezone") }}>
<button class="yes">{{ say("preferences.save") }}</button></form>
<form method="post" action="/p/{{ token }}/unsubscribe">
<button>{{ say("preferences.unsubscribe") }}</button></form>
"""
#: How a time is written in a form.
CLOCK = "%H:%M"
#: The value, and what it is called.
Choice = tuple[str, str]


class PreferencesPage:
    """The page in each language."""

    def __init__(self) -> None:
        self._pages = Pages(preferences=_PREFERENCES)

    def show(
        self,
        shown: Shown,
        token: str,
        once: str,
        *,
        saved: bool,
        faults: Sequence[Fault] = (),
        typed: Mapping[str, str] | None = None,
    ) -> str:
        """What the customer wants now, to change it; what was `typed`, by field, if that was not taken."""
        language, of_site = shown.language, shown.policy.notify.quiet_hours
        return self._pages.render(
            "preferences",
            language,
            say(language, "preferences.title"),
            site_name=shown.policy.site_name,
            faults=faults,
            token=token,
            once=once,
            saved=saved,
            chosen=list(_choices(shown)),
            now=typed if typed is not None else _now(shown),
            site_zone=shown.policy.timezone,
            of_site=say(
                language,
                "preferences.of_site",
                starts=of_site.starts.strftime(CLOCK),
                ends=of_site.ends.strftime(CLOCK),
            )
            if of_site
            else say(language, "preferences.none"),
        )


def _now(shown: Shown) -> Mapping[str, str]:
    """What the customer wants now, by field; empty where it is as the site has it."""
    wanted = shown.preferences
    hours = wanted.quiet_hours
    first = wanted.channels(shown.channels)
    return {
        "tells": wanted.tells,
        "language": shown.language,
        "channel": first[0] if first else "",
        "starts": hours.starts.strftime(CLOCK) if hours else "",
        "ends": hours.ends.strftime(CLOCK) if hours else "",
        "timezone": wanted.timezone or "",
    }


def _choices(shown: Shown) -> Iterator[tuple[str, str, Sequence[Choice]]]:
    """What can be chosen from a list: field, label, choices.

    Channels are those that reach the customer, and only where the site has several.
    """
    policy = shown.policy
    words = partial(say, shown.language)
    yield (
        "tells",
        words("preferences.tells"),
        [(one, words(f"preferences.tell.{one}")) for one in Tells],
    )
    yield (
        "language",
        words("preferences.language"),
        [(one, _own_name(one)) for one in policy.languages],
    )
    if len(policy.notify.channels) > 1 and shown.channels:
        yield (
            "channel",
            words("preferences.channel"),
            [(one, words(f"preferences.by.{one}")) for one in shown.channels],
        )


def _own_name(language: Language) -> str:
    """What a language calls itself, as it is found by who reads no other."""
    name = Locale.parse(language).get_display_name() or language
    return name[0].upper() + name[1:]
