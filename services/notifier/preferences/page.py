"""The page on which a customer says how they want to be told."""

from __future__ import annotations

from collections.abc import Sequence

from babel import Locale

from services.notifier.preferences.handlers import Shown
from shared.contracts.complaints import Language
from shared.contracts.notifier import Tells
from shared.runtime.http.pages import Fault, Pages
from shared.runtime.words import say

_PREFERENCES = """{% if saved %}<p class="standing" role="status">{{ say("preferences.saved") }}</p>
{% endif %}<p>{{ say("preferences.always") }}</p>
<form method="post" action="/p/{{ token }}"><input type="hidden" name="once" value="{{ once }}">
{% for name, choices in chosen %}<label for="{{ name }}">{{ say("preferences." ~ name) }}</label>
<select id="{{ name }}" name="{{ name }}">
{% for value, text, now in choices %}<option value="{{ value }}"{% if now %} selected{% endif %}>{{ text }}</option>
{% endfor %}</select>
{% endfor %}<h2>{{ say("preferences.quiet") }}</h2>
<p>{{ of_site }}</p>
<label for="starts">{{ say("preferences.starts") }}</label>
<input id="starts" name="starts" type="time" value="{{ starts }}"{{ amiss("starts") }}>
<label for="ends">{{ say("preferences.ends") }}</label>
<input id="ends" name="ends" type="time" value="{{ ends }}"{{ amiss("ends") }}>
<label for="timezone">{{ say("preferences.timezone") }}</label>
<input id="timezone" name="timezone" maxlength="64" autocomplete="off" placeholder="{{ site_zone }}" value="{{ timezone }}"{{ amiss("timezone") }}>
<button class="yes">{{ say("preferences.save") }}</button></form>
<form method="post" action="/p/{{ token }}/unsubscribe">
<button>{{ say("preferences.unsubscribe") }}</button></form>
"""
#: How a time is written in a form.
CLOCK = "%H:%M"
#: The value, what it is called, and whether it is chosen now.
Choice = tuple[str, str, bool]


class PreferencesPage:
    """The page in each language."""

    def __init__(self) -> None:
        self._pages = Pages(preferences=_PREFERENCES)

    def show(
        self, shown: Shown, token: str, once: str, *, saved: bool, faults: Sequence[Fault] = ()
    ) -> str:
        """What the customer wants now, to change it."""
        language, wanted, notify = shown.language, shown.preferences, shown.policy.notify
        own, of_site = wanted.quiet_hours, notify.quiet_hours
        return self._pages.render(
            "preferences",
            language,
            say(language, "preferences.title"),
            site_name=shown.policy.site_name,
            faults=faults,
            token=token,
            once=once,
            saved=saved,
            chosen=list(_choices(shown).items()),
            starts=own.starts.strftime(CLOCK) if own else "",
            ends=own.ends.strftime(CLOCK) if own else "",
            timezone=wanted.timezone or "",
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


def _choices(shown: Shown) -> dict[str, list[Choice]]:
    """What can be chosen from a list, by the name of the field; a channel only where the site has several."""
    language, wanted = shown.language, shown.preferences
    found: dict[str, list[Choice]] = {
        "tells": [
            (one, say(language, f"preferences.tell.{one}"), one is wanted.tells) for one in Tells
        ],
        "language": [(one, _own_name(one), one is language) for one in shown.policy.languages],
    }
    if len(shown.policy.notify.channels) > 1:
        first = wanted.channels(shown.policy.notify.channels)[0]
        found["channel"] = [
            (one, say(language, f"preferences.by.{one}"), one is first)
            for one in shown.policy.notify.channels
        ]
    return found


def _own_name(language: Language) -> str:
    """What a language calls itself, as it is found by who reads no other."""
    name = Locale.parse(language).get_display_name() or language
    return name[0].upper() + name[1:]
